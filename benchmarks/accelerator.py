"""The layer and a network on an accelerator: time, memory and bytes of each form.

    python benchmarks/accelerator.py                  # times them on the device here
    python benchmarks/accelerator.py --compile-only   # asks the compiler of a TPU

It needs the core of this package and JAX or torch (KERAS_BACKEND), no TensorFlow and no
data. `--compile-only` needs JAX and the package libtpu, but no TPU. What it writes then
is what the compiler states:

- GB accessed: what all operations read and write. The compiler counts the body of a
  loop once, so that loops are unrolled here. For the Pallas kernel it repeats what the
  kernel states: each of its arrays once.
- GB temporary: memory beside arguments and results; of the unrolled program, if it has
  loops.
"""

import argparse
import json
import os
import re
import statistics
import time
from pathlib import Path

OUTPUT = Path(__file__).parent / "out"
# batch, height, width, channels
LAYERS = [
    (batch, side, side, channels)
    for side, channels in ((14, 256), (28, 128), (40, 256), (64, 128))
    for batch in (32, 128)
]
NETWORK = ("AAResNet50", 32)  # and the batch
TOPOLOGY = "v5e:2x2"
FORMS = {"cpu": ("fused",), "gpu": ("chunked", "cudnn"), "tpu": ("chunked", "pallas")}
REPEATS = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile-only", action="store_true")
    parser.add_argument("--sides", type=int, nargs="*", default=(14, 28, 40, 64))
    parser.add_argument("--batches", type=int, nargs="*", default=(32, 128))
    parser.add_argument("--forms", nargs="*", help="Defaults to all of the device.")
    parser.add_argument("--network", action="store_true", help=f"also {NETWORK[0]}")
    parser.add_argument("--dtype", default="float32", help="or mixed_bfloat16")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    measure = CompileForTPU() if arguments.compile_only else TimeHere()
    shapes = [
        s for s in LAYERS if s[1] in arguments.sides and s[0] in arguments.batches
    ]
    shapes += [NETWORK] * arguments.network
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "_", measure.device.lower())
    file = arguments.output / f"accelerator_{name}.json"
    rows = json.loads(file.read_text()) if file.exists() else []
    for shape in shapes:
        for form in arguments.forms or ("listing", *FORMS[measure.kind]):
            if form == "cudnn" and "16" not in arguments.dtype:
                continue
            for what in ("forward", "step"):
                row = {"shape": shape, "form": form, "what": what}
                row |= {"dtype": arguments.dtype, "device": measure.device}
                row |= measure(shape, form, what, arguments.dtype)
                key = ("shape", "form", "what", "dtype")
                rows = [r for r in rows if any(list(r[k]) != list(row[k]) for k in key)]
                rows.append(row)
                print(json.dumps(row), flush=True)
                text = ",\n".join(map(json.dumps, rows))
                file.write_text(f"[\n{text}\n]\n")  # what is done is kept
    print_table(rows)


def build(shape, form, dtype):
    """Returns a layer or the network, and the shape of its input."""
    import keras

    from aa_keras import layers, models

    keras.config.set_dtype_policy(dtype)
    if shape is NETWORK:
        name, batch = shape
        model = getattr(models, name)(classifier_activation=None)
        for layer in layers.attention_layers(model).values():
            layer.implementation = form
        return model, (batch, *model.input_shape[1:])
    layer = layers.AugmentedConv2D(shape[-1], 3, implementation=form)
    layer.build(shape)
    return layer, shape


def jax_program(model, what):
    """Returns `forward` or `step` as a function of lists of weights and an input."""
    import jax
    from jax import numpy as jnp

    def forward(trainable, others, x):
        return model.stateless_call(trainable, others, x)[0]

    def loss(trainable, others, x):
        options = {"training": True} if others else {}
        y, _ = model.stateless_call(trainable, others, x, **options)
        return jnp.sum(jnp.square(y.astype("float32")))

    return forward if what == "forward" else jax.grad(loss, argnums=(0, 2))


def weights_of(model):
    variables = (model.trainable_variables, model.non_trainable_variables)
    return [[variable.value for variable in part] for part in variables]


