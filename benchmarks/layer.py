"""Time and memory of the attention-augmented convolution beside a plain one.

    python benchmarks/layer.py [--sizes 0 1 2 3 4] [--minutes 12] [--output DIRECTORY]
    python benchmarks/layer.py --draw

Every case runs in a process of its own (`measuring.py` says how): Conv2D,
AugmentedConv2D as listing and fused, and the paper's own operations one by one
(`printed.py`), forward and training step, with and without XLA.
"bare" is the work that every implementation does: convolutions, the two products of the
attention in blocks that fit the cache, and the exponentials. Each part is timed alone,
less the call of an empty program, and the times are added. This is an estimate and not
a lower bound: alone, every part writes its result to its own memory.
"""

import argparse
import json
from pathlib import Path

from measuring import better, measure, time_layer, time_program, write_rows

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "benchmarks/out"
PICTURE = Path("docs/pictures/layer.png")  # of what the repository has in OUTPUT
# batch, height, width, channels, key depth, value depth, heads
SIZES = (
    (16, 14, 14, 256, 160, 24, 8),
    (8, 28, 28, 128, 160, 16, 8),
    (4, 40, 40, 256, 160, 24, 8),
    (2, 64, 64, 128, 160, 16, 8),
    (128, 16, 16, 32, 32, 8, 4),
)
IMPLEMENTATIONS = ("conv", "printed", "listing", "fused")
# Speed-up over the listing to reach, forward and step, and share of its extra memory.
TARGETS = ((1.4, 1.3, 1), (2.3, 1.7, 1 / 6), (2.0, 1.4, 1 / 8), (2.0, 1.5, 1 / 15),
           (1.5, 1.5, 1))  # fmt: skip
MEMORY_SIZES = tuple((1, n, n, 128, 160, 16, 8) for n in (16, 32, 64, 128))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=range(len(SIZES)))
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument(
        "--draw", action="store_true", help="only draw what was measured"
    )
    arguments = parser.parse_args()
    measured = arguments.output / "layer.json"
    if arguments.draw:
        draw(json.loads(measured.read_text()), measured)
        return
    cases = cases_of([SIZES[index] for index in arguments.sizes])
    rows = measure(run_case, cases, arguments.minutes)
    write_rows(rows, measured)
    print_table(rows)
    draw(rows, measured)


# One case, in its own process.


def run_case(size, implementation, what, xla, repeats):
    """Returns the median milliseconds and the peak resident memory of this process."""
    import keras
    from printed import PrintedConv2D

    from aa_keras.layers import AugmentedConv2D

    batch, height, width, channels, key_depth, value_depth, num_heads = size
    if implementation == "bare":
        return {"milliseconds": bare_work(size, xla, repeats), "peak": 0}
    if implementation == "conv":
        layer = keras.layers.Conv2D(channels, 3, padding="same")
    else:
        printed = implementation == "printed"
        layer = (PrintedConv2D if printed else AugmentedConv2D)(
            channels,
            3,
            key_depth=key_depth,
            value_depth=value_depth,
            num_heads=num_heads,
            implementation="auto" if printed else implementation,
        )
    return time_layer(layer, (batch, height, width, channels), what, xla, repeats)


