"""The values that the commands take, each with its refusal."""

import datetime
import os

import click

from aa_keras.config import shipped


class Pixel(click.ParamType):
    """`Y,X`, two whole numbers."""

    name = "Y,X"

    def convert(self, value, param, context):
        try:
            y, x = (int(number) for number in value.split(","))
        except ValueError:
            self.fail(f"received {value!r}; allowed: Y,X, as in 3,5", param, context)
        return y, x


class Head(click.ParamType):
    """A whole number, `mean` or `max`."""

    name = "N|mean|max"

    def convert(self, value, param, context):
        if isinstance(value, str) and value not in ("mean", "max"):
            if not value.isdecimal():
                message = f"received {value!r}; allowed: a number from 0, mean or max"
                self.fail(message, param, context)
            return int(value)
        return value


class PicturePath(click.ParamType):
    """The path of a picture file, or of a folder of them, that is there."""

    name = "path"

    def convert(self, value, param, context):
        if not os.path.exists(value):
            self.fail(f"{value}: no such file or folder", param, context)
        return value


class ClockTime(click.ParamType):
    """`HH:MM`, the next moment at which the clock shows it."""

    name = "HH:MM"

    def convert(self, value, param, context):
        try:
            clock = datetime.datetime.strptime(value, "%H:%M").time()
        except ValueError:
            message = f"received {value!r}; allowed: HH:MM, as in 23:30"
            self.fail(message, param, context)
        now = datetime.datetime.now()
        moment = datetime.datetime.combine(now, clock)
        return moment if moment > now else moment + datetime.timedelta(days=1)


class ExperimentFile(click.ParamType):
    """The path of an experiment file, or the name of a shipped one."""

    name = "CONFIG"

    def convert(self, value, param, context):
        return str(shipped.find_experiment(value))


def ends_in(*suffixes):
    """A callback of click that refuses other names of files."""

    def check(context, param, value):
        if value and not value.lower().endswith(suffixes):
            allowed = " or ".join(suffixes)
            raise click.BadParameter(
                f"received {value!r}; allowed: a file that ends in {allowed}"
            )
        return value

    return check


def pictures_in(path):
    """The picture files of a folder in the order of their names, or the file itself.

    Names that begin with a dot are skipped, as in image folders.
    """
    if not os.path.isdir(path):
        return [path]
    suffixes = (".jpg", ".jpeg", ".png")
    names = (name for name in sorted(os.listdir(path)) if name[0] != ".")
    found = [name for name in names if name.lower().endswith(suffixes)]
    if not found:
        raise click.BadParameter(f"no {', '.join(suffixes)} in the folder {path!r}")
    return [os.path.join(path, name) for name in found]


experiment_file = click.argument("experiment", metavar="CONFIG", type=ExperimentFile())
settings = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the file, as in train.epochs=2.",
)
