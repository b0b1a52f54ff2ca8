"""What `aa-keras maps` writes: a page of some pictures, or a figure of one."""

import os

import numpy as np

from aa_keras import visualization


def write_page(out, run, task, paths, names, queries):
    """Writes the page of pictures; it opens on the first of `names`."""
    inputs, pictures = zip(*(task.read(path) for path in paths), strict=True)
    inputs = np.stack(inputs)
    name = run.experiment.name
    titles = [os.path.basename(path) for path in paths]
    visualization.write_attention_page(
        out,
        run.model,
        inputs,
        layers=names,
        pictures=pictures,
        names=titles,
        predictions=task.predict_inputs(run.model, inputs),
        query=queries[0] if queries else None,
        title=name if len(titles) > 1 else f"{titles[0]}: {name}",
    )


def draw_figure(run, task, path, names, queries, head, *, received, overview, opacity):
    """Returns the figure of one picture: of the first of `names`, or of all."""
    inputs, picture = task.read(path)
    (prediction,) = task.predict_inputs(run.model, inputs[None])
    if "boxes" in prediction:
        picture = task.draw(picture, prediction)
    queries = queries or [(inputs.shape[0] // 2, inputs.shape[1] // 2)]
    read = visualization.attention_scores
    if received:
        read = visualization.attention_received
    scores = read(run.model, inputs[None], queries, names if overview else names[:1])
    title = f"{os.path.basename(path)}: "
    options = {} if opacity is None else {"opacity": opacity}
    if overview:
        (query,) = queries
        chosen = {name: layer[0, :, 0] for name, layer in scores.items()}
        return visualization.draw_attention_overview(
            picture, chosen, query, title=title + run.experiment.name, **options
        )
    ((name, layer),) = scores.items()
    heads = None if head is None else [head]
    return visualization.draw_attention_maps(
        picture, layer[0], queries, heads=heads, title=title + name, **options
    )
