"""One look for all figures: ground, sizes, and the sign of each mechanism.

The ground is white and opaque, so that a figure reads the same on a dark page. Text is
large enough to be read at half the size. Shares are drawn in viridis and signed numbers
in PuOr, which survive grey print and the usual colour blindness; so do the colours of
the mechanisms, most of which are those of Okabe and Ito. Each mechanism has one colour
and one marker in every figure of the project.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

SHARES = "viridis"
SIGNED = "PuOr"
INK = "#222222"
PALE = "#dddddd"
TITLE, TEXT, SMALL = 11, 10, 9  # points; none is smaller
DOTS_PER_INCH = 150


class Sign(NamedTuple):
    """How a mechanism is drawn."""

    color: str
    marker: str


MECHANISMS = {
    "convolution": Sign("#000000", "o"),
    "relative": Sign("#d55e00", "D"),  # augmented, as in the paper
    "none": Sign("#009e73", "^"),  # augmented, without positions
    "sine": Sign("#e69f00", "P"),
    "coordconv": Sign("#cc79a7", "v"),
    "stand_alone": Sign("#56b4e9", "X"),
    "se": Sign("#0072b2", "s"),
    "ge": Sign("#44aa99", ">"),
    "bam": Sign("#882255", "p"),
    "cbam": Sign("#999933", "h"),
    "gala": Sign("#332288", "<"),
}
# The forms in which relative attention is computed.
IMPLEMENTATIONS = {"listing": Sign("#888888", "s"), "fused": MECHANISMS["relative"]}
_WORDS = {"aa": "relative", "sa": "stand_alone"}
# The colors of the cells of the pointer task, in red, green and blue.
PALETTE = (
    (214, 39, 40),
    (255, 127, 14),
    (242, 208, 36),
    (44, 160, 44),
    (95, 211, 224),
    (31, 95, 180),
    (132, 73, 176),
    (245, 163, 199),
)
LINES = ("-", "--", ":", "-.")  # tell several runs of one mechanism apart
FILLS = ("full", "none", "left", "top")
MOST_INSIDE = 8  # lines of a legend that leave room for the points


def mechanism_of(name: str) -> str:
    """Returns the mechanism of a row of the paper or of an experiment, by its name.

    As in `"AA-ResNet-34 none"` and `"cifar100_aa_resnet_20"`. A name without any of
    their words is that of a convolutional network.
    """
    words = [_WORDS.get(word, word) for word in re.split(r"[-_ ]", name.lower())]
    found = [word for word in words if word in MECHANISMS]
    return found[-1] if found else "convolution"


def paler(color: str, step: int) -> str:
    """Returns a color `step` times mixed with white, the same after four of them."""
    share = 0.22 * (step % len(LINES))
    red, green, blue = (1 - (1 - share) * (1 - value) for value in to_rgb(color))
    return to_hex((red, green, blue))


def new_figure(width, height, title=None) -> Figure:
    """Returns an empty white figure that pyplot does not manage; sizes in inches."""
    size = (width, height)
    figure = Figure(size, DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, color=INK, fontsize=TITLE)
    return figure


def finish(axis, x_label, y_label, legend=True) -> None:
    """Gives an axis its labels, its legend and its frame."""
    axis.set_xlabel(x_label, color=INK, fontsize=TEXT)
    axis.set_ylabel(y_label, color=INK, fontsize=TEXT)
    axis.tick_params(labelsize=SMALL, colors=INK)
    axis.spines[["top", "right"]].set_visible(False)
    if legend:
        many = len(axis.get_legend_handles_labels()[1]) > MOST_INSIDE
        beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if many else {}
        axis.legend(frameon=False, labelcolor=INK, fontsize=SMALL, **beside)


def origin(*sources) -> dict[str, str]:
    """Returns what the file of a picture says of its origin, for `savefig(metadata=)`.

    Args:
        *sources: the `result.json` of runs as dicts, and paths of files. A run gives
            its name, seed and the hash of its configuration, a file the hash of its
            content.
    """
    pairs = [
        (f"{source['name']}-seed{source['seed']}", source["configuration"])
        if isinstance(source, dict)
        else (Path(source).as_posix(), _digest(source))
        for source in sources
    ]
    names, digests = zip(*pairs, strict=True)
    return {"Run": ", ".join(names), "Configuration": ", ".join(digests)}


def _digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
