"""The paper's figures, drawn from rows of its tables.

Rows are the plain dictionaries of `aa_keras.paper.tables.table_rows`. A hollow marker
is a number that was not read in a public source (mark M of the facts file).
"""

import re

from aa_keras.visualization.figures import INK, new_figure

# Colour and marker both tell the families apart (colours of Okabe and Ito).
STYLES = (("#000000", "o"), ("#0072b2", "s"), ("#d55e00", "D"))


def draw_accuracy_by_parameters(rows, *, title=None):
    """Draws accuracy against parameters, a line a family, as the paper's Figure 1.

    Args:
        rows: rows with `params_m` (as built here) and the paper's `top1`; a row's
            family is its name without the number at its end.
        title: string above the figure.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    families = {}
    for row in rows:
        family, size = re.fullmatch(r"(.*)-([\d.]+)", row["row"]).groups()
        point = row["params_m"], row["paper"]["top1"], size, _is_read(row)
        families.setdefault(family, []).append(point)
    figure = new_figure(6.2, 4.2, title)
    axis = figure.subplots()
    for (family, points), style in zip(families.items(), STYLES, strict=False):
        _draw(axis, points, style, family, is_highest=family == list(families)[-1])
    axis.set_xlabel("parameters as built here, millions", color=INK)
    _finish(axis)
    return figure


def draw_attention_share(rows, *, title=None):
    """Draws accuracy against the share of attentional channels, as Figure 5.

    Args:
        rows: the rows of Table 6 and the points of Figure 5; those whose value is not
            printed are left out.
        title: string above the figure.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with_encoding, without = [], []
    for row in rows:
        if "top1" in row["paper"]:
            share, top1 = float(row["row"].split()[0]), row["paper"]["top1"]
            curve = without if "figure" in row else with_encoding
            curve.append((share, top1, f"{top1}", _is_read(row)))
    figure = new_figure(6.2, 3.8, title)
    axis = figure.subplots()
    _draw(axis, with_encoding, STYLES[1], "relative position encoding")
    _draw(axis, without, STYLES[2], "no position encoding")
    # The curves meet where there is no attention; what lies between is not printed.
    start = [point for point in with_encoding if point[0] == 0]
    x, y, *_ = zip(*start, *without, strict=True)
    axis.plot(x, y, "--", color=STYLES[2][0], lw=1.2, zorder=0)
    axis.set_xlabel("share of attentional channels (κ = υ), ResNet-50", color=INK)
    _finish(axis)
    return figure


def _is_read(row):
    return "V" in row["paper"]["marks"].get("top1", "M")


def _draw(axis, points, style, label, is_highest=True):
    color, marker = style
    x, y, *_ = zip(*points, strict=True)
    axis.plot(x, y, color=color, lw=1.2, marker=marker, label=label)
    for x, y, text, is_read in points:
        if not is_read:
            axis.plot(x, y, marker=marker, color=color, mfc="white")
        axis.annotate(
            text,
            (x, y),
            # Out of the way of the line that lies above.
            xytext=(0, 7) if is_highest else (9, -10),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=INK,
        )


def _finish(axis):
    axis.set_ylabel("top-1 accuracy in the paper, %", color=INK)
    axis.legend(frameon=False, labelcolor=INK, fontsize=9)
    axis.margins(y=0.12)
    axis.tick_params(labelsize=8, colors=INK)
    axis.spines[["top", "right"]].set_visible(False)