class CompileForTPU:
    """Compiles for a TPU that is not here."""

    kind, device = "tpu", "TPU v5e, compiled only"

    def __init__(self):
        import importlib.util

        library = Path(importlib.util.find_spec("libtpu").origin).parent / "libtpu.so"
        os.environ |= {
            "JAX_PLATFORMS": "cpu",
            "KERAS_BACKEND": "jax",
            "TPU_ACCELERATOR_TYPE": "v5e-4",
            "TPU_LIBRARY_PATH": str(library),
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_WORKER_HOSTNAMES": "localhost",
        }
        from jax.experimental import topologies
        from jax.sharding import SingleDeviceSharding

        from aa_keras.layers.attention import implementations

        topology = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGY)
        self.sharding = SingleDeviceSharding(topology.devices[0])
        # All iterations of a loop at once: `scan` unrolls as many as are in flight.
        unrolled = implementations.MEMORY._replace(in_flight=True)
        implementations.MEMORY = unrolled

    def __call__(self, shape, form, what, dtype):
        import jax

        model, input_shape = build(shape, form, dtype)

        def describe(x):
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self.sharding)

        weights = jax.tree.map(describe, weights_of(model))
        x = jax.ShapeDtypeStruct(input_shape, "float32", sharding=self.sharding)
        try:
            lowered = jax.jit(jax_program(model, what)).lower(*weights, x)
            compiled = lowered.compile()
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return {"error": "more memory than the device has"}
        cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
        return {
            "gb_accessed": cost["bytes accessed"] / 1e9,
            "gb_temporary": memory.temp_size_in_bytes / 1e9,
            "gflop": cost["flops"] / 1e9,
        }


class TimeHere:
    """Times on the device of this machine."""

    def __init__(self):
        from keras import backend

        from aa_keras.backends import read_device

        self.kind, self.backend = read_device(), backend.backend()
        if self.backend not in ("jax", "torch"):
            raise SystemExit(f"KERAS_BACKEND is {self.backend}; set it to jax or torch")
        name = {"jax": _jax_name, "torch": _torch_name}[self.backend](self.kind)
        self.device = f"{name}, {self.backend}"

    def __call__(self, shape, form, what, dtype):
        if self.backend == "torch" and form in ("pallas", "cudnn"):
            return {"error": "of JAX alone"}
        model, input_shape = build(shape, form, dtype)
        prepare = {"jax": _prepare_jax, "torch": _prepare_torch}[self.backend]
        run, gb_temporary = prepare(model, input_shape, what)
        durations = []
        for _ in range(REPEATS + 3):
            start = time.perf_counter()
            run()
            durations.append(1000 * (time.perf_counter() - start))
        milliseconds = statistics.median(durations[3:])
        return {"milliseconds": milliseconds, "gb_temporary": gb_temporary()}


def _jax_name(kind):
    import jax

    return jax.devices()[0].device_kind


def _torch_name(kind):
    import torch

    return "cpu" if kind == "cpu" else torch.cuda.get_device_name()


def _prepare_jax(model, input_shape, what):
    import jax

    weights = weights_of(model)
    x = jax.random.normal(jax.random.key(0), input_shape)
    compiled = jax.jit(jax_program(model, what)).lower(*weights, x).compile()
    temporary = compiled.memory_analysis().temp_size_in_bytes / 1e9
    return lambda: jax.block_until_ready(compiled(*weights, x)), lambda: temporary


def _prepare_torch(model, input_shape, what):
    import torch
    from keras.src.backend.torch.core import get_device

    x = torch.randn(input_shape, device=get_device(), requires_grad=what == "step")
    on_gpu = x.is_cuda

    def run():
        with torch.set_grad_enabled(what == "step"):
            y = model(x, training=True) if hasattr(model, "layers") else model(x)
            if what == "step":
                torch.sum(torch.square(y.float())).backward()
        if on_gpu:
            torch.cuda.synchronize()

    def gb_temporary():
        return torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None

    return run, gb_temporary


def print_table(rows):
    """Prints each form beside the listing."""
    columns = ("milliseconds", "gb_accessed", "gb_temporary", "gflop")
    columns = [name for name in columns if any(name in row for row in rows)]
    print("| shape | dtype | what | form |", " | ".join(columns), "|")
    print("|---" * (4 + len(columns)) + "|")
    for row in rows:
        shape = ", ".join(map(str, row["shape"]))
        cells = [shape, row["dtype"], row["what"], row["form"]]
        alike = (
            r
            for r in rows
            if r["form"] == "listing"
            and all(r[k] == row[k] for k in ("dtype", "what"))
            and list(r["shape"]) == list(row["shape"])
        )
        listing = next(alike, row)
        for name in columns:
            value, other = row.get(name), listing.get(name)
            if value is None:
                cells.append(row.get("error", ""))
            elif value and other and row is not listing and name != "gflop":
                cells.append(f"{value:.3g} (1 / {other / value:.1f})")
            else:
                cells.append(f"{value:.3g}")
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
