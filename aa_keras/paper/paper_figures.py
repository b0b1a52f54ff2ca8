"""The paper's figures from rows of its tables, and figures of our own runs.

Rows are the dicts of `aa_keras.paper.tables.table_rows`. A hollow marker is a number
that was not read in a public source (mark M of the facts file).
"""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from aa_keras.paper.comparison import Group
from aa_keras.visualization.style import (
    FILLS,
    INK,
    LINES,
    MECHANISMS,
    SMALL,
    Sign,
    finish,
    mechanism_of,
    new_figure,
    paler,
)

IN_THE_PAPER = "top-1 accuracy in the paper, %"


def draw_accuracy_by_parameters(rows, *, title: str | None = None) -> Figure:
    """Draws accuracy against parameters, one line per family, as in Figure 1.

    The rows have `params_m` and the paper's `top1`. The family is the row's name up to
    its last hyphen.
    """
    families: dict[str, list] = {}
    for row in rows:
        family, _, size = row["row"].rpartition("-")
        families.setdefault(family, []).append(_point(row, row["params_m"], size))
    figure = new_figure(6.2, 4.2, title)
    axis = figure.subplots()
    for family, points in families.items():
        sign, is_highest = _sign(family), family == list(families)[-1]
        _draw(axis, points, sign, family, is_highest)
    finish(axis, "parameters as built here, millions", IN_THE_PAPER)
    axis.margins(y=0.12)
    return figure


def draw_attention_share(rows, *, title: str | None = None) -> Figure:
    """Draws accuracy against the share of attentional channels, as in Figure 5.

    The rows are those of Table 6 and the points of Figure 5; those without a printed
    accuracy are skipped.
    """
    curves: tuple[list, list] = ([], [])  # with position encoding, without
    for row in rows:
        if "top1" in row["paper"]:
            share, text = float(row["row"].split()[0]), str(row["paper"]["top1"])
            curves["figure" in row].append(_point(row, share, text))
    figure = new_figure(6.2, 3.8, title)
    axis = figure.subplots()
    relative, without = MECHANISMS["relative"], MECHANISMS["none"]
    _draw(axis, curves[0], relative, "relative position encoding")
    _draw(axis, curves[1], without, "no position encoding")
    # The curves share the point without attention; the paper prints none in between.
    start = [point for point in curves[0] if point[0] == 0]
    x, y, *_ = zip(*start, *curves[1], strict=True)
    axis.plot(x, y, "--", color=without.color, lw=1.2, zorder=0)
    finish(axis, "share of attentional channels (κ = υ), ResNet-50", IN_THE_PAPER)
    axis.margins(y=0.12)
    return figure


def draw_accuracy_by_epoch(groups: Sequence[Group], *, title=None) -> Figure:
    """Draws the mean accuracy of each epoch, with the range over the seeds.

    It is the validation accuracy, or the training accuracy of runs without validation.
    """
    figure = new_figure(6.2, 4.2, title)
    axis = figure.subplots()
    for group, sign, nth in _told_apart(groups):
        by_epoch = zip(*group.curves, strict=True)
        epochs = [[100 * value for value in epoch] for epoch in by_epoch]
        x = range(1, len(epochs) + 1)
        line = {"color": sign.color, "ls": LINES[nth % len(LINES)]}
        axis.plot(x, list(map(statistics.mean, epochs)), label=group.name, **line)
        lowest, highest = list(map(min, epochs)), list(map(max, epochs))
        axis.fill_between(x, lowest, highest, color=sign.color, alpha=0.15, lw=0)
    finish(axis, "epoch", "accuracy while training, %")
    return figure


def draw_accuracy_by_size(groups: Sequence[Group], *, title=None) -> Figure:
    """Draws the mean accuracy against parameters, with the standard deviation."""
    figure = new_figure(6.2, 4.2, title)
    axis = figure.subplots()
    for group, sign, nth in _told_apart(groups):
        scores = [100 * score for score in group.scores]
        axis.errorbar(
            group.params / 1e6,
            statistics.mean(scores),
            yerr=statistics.stdev(scores) if scores[1:] else None,
            color=sign.color,
            marker=sign.marker,
            fillstyle=FILLS[nth % len(FILLS)],
            capsize=3,
            linestyle="none",
            label=f"{group.name} ({len(scores)} seed{'s'[: len(scores) - 1]})",
        )
    finish(axis, "parameters, millions", f"top-1 accuracy ({groups[0].split}), %")
    axis.margins(x=0.1, y=0.12)
    axis.locator_params(axis="x", nbins=4)  # counts that are nearly equal have digits
    return figure


# The figures of a comparison, by the end of their files' names.
COMPARISONS: dict[str, Callable[..., Figure]] = {
    "by_epoch": draw_accuracy_by_epoch,
    "by_parameters": draw_accuracy_by_size,
}


def _point(row, x, text):
    is_read = "V" in row["paper"]["marks"].get("top1", "M")
    return x, row["paper"]["top1"], text, is_read


def _sign(name) -> Sign:
    return MECHANISMS[mechanism_of(name)]


def _told_apart(groups):
    """Yields each group, its sign, and how many of that sign came before it.

    Later groups of one mechanism are paler.
    """
    before: Counter = Counter()
    for group in groups:
        # A position encoding of one's own is drawn as the paper's.
        sign = MECHANISMS.get(group.mechanism, MECHANISMS["relative"])
        nth = before[sign]
        yield group, sign._replace(color=paler(sign.color, nth)), nth
        before[sign] += 1


def _draw(axis, points, sign, label, is_highest=True):
    x, y, *_ = zip(*points, strict=True)
    color, marker = sign
    axis.plot(x, y, color=color, lw=1.2, marker=marker, label=label)
    text = {
        "textcoords": "offset points",
        "ha": "center",
        "fontsize": SMALL,
        "color": INK,
    }
    # Below the highest line the labels go below the line, away from the line above.
    text["xytext"] = (0, 7) if is_highest else (9, -13)
    for x, y, name, is_read in points:
        if not is_read:
            axis.plot(x, y, marker=marker, color=color, mfc="white")
        axis.annotate(name, (x, y), **text)
