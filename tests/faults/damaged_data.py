"""Sets and pictures to damage, and how they are read."""

import pytest

from aa_keras import cli, data

SETS = {
    "cifar100": {"train": 20, "test": 20},
    "imagenet2012": {"train": 20, "validation": 20},
    "coco/2017": {"train": 20, "validation": 20},
}
PREPROCESSING = {
    "classification": data.Preprocessing,
    "detection": data.DetectionPreprocessing,
}


def read(name, data_dir, split, train=True, **options):
    """Reads a split as evaluation and as training does: the numbers of images."""
    source = data.open_source(name, str(data_dir), **options)
    batches = data.detection_batches if source.task == "detection" else data
    channels = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    preprocessing = PREPROCESSING[source.task](8, **channels)
    options = {"augmentation": "none", "batch_size": 4, "seed": 0, "epochs": range(2)}
    counts, arguments = [], (source, preprocessing)
    with source.damage.named():
        for built in (
            batches.build_evaluation(*arguments, split=split, batch_size=4),
            *([batches.build_training(*arguments, split=split, **options)] * train),
        ):
            counts.append(sum(len(images) for images, _ in built.as_numpy_iterator()))
    return counts, source.damage.skipped


def shard_of(data_dir, name, number=1):
    split = "test" if name == "cifar100" else "validation"
    (path,) = data_dir.glob(f"{name}/*/*-{split}.tfrecord-{number:05}*")
    return path


def cut(path):
    path.write_bytes(path.read_bytes()[:40])


def check(path, capsys):
    """The exit status and the lines of `aa-keras check`."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["check", str(path)])
    return caught.value.code, capsys.readouterr().out.splitlines()
