"""Time and memory of layers, each case in a process of its own.

Milliseconds are the median of some runs after two to warm up; extra peak bytes are the
process's peak resident memory less that of a process with a convolution. The machine is
slower at some moments than at others. So all cases run again as often as the minutes
allow, and the fastest process of each case counts. With a single pass, differences of a
tenth between two cases are noise.
"""

import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def time_layer(layer, shape, what, xla, repeats):
    """Returns the median milliseconds of a layer and the peak memory of this process.

    `what` is "forward", or "step" for the gradients of inputs and weights as well.
    """
    import tensorflow as tf

    x = tf.random.normal(shape)
    layer.build(x.shape)
    upstream = tf.random.normal(layer.compute_output_shape(x.shape))
    weights = [weight.value for weight in layer.trainable_weights]

    @tf.function(jit_compile=xla)
    def forward(x, upstream):
        return layer(x)

    @tf.function(jit_compile=xla)
    def step(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) * upstream)
        return tape.gradient(loss, [x, *weights])

    program = {"forward": forward, "step": step}[what]
    milliseconds = time_program(program, (x, upstream), repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"milliseconds": milliseconds, "peak": peak}


def time_program(program, inputs, repeats):
    durations = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        program(*inputs)
        durations.append(1000 * (time.perf_counter() - start))
    return statistics.median(durations[2:])


def measure(run_case, cases, minutes):
    """Returns a row for each case: the fastest of several passes over all of them.

    Args:
        run_case: function of a module that takes the values of a case and returns a
            dict of `milliseconds` and `peak`.
        cases: list of tuples (size, implementation, what, xla, repeats). The first one
            of a size, pass and mode is the one whose memory is subtracted.
        minutes: float. One pass always runs to its end.
    """
    # Forked from a process that has imported the libraries and run nothing.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "aa_keras.layers"])
    fastest, passes, elapsed, start = {}, 0, 0, time.monotonic()
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        # Another pass if it is likely to end in time.
        while not passes or elapsed / passes * (passes + 1) < 60 * minutes:
            for case, row in zip(cases, _pass(pool, run_case, cases), strict=True):
                print(json.dumps(row), file=sys.stderr, flush=True)
                known = fastest.setdefault(case, row)
                fastest[case] = min(known, row, key=lambda row: row["milliseconds"])
            passes, elapsed = passes + 1, time.monotonic() - start
    print(f"each case the fastest of {passes}")
    return list(fastest.values())


def _pass(pool, run_case, cases):
    peaks = {}
    for case in cases:
        size, implementation, what, xla, _ = case
        done = pool.submit(run_case, *case).result()
        least = peaks.setdefault((size, what, xla), done["peak"])
        yield {
            "size": size,
            "implementation": implementation,
            "pass": what,
            "xla": xla,
            "milliseconds": round(done["milliseconds"], 2),
            "extra_peak_bytes": None
            if implementation == "bare"
            else max(done["peak"] - least, 0),
        }


def better(rows, size, implementation, what):
    """The row of the better of XLA on and off, `None` if none was measured."""
    found = [
        row
        for row in rows
        if (tuple(row["size"]), row["implementation"], row["pass"])
        == (tuple(size), implementation, what)
    ]
    return min(found, key=lambda row: row["milliseconds"], default=None)


def write_rows(rows, path):
    """Writes rows as JSON, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ",\n".join(json.dumps(row) for row in rows)
    path.write_text(f"[\n{text}\n]\n")
