"""A finished run, by its work directory or by the name of its shipped weights."""

from pathlib import Path

from aa_keras import config, models
from aa_keras.models import pretrained
from aa_keras.workdir import Run, WorkDir


def find_run(path, folder=None) -> "WorkDir | ShippedRun":
    """Returns a work directory, or the run whose weights come with the package.

    Args:
        path: path of a work directory, or the name of shipped weights, as in
            `"cifar100/aa_resnet_8"`. A folder that exists is a work directory.
        folder: path of the folder of shipped weights. Defaults to that of the package.

    Raises:
        ValueError: if it is neither, in one line with the names of shipped weights.
    """
    path = Path(path)
    if path.is_dir():
        return WorkDir(path)
    if path.as_posix() in pretrained.read_index(folder):
        return ShippedRun(path.as_posix(), folder)
    raise ValueError(
        f"{path}: no such folder or weights; allowed: the --workdir of a finished "
        "`aa-keras train`, or the name of shipped weights: "
        f"{pretrained.listing(folder)}"
    )


class ShippedRun:
    """The run that trained shipped weights; it has what commands ask of a `WorkDir`."""

    def __init__(self, name, folder=None):
        self.name, self.folder = name, folder
        _, self.entry = pretrained.find(name, folder=folder)

    def __str__(self):
        return self.name

    def require_finished(self) -> None:
        """Raises ValueError if the file of the weights is missing or damaged."""
        self.weights_file()

    def weights_file(self) -> Path:
        return pretrained.verified_file(self.name, self.entry, self.folder)

    def read_experiment(self) -> config.Experiment:
        return config.parse(self.entry.experiment, Path(self.name))

    def load(self) -> Run:
        """Loads the run as `WorkDir.load` does; its result is the index's entry."""
        from aa_keras.tasks import find_task

        experiment = self.read_experiment()
        description = pretrained.read_data(self.entry.data, self.folder)
        task = find_task(experiment).load(experiment, description)
        model = models.registry.build_network(
            self.entry.family, {}, self.name, folder=self.folder
        )
        result = {"name": self.name, **self.entry.model_dump(exclude={"experiment"})}
        return Run(experiment, task, model, result)
