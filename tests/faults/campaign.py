"""What the campaigns share: counted results, a table of them, the status."""

import collections
import resource
import sys

from rich.console import Console
from rich.table import Table


class Campaign:
    """Counts what happened, and keeps the first failures with how to repeat them."""

    def __init__(self):
        self.counts = collections.Counter()
        self.failures = []

    def count(self, part, outcome):
        self.counts[part, outcome] += 1

    def fail(self, part, what):
        self.count(part, "FAILED")
        self.failures.append(f"{part}: {what}")

    def show(self, title):
        """Prints one table, then the failures; returns the exit status."""
        table = Table("part", "outcome", "number", title=title)
        for (part, outcome), number in sorted(self.counts.items()):
            table.add_row(part, outcome, f"{number:,}")
        Console(width=100).print(table)
        for failure in self.failures[:20]:
            print(failure)
        return int(bool(self.failures))


def memory():
    """Resident memory of this process in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def export_quickstart(folder):
    """A network of the quickstart with random weights; returns it, its task, export."""
    from aa_keras import config, export, training
    from aa_keras.tasks import find_task

    experiment = config.load("experiments/quickstart/digits_aa_resnet.yaml")
    task = find_task(experiment).open(experiment)
    shape = task.preprocessing.output_shape
    model = training.build_model(experiment, shape, task.final_activation)
    path = export.export_saved_model(
        model, folder, preprocessing=task.preprocessing, class_names=task.class_names
    )
    return model, task, path


def finish(campaign, title):
    sys.exit(campaign.show(title))
