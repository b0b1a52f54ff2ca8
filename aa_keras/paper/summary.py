"""The counts of one experiment's network beside the paper's."""

from typing import Any

from aa_keras import config, counting, memory, models
from aa_keras.data.sources import num_channels
from aa_keras.paper import facts


def summarize(
    experiment: config.Experiment, batch: int | None = None
) -> dict[str, Any]:
    """Returns the counts of an experiment's network beside the paper's.

    `options` are the network's, with the family's values. `paper` lists the rows that
    the experiment reproduces, with the `claimed` numbers and the `difference` of what
    is built (parameters in millions, GFLOPs as the paper counts them). `memory` is that
    of a training step of `batch` images, where a number is given.
    """
    size, channels = experiment.data.image_size, num_channels(experiment.data.name)
    network = experiment.model.model_dump(exclude_none=True)
    model = models.build(input_shape=(size, size, channels), **network)
    cost = counting.count(model)
    claims = []
    for entry in experiment.paper:
        found = facts.find_row(entry.table, entry.row, entry.figure, entry.paper)
        claimed = dict(found.paper)
        built = {"params_m": cost.params / 1e6, "gflops": getattr(cost, found.counted)}
        shared = [key for key in built if key in claimed]
        difference = {key: round(built[key] - claimed[key], 3) for key in shared}
        row = entry.model_dump(exclude_none=True)
        claims.append({**row, "claimed": claimed, "difference": difference})
    return {
        "name": experiment.name,
        "options": models.resolved_options(**network),
        **cost._asdict(),
        "paper": claims,
        **({"memory": _memory(model, batch, (size, size, channels))} if batch else {}),
    }


def _memory(model, batch, input_shape):
    estimate = memory.estimate_step(model, batch, input_shape)
    layers = [layer._asdict() for layer in estimate.layers]
    return {"batch": batch, **estimate._asdict(), "layers": layers}


def summary_as_text(summary: dict[str, Any]) -> str:
    """Returns `summarize`'s dict as lines for the console."""
    options = dict(summary["options"])
    parts = {"attention": options.pop("attention", None) or {}, "network": options}
    lines = [
        summary["name"],
        *(
            f"  {part:13} "
            + ", ".join(f"{k} {v}" for k, v in values.items() if v is not None)
            for part, values in parts.items()
            if values
        ),
        f"  parameters    {summary['params']:,}",
        f"  gflops_paper  {summary['gflops_paper']:.4g}"
        "   (a multiply-add is 2 in convolutions, 1 in attention)",
        f"  gflops        {summary['gflops']:.4g}   (2 everywhere)",
    ]
    for claim in summary["paper"]:
        numbers = ", ".join(
            f"{key} {claim['claimed'][key]} ({difference:+.3f})"
            for key, difference in claim["difference"].items()
        )
        kind = "figure" if "figure" in claim else "table"
        paper = "paper" if claim["paper"] == facts.MAIN_PAPER else claim["paper"]
        place = f"{paper}, {kind} {claim[kind]}, {claim['row']}"
        lines.append(f"  {place}: {numbers or 'no count'}")
    return "\n".join([*lines, *_memory_lines(summary.get("memory"))])


def _memory_lines(estimate):
    if estimate is None:
        return
    title = f"memory of a step of {estimate['batch']} images, estimated, in MiB"
    yield f"  {title}"
    yield f"    {'':30} {'map':>9} {'listing':>9} {'fused':>9}"
    for layer in estimate["layers"]:
        size = " x ".join(map(str, layer["size"]))
        needed = [_mib(layer["kept"][k] + layer["peak"][k]) for k in layer["kept"]]
        yield f"    {layer['name']:30} {size:>9} {needed[0]:>9} {needed[1]:>9}"
    for name in ("weights", "activations"):
        amount = _mib(estimate[name])
        yield f"    {name:30} {'':9} {amount:>9} {amount:>9}"
    total = [_mib(number) for number in estimate["total"].values()]
    yield f"    {'the whole step':30} {'':9} {total[0]:>9} {total[1]:>9}"


def _mib(number):
    return f"{number / 2**20:,.0f}"
