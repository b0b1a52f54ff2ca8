"""The counts of one experiment's network beside the paper's."""

from typing import Any

from aa_keras import config, counting, models
from aa_keras.data.sources import num_channels
from aa_keras.paper import facts


def summarize(experiment: config.Experiment) -> dict[str, Any]:
    """Returns the counts of an experiment's network beside the paper's.

    `options` are the network's, with the family's values. `paper` lists the rows that
    the experiment reproduces, with the `claimed` numbers and the `difference` of what
    is built (parameters in millions, GFLOPs as the paper counts them).
    """
    size, channels = experiment.data.image_size, num_channels(experiment.data.name)
    network = experiment.model.model_dump(exclude_none=True)
    cost = counting.count(models.build(input_shape=(size, size, channels), **network))
    built = {"params_m": cost.params / 1e6, "gflops": cost.gflops_paper}
    claims = []
    for entry in experiment.paper:
        claimed = dict(facts.find_row(entry.table, entry.row, entry.figure).paper)
        shared = [key for key in built if key in claimed]
        difference = {key: round(built[key] - claimed[key], 3) for key in shared}
        row = entry.model_dump(exclude_none=True)
        claims.append({**row, "claimed": claimed, "difference": difference})
    return {
        "name": experiment.name,
        "options": models.resolved_options(**network),
        **cost._asdict(),
        "paper": claims,
    }


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
        place = f"{kind} {claim[kind]}"
        lines.append(f"  paper, {place}, {claim['row']}: {numbers or 'no count'}")
    return "\n".join(lines)
