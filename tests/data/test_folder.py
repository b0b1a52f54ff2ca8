import contextlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from aa_keras import data


def save(path, level, size=(9, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)


@pytest.fixture
def with_splits(tmp_path):
    for split, count in (("train", 6), ("validation", 4)):
        for label, name in enumerate(("cat", "dog")):
            for number in range(count):
                suffix = (".png", ".bmp")[number % 2]
                save(
                    tmp_path / split / name / f"{number}{suffix}", 100 * label + number
                )
    return tmp_path


def levels(source, split):
    return sorted(
        (int(label), int(image[0, 0, 0]))
        for image, label in source.load(split).as_numpy_iterator()
    )


def test_folders_for_splits(with_splits):
    source = data.open_source("image_folder", str(with_splits))
    assert source.class_names == ("cat", "dog")
    assert source.num_examples == {"train": 12, "test": 8}
    expected = [(0, n) for n in range(4)] + [(1, 100 + n) for n in range(4)]
    assert levels(source, "test") == expected


def test_carved_splits_hold_every_picture_once(with_splits):
    source = data.open_source("image_folder", str(with_splits), validation_examples=5)
    assert source.num_examples == {"train": 7, "test": 8, "validation": 5}
    both = levels(source, "train") + levels(source, "validation")
    assert sorted(both) == [(0, n) for n in range(6)] + [(1, 100 + n) for n in range(6)]


def test_folders_for_classes_alone(with_splits):
    source = data.open_source("image_folder", str(with_splits / "train"))
    assert source.num_examples == {"train": 10, "test": 2}  # the fifth of each class
    # In the order of names, 0.png, 1.bmp, 2.png, ...
    assert levels(source, "test") == [(0, 4), (1, 104)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: None, r"received None; allowed"),
        (lambda root: root / "absent", r"absent'; allowed"),
        (lambda root: root / "train" / "cat", r"has 0 folders; allowed"),
    ],
)
def test_no_folders_to_read(with_splits, change, message):
    path = change(with_splits)
    with pytest.raises(ValueError, match=message):
        data.open_source("image_folder", path and str(path))


def test_a_class_or_a_split_without_pictures(with_splits):
    (with_splits / "train" / "cow").mkdir()
    with pytest.raises(ValueError, match=r"train contains no picture of 'cow'; allow"):
        data.open_source("image_folder", str(with_splits))
    with pytest.raises(ValueError, match=r"no class of five pictures.*; allowed: more"):
        data.open_source("image_folder", str(with_splits / "validation"))


def test_a_class_that_train_lacks(with_splits):
    save(with_splits / "validation" / "cow" / "0.png", 0)
    with pytest.raises(ValueError, match="has the class 'cow'; allowed"):
        data.open_source("image_folder", str(with_splits))


def test_a_broken_picture(with_splits, capfd):
    broken = with_splits / "train" / "dog" / "0.png"
    broken.write_bytes(broken.read_bytes()[:40])
    preprocessing = data.Preprocessing(8, (0.5,) * 3, (0.5,) * 3)

    def labels(policy, seed=0, first_batch=0):
        source = data.open_source(
            "image_folder", str(with_splits), corrupt_images=policy
        )
        batches = data.build_training(
            source,
            preprocessing,
            augmentation="none",
            batch_size=4,
            seed=seed,
            epochs=range(1),
            first_batch=first_batch,
        )
        return np.concatenate([y for _, y in batches.as_numpy_iterator()])

    with pytest.raises(Exception, match=r"corrupt image .* dog/0\.png|dog.0\.png"):
        labels("stop")
    # An epoch keeps its length: the place is taken by another image.
    assert len(labels("skip")) == 12
    assert f"Skipped a corrupt image: {broken}" in capfd.readouterr().err

    # A run that resumes in the middle of an epoch leaves out the same batches, which
    # it does not even decode where each picture counts.
    np.testing.assert_array_equal(labels("skip", first_batch=2), labels("skip")[8:])
    lengths = []
    for seed in range(6):
        with contextlib.suppress(tf.errors.UnknownError):
            lengths.append(len(labels("stop", seed, first_batch=2)))
    assert 0 < len(lengths) < 6
    assert set(lengths) == {4}