def bare_work(size, xla, repeats):
    """Milliseconds of the parts of a forward pass that every implementation has."""
    import tensorflow as tf

    batch, height, width, channels, key_depth, value_depth, num_heads = size
    length, maps = height * width, batch * num_heads
    depth = key_depth // num_heads
    filters = channels - value_depth
    block = min(max(2**21 // length**2, 1), maps)  # maps whose logits fit 8 MiB
    queries = min(length, 2**21 // (block * length))
    num_blocks = maps * length / (block * queries)
    logits = (block, queries, length)

    def convolve(x, kernel):
        return tf.nn.conv2d(x, kernel, 1, "SAME")

    def nothing(*inputs):
        return tf.constant(0.0)

    def time_alone(function, inputs):
        program = tf.function(lambda *inputs: function(*inputs), jit_compile=xla)
        return time_program(program, inputs, repeats)

    image = (batch, height, width, channels)
    transposed = (block, depth, length)
    parts = (
        (convolve, 1, image, (3, 3, channels, filters)),
        (convolve, 1, image, (1, 1, channels, 2 * key_depth + value_depth)),
        (convolve, 1, (*image[:3], value_depth), (1, 1, value_depth, value_depth)),
        (tf.matmul, num_blocks, (block, queries, depth), transposed),
        (tf.exp, num_blocks, logits),
        (tf.matmul, num_blocks, logits, (block, length, value_depth // num_heads)),
    )
    total = 0
    for function, count, *shapes in parts:
        inputs = [tf.random.normal(shape) for shape in shapes]
        total += count * (time_alone(function, inputs) - time_alone(nothing, inputs))
    return total


# All cases.


def cases_of(sizes):
    cases = [
        (size, implementation, what, xla, 7)
        for size in sizes
        for what in ("forward", "step")
        for xla in (False, True)
        for implementation in (*IMPLEMENTATIONS, *(["bare"] * (what == "forward")))
    ]
    if tuple(sizes) == SIZES:
        cases += [
            (size, implementation, "forward", False, 1)
            for size in MEMORY_SIZES
            for implementation in ("conv", "listing", "fused")
            if implementation != "listing" or size[1] <= 64
        ]
    return cases


def speed_ups(rows, size, over):
    """How many times as fast as another implementation fused is, forward and step."""
    return [
        better(rows, size, over, what)["milliseconds"]
        / better(rows, size, "fused", what)["milliseconds"]
        for what in ("forward", "step")
    ]


def compare(rows, size):
    """Share of the listing's extra memory, forward over bare work."""
    # Without XLA: with it, the compiler's own memory comes on top of both.
    extra = {
        row["implementation"]: max(row["extra_peak_bytes"] or 0, 1)
        for row in rows
        if (tuple(row["size"]), row["pass"], row["xla"]) == (size, "step", False)
    }
    bare = better(rows, size, "bare", "forward")["milliseconds"]
    over_bare = better(rows, size, "fused", "forward")["milliseconds"] / bare
    return extra["fused"] / extra["listing"], over_bare


def measured_sizes(rows):
    return [size for size in SIZES if better(rows, size, "bare", "forward")]


def print_table(rows):
    print("ms forward / step, the better of XLA on and off; memory beyond Conv2D's")
    names = "".join(f"{name:>16}" for name in IMPLEMENTATIONS)
    print(f"{'size':>34}{names}  over printed", end="")
    print("  over listing (to reach)   memory (to reach)  forward / bare work")
    for size in measured_sizes(rows):
        print(f"{size!s:>34}", end="")
        for name in IMPLEMENTATIONS:
            forward, step = (
                better(rows, size, name, what)["milliseconds"]
                for what in ("forward", "step")
            )
            print(f"{f'{forward:.1f} / {step:.1f}':>16}", end="")
        for over in ("printed", "listing"):
            print("   {:.2f} / {:.2f}".format(*speed_ups(rows, size, over)), end="")
        memory, over_bare = compare(rows, size)
        to_reach = TARGETS[SIZES.index(size)]
        print(f" ({to_reach[0]} / {to_reach[1]})", end="")
        print(f"   {memory:8.3f} ({to_reach[2]:.3f})     {over_bare:.2f}")


def draw(rows, measured):
    from aa_keras.visualization import style

    figure = style.new_figure(10, 3.8)
    speed, memory = figure.subplots(1, 2)
    sizes = measured_sizes(rows)
    color, marker = style.IMPLEMENTATIONS["fused"]
    for offset, what, alpha in ((-0.2, "forward", 1.0), (0.2, "step", 0.5)):
        index = ("forward", "step").index(what)
        values = [speed_ups(rows, size, "listing")[index] for size in sizes]
        places = [place + offset for place in range(len(sizes))]
        bars = speed.bar(places, values, 0.38, label=what, color=color, alpha=alpha)
        speed.bar_label(bars, fmt="%.1f", fontsize=style.SMALL, color=style.INK)
    speed.axhline(1, color=style.INK, linewidth=0.8)
    speed.margins(y=0.25)
    names = [f"{b}×{h}×{w}\n×{c}" for b, h, w, c, *_ in sizes]
    speed.set_xticks(range(len(sizes)), names)
    speed.set_title("fused form, the better of XLA on and off", fontsize=style.TEXT)
    style.finish(speed, None, "times as fast as the listing")
    for name, (color, marker) in style.IMPLEMENTATIONS.items():
        points = [
            (size[1], row["extra_peak_bytes"] / 2**20)
            for size in MEMORY_SIZES
            if (row := better(rows, size, name, "forward"))
        ]
        if points:
            x, y = zip(*points, strict=True)
            memory.loglog(x, y, marker=marker, label=name, color=color)
    sides = [size[1] for size in MEMORY_SIZES]
    memory.set_xticks(sides, [f"{n}×{n}" for n in sides])
    memory.set_xticks([], minor=True)
    memory.set_title("peak memory of a forward pass, batch 1", fontsize=style.TEXT)
    style.finish(memory, None, "MiB beyond Conv2D", legend=bool(memory.lines))
    is_committed = measured.parent == OUTPUT
    path = ROOT / PICTURE if is_committed else measured.with_suffix(".png")
    source = measured.relative_to(ROOT) if is_committed else measured
    figure.savefig(path, metadata=style.origin(source))


if __name__ == "__main__":
    main()
