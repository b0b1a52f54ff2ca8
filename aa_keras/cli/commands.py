"""The commands on runs.

Those that need TensorFlow import it themselves, so that `--help` and a mistake in an
experiment file are reported at once.
"""

import json
import os
import signal
import sys

import click

from aa_keras import __version__, config
from aa_keras.cli import describing
from aa_keras.cli.arguments import (
    ClockTime,
    ExperimentFile,
    Head,
    PicturePath,
    Pixel,
    ends_in,
    experiment_file,
    pictures_in,
    settings,
)
from aa_keras.cli.noise import quiet_import, silenced
from aa_keras.cli.printing import metrics_line, print_table, say
from aa_keras.cli.requirements import extras_of, require
from aa_keras.export.formats import FORMATS
from aa_keras.finished_runs import find_run
from aa_keras.plain_text import as_table

# The folder of a run, or the name of weights that come with the package.
finished_run = click.argument("workdir", metavar="DIR_OR_WEIGHTS", type=click.Path())
PICTURES_AT_ONCE = 32  # in `predict`
PIXEL_HELP = "A pixel of the network's input; may be given several times."


def _count(name, *, default=1, help):
    """An option that takes a whole number from 1."""
    at_least_one = click.IntRange(1)
    return click.option(
        name, default=default, show_default=True, type=at_least_one, help=help
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aa-keras")
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
def cli(traceback):
    """Attention-augmented convolutional networks for Keras."""


@cli.command()
@experiment_file
@click.option("--workdir", required=True, type=click.Path(), help="The run's folder.")
@settings
@click.option("--smoke", is_flag=True, help="Two steps and one batch of evaluation.")
@click.option("--restart", is_flag=True, help="Start anew; keep the old run apart.")
def train(experiment, workdir, overrides, smoke, restart):
    """Train an experiment, or resume where it was interrupted.

    CONFIG is a file, or a name that `aa-keras list` prints.
    """
    defaults = ("smoke=true", "data.batch_size=2", "train.jit_compile=false")
    with silenced():  # its modules may import TensorFlow
        loaded = config.load(experiment, (*(defaults if smoke else ()), *overrides))
    require(*extras_of(loaded))
    with quiet_import():
        from aa_keras import training
    try:
        result = training.train(loaded, workdir, say, restart=restart)
    except training.Interrupted as interrupted:
        say(interrupted)
        sys.exit(interrupted.status)
    except ValueError as error:
        raise ValueError(f"{experiment}: {error}") from error
    for split, metrics in result["metrics"].items():
        say(metrics_line(f"{split:10}", metrics))
    if os.path.isdir(workdir):  # the chief's, if there are several workers
        commands = "evaluate, predict, maps, export and report"
        say(f"in {workdir}, for aa-keras {commands}")


@cli.command()
@click.argument(
    "experiments", metavar="CONFIG...", nargs=-1, required=True, type=ExperimentFile()
)
@click.option("--workdir", required=True, type=click.Path(), help="Folder of all runs.")
@_count("--seeds", help="Seeds of each experiment.")
@_count("--jobs", help="Runs at a time.")
@click.option("--threads", type=click.IntRange(1), help="Of each run; defaults to all.")
@click.option(
    "--until",
    type=ClockTime(),
    help="At this time each run finishes its step, saves and stops.",
)
@settings
def sweep(experiments, workdir, seeds, jobs, threads, until, overrides):
    """Train experiments with several seeds each; continue where it was stopped."""
    require("train")
    from aa_keras import sweep

    def show():
        print_table(sweep.table(runs))

    with silenced():  # modules of the files may import TensorFlow
        runs = sweep.plan(experiments, seeds, workdir, overrides)
        loaded = [config.load(file, overrides) for file in experiments]
    require(*(extra for one in loaded for extra in extras_of(one)))
    show()
    options = {"jobs": jobs, "threads": threads, "until": until}
    # Its runs are saved and end with it, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    failed = sweep.sweep(runs, overrides=overrides, report=say, **options)
    show()
    if failed:
        titles = ", ".join(run.title for run in failed)
        raise RuntimeError(f"{len(failed)} of {len(runs)} runs failed: {titles}")


@cli.command()
@finished_run
@click.option(
    "--split", default="test", show_default=True, metavar="NAME", help="Of the data."
)
@click.option(
    "--data-dir",
    type=click.Path(),
    help="Data in place of the run's; the result is printed only.",
)
def evaluate(workdir, split, data_dir):
    """Measure a finished run, or shipped weights, on a whole split."""
    _require_for_run(workdir)
    with quiet_import():
        from aa_keras import training
    metrics = training.evaluate(workdir, split, data_dir)
    say(metrics_line(f"{workdir} {split}:", metrics))


@cli.command()
@click.argument("path", metavar="DATA_OR_WORKDIR", type=click.Path())
def check(path):
    """Count and decode all images of a folder, or verify the files of a run.

    A folder of images, a data_dir of tensorflow-datasets, or a --workdir. The status
    is 1 if something is damaged.
    """
    if not os.path.isdir(path):
        raise click.BadParameter(f"received {path!r}; allowed: a folder that exists")
    require("train")
    with quiet_import():
        from aa_keras import verification
    rows, damage = verification.verify(path)
    for line in (*as_table(rows), *damage):
        say(line)
    sys.exit(1 if damage else 0)


@cli.command()
@finished_run
@click.argument(
    "images", metavar="IMAGE...", type=PicturePath(), nargs=-1, required=True
)
@_count("--top", default=3, help="Answers for each image.")
@click.option("--out", callback=ends_in(".png"), help="Draw the answer on one IMAGE.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each image.")
def predict(workdir, images, top, out, as_json):
    """Name the classes or objects in images, the most probable first.

    An IMAGE may be a folder: its files of JPEG and PNG.
    """
    images = [path for image in images for path in pictures_in(image)]
    if out:
        _require_one(images, "one")
    _require_for_run(workdir)
    with quiet_import():
        from PIL import Image

        from aa_keras import training
        from aa_keras.data.served_decoding import read_picture
        from aa_keras.tasks import require_pictures
    run = training.load_run(workdir)
    task = require_pictures(run.task)
    channels = task.preprocessing.channels
    for first in range(0, len(images), PICTURES_AT_ONCE):
        paths = images[first : first + PICTURES_AT_ONCE]
        pictures = [read_picture(path, channels) for path in paths]
        predictions = task.predict(run.model, pictures)
        for path, prediction in zip(paths, predictions, strict=True):
            if as_json:
                best = {key: values[:top] for key, values in prediction.items()}
                click.echo(json.dumps({"image": path, **best}))
            else:
                say(f"{path}: {task.describe(prediction, top)}")
    if out:
        Image.fromarray(task.draw(pictures[0], predictions[0])).save(out)
        say(out, err=as_json)


@cli.command(name="export")
@finished_run
@click.argument("out", type=click.Path())
@click.option(
    "--format", default="saved_model", show_default=True, type=click.Choice([*FORMATS])
)
@click.option(
    "--attention-layer",
    metavar="NAME",
    help="Whose scores are served; defaults to the first with attention, as in maps.",
)
@click.option(
    "--platform",
    type=click.Choice(["cpu", "gpu"]),
    help="Where it will run; defaults to what this machine computes on.",
)
def export_(workdir, out, format, attention_layer, platform):
    """Write OUT/<version>/ for serving, checked by loading it again."""
    _require_for_run(workdir, *([] if format == "saved_model" else [format]))
    with quiet_import():
        from aa_keras import export
    say(export.export(workdir, out, format, attention_layer, platform))


@cli.command()
@finished_run
@click.argument(
    "images", metavar="IMAGE...", type=PicturePath(), nargs=-1, required=True
)
@click.option("--out", required=True, callback=ends_in(".png", ".html"))
@click.option("--layer", metavar="NAME", help="Defaults to the first with attention.")
@click.option(
    "--head", type=Head(), metavar="N|mean|max", help="Defaults to all heads."
)
@click.option("--query", "queries", multiple=True, type=Pixel(), help=PIXEL_HELP)
@click.option("--received", is_flag=True, help="Draw who looks at the pixel instead.")
@click.option("--overview", is_flag=True, help="Draw all layers and heads of a pixel.")
@click.option(
    "--opacity", type=click.FloatRange(0, 1), help="Lay the maps over the image."
)
def maps(workdir, images, out, layer, head, queries, received, overview, opacity):
    """Draw where the network looks: a row per query pixel, a column per head.

    An .html is a page to explore all layers and heads of the images. An IMAGE may be a
    folder then. --head, --received, --overview and --opacity are for a .png.
    """
    images = [path for image in images for path in pictures_in(image)]
    as_page = out.lower().endswith(".html")
    options = {"--head": head is not None, "--received": received}
    options |= {"--overview": overview, "--opacity": opacity is not None}
    given = [name for name, is_given in options.items() if is_given]
    if as_page and given:
        message = f"received {out!r} and {given[0]}; allowed: a file that ends in .png"
        raise click.BadParameter(message, param_hint="--out")
    if not as_page:
        _require_one(images, "one, or an .html")
    if overview and (head is not None or len(queries) > 1):
        message = "allowed: no --head, and one --query"
        raise click.BadParameter(message, param_hint="--overview")
    _require_for_run(workdir, "viz")
    with quiet_import():
        from aa_keras import layers, training
        from aa_keras.cli import drawing
        from aa_keras.tasks import require_pictures
    run = training.load_run(workdir)
    task = require_pictures(run.task)
    names = list(layers.attention_layers(run.model))
    if not names:
        raise ValueError(f"{workdir}: the network has no attention layer")
    names = [layer, *(n for n in names if n != layer)] if layer else names
    if as_page:
        drawing.write_page(out, run, task, images, names, queries)
    else:
        options = {"received": received, "overview": overview, "opacity": opacity}
        figure = drawing.draw_figure(
            run, task, images[0], names, queries, head, **options
        )
        figure.savefig(out, dpi=150)
    say(out)


def _require_one(images, allowed):
    if len(images) > 1:
        message = f"received {len(images)} images; allowed: {allowed}"
        raise click.BadParameter(message, param_hint="--out")


def _require_for_run(workdir, *extras):
    require("train", *extras)
    run = find_run(workdir)
    run.require_finished()
    with silenced():
        loaded = run.read_experiment()
    require(*extras_of(loaded))


for command in describing.COMMANDS:
    cli.add_command(command)
