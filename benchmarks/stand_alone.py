"""Time and memory of stand-alone attention beside a convolution of the same window.

    python benchmarks/stand_alone.py [--minutes 5] [--output DIRECTORY]
    python benchmarks/stand_alone.py --growth       # a table of docs/two_mechanisms.md
    python benchmarks/stand_alone.py --smoke        # small maps: does it run?

`StandAloneAttention2D` in the form that copies the keys and values of each query
("patches") and in the one that shares them in blocks, and a 7x7 `Conv2D`: forward and
training step, with and without XLA, on the maps and channels of SA-ResNet-50. Every
case runs in a process of its own; `measuring.py` says how.

`--growth` times one layer of each mechanism on maps that grow, attention over the whole
map (`AugmentedConv2D`) and over a window, beside a 3x3 `Conv2D`.
"""

import argparse
from pathlib import Path

from measuring import better, measure, time_layer, write_rows

OUTPUT = Path(__file__).parent / "out"
PAGE = Path(__file__).parents[1] / "docs" / "two_mechanisms.md"
# batch, height, width, channels: the first stage and the second one of SA-ResNet-50.
SIZES = ((4, 56, 56, 64), (8, 28, 28, 128))
IMPLEMENTATIONS = {"Conv2D 7x7": 7, "patches": "patches", "blocks": "blocks"}
# To reach: times as fast as patches, share of its extra memory.
SPEED, MEMORY = 2, 1 / 4
GROWTH = tuple((2, side, side, 128) for side in (14, 28, 56))
MECHANISMS = {"Conv2D 3x3": 3, "whole map": None, "7x7 window": "auto"}
PASSES = ("forward", "step")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--growth", action="store_true", help="Maps that grow.")
    parser.add_argument("--smoke", action="store_true", help="One run of small maps.")
    arguments = parser.parse_args()
    sizes, implementations = SIZES, IMPLEMENTATIONS
    name, as_table, repeats = "stand_alone", comparison_table, 7
    if arguments.growth:
        sizes, implementations = GROWTH, MECHANISMS
        name, as_table = "stand_alone_growth", growth_table
    if arguments.smoke:
        sizes = [(1, height // 4, width // 4, c) for _, height, width, c in sizes]
        repeats, arguments.minutes = 1, 0
    cases = [
        (size, implementation, what, xla, repeats)
        for size in sizes
        for what in PASSES
        for xla in (False, True)
        for implementation in implementations
    ]
    rows = measure(run_case, cases, arguments.minutes)
    table = as_table(rows, sizes)
    print(table)
    if arguments.smoke:
        return
    write_rows(rows, arguments.output / f"{name}.json")
    (arguments.output / f"{name}.md").write_text(f"{table}\n")
    if arguments.growth:
        from aa_keras.paper.report import replace_section

        PAGE.write_text(replace_section(PAGE.read_text(), "growth", table))


def run_case(size, implementation, what, xla, repeats):
    """Returns the median milliseconds and the peak resident memory of this process."""
    import keras

    from aa_keras.layers import AugmentedConv2D, StandAloneAttention2D

    channels, option = size[-1], (IMPLEMENTATIONS | MECHANISMS)[implementation]
    if isinstance(option, int):
        layer = keras.layers.Conv2D(channels, option, padding="same")
    elif option is None:
        layer = AugmentedConv2D(channels, 3)
    else:
        layer = StandAloneAttention2D(channels, 7, implementation=option)
    return time_layer(layer, size, what, xla, repeats)


def comparison_table(rows, sizes):
    """The better of XLA on and off for each side, and what was to be reached."""
    lines = []
    for size in sizes:
        cells = {"size": ", ".join(map(str, size))}
        for name in IMPLEMENTATIONS:
            cells[name] = _milliseconds(rows, size, name)
        ratios = [
            better(rows, size, "patches", what)["milliseconds"]
            / better(rows, size, "blocks", what)["milliseconds"]
            for what in PASSES
        ]
        cells["times as fast as patches"] = " / ".join(f"{r:.1f}" for r in ratios)
        extra = [extra_memory(rows, size, name) for name in ("patches", "blocks")]
        mebibytes = " / ".join(f"{number / 2**20:.0f}" for number in extra)
        cells["extra memory of a step, patches / blocks, MiB"] = mebibytes
        cells["share"] = f"{extra[1] / max(extra[0], 1):.2f}"
        lines.append(cells)
    below = (
        "Milliseconds forward / training step, the better of XLA on and off. Extra "
        "memory is the peak of a process without XLA less that of the process with "
        f"`Conv2D`. To reach: {SPEED} times as fast, a share of {MEMORY}."
    )
    return f"{_markdown(lines)}\n\n{below}"


def growth_table(rows, sizes):
    """Milliseconds forward / training step, the better of XLA on and off."""
    lines = [
        {"map": f"{size[1]} x {size[2]}"}
        | {name: _milliseconds(rows, size, name) for name in MECHANISMS}
        for size in sizes
    ]
    return _markdown(lines)


def extra_memory(rows, size, implementation):
    """Bytes of a step without XLA: with it, the compiler's own memory comes on top."""
    (row,) = (
        row
        for row in rows
        if (tuple(row["size"]), row["implementation"], row["pass"], row["xla"])
        == (tuple(size), implementation, "step", False)
    )
    return row["extra_peak_bytes"]


def _milliseconds(rows, size, name):
    found = (better(rows, size, name, what)["milliseconds"] for what in PASSES)
    return " / ".join(f"{milliseconds:.1f}" for milliseconds in found)


def _markdown(lines):
    table = [lines[0], ["---"] * len(lines[0]), *(line.values() for line in lines)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in table)


if __name__ == "__main__":
    main()
