import numpy as np
import pytest
import tensorflow_datasets as tfds

from aa_keras import data
from aa_keras.data.sources import DATA_SETS, num_channels
from tests import written_sets


def open_written(written, name, **options):
    data_dir, examples = written
    return data.open_source(name, data_dir, **options), examples[name]


def content(source, split):
    images, labels = zip(*source.load(split).as_numpy_iterator(), strict=True)
    return images, np.array(labels)


def test_digits_are_scikit_learns():
    source = data.open_source("digits")
    assert source.num_examples == {"train": 1258, "validation": 180, "test": 359}
    images, labels = content(source, "test")
    # Images 4, 9, 14, ... of the set; every tenth image in a row shows its number.
    assert labels[:4].tolist() == [4, 9, 4, 9]
    assert images[0].shape == (8, 8, 1)
    assert source.class_names == tuple("0123456789")


def test_cifar100_gives_what_was_written(written):
    source, examples = open_written(written, "cifar100")
    assert source.num_examples == {"train": 40, "test": 10}
    assert len(source.class_names) == 100
    for split in ("train", "test"):
        images, labels = content(source, split)
        np.testing.assert_array_equal(images, [e["image"] for e in examples[split]])
        np.testing.assert_array_equal(labels, [e["label"] for e in examples[split]])


def test_validation_is_carved_out_of_train(written):
    source, _ = open_written(written, "cifar100", validation_examples=12)
    assert source.num_examples == {"train": 28, "test": 10, "validation": 12}
    assert sorted(content(source, "train")[1]) == list(range(28))
    assert sorted(content(source, "validation")[1]) == list(range(28, 40))


@pytest.mark.parametrize("received", [40, 41])
def test_carving_leaves_something_to_train_on(written, received):
    with pytest.raises(ValueError, match=rf"received {received}; .* less than 40"):
        open_written(written, "cifar100", validation_examples=received)


def test_digits_have_a_validation_split_of_their_own():
    with pytest.raises(ValueError, match=r"validation_examples: received 5; allowed"):
        data.open_source("digits", validation_examples=5)


def test_imagenet_is_tested_on_its_validation_split(written):
    source, examples = open_written(written, "imagenet2012")
    assert source.num_examples == {"train": 24, "test": 10}
    assert source.class_names[0] == "n01440764"
    assert len(source.class_names) == 1000
    images, labels = content(source, "test")
    assert labels.tolist() == [e["label"] for e in examples["validation"]]
    assert all(image.shape[-1] == 3 for image in images)


def test_coco_has_its_own_category_numbers(written):
    source, examples = open_written(written, "coco/2017")
    assert source.task == "detection"
    assert source.num_examples == {"train": 18, "test": 8}
    # There is no category 12.
    assert len(source.class_names) == 90
    assert source.class_names[10:13] == ("name 10", "unused 12", "name 11")
    assert source.class_names[89] == "name 79"
    first = next(source.records("train", None).as_numpy_iterator())
    written_objects = examples["train"][0]["objects"]
    np.testing.assert_allclose(
        first["boxes"], [list(o["bbox"]) for o in written_objects], rtol=1e-6
    )
    assert first["is_crowd"].tolist() == [False, True]
    assert first["image_id"] == 1000


def test_coco_category_names(real_data_dir):
    names = data.open_source("coco/2017", real_data_dir).class_names
    # As in instances_train2017.json, where they are numbered from 1.
    numbers = {1: "person", 13: "stop sign", 44: "bottle", 67: "dining table"}
    numbers |= {84: "book", 90: "toothbrush"}
    assert {number: names[number - 1] for number in numbers} == numbers


def test_a_split_that_is_not_there_is_named(written):
    source, _ = open_written(written, "cifar100")
    with pytest.raises(
        ValueError, match=r"received 'validation'; allowed: train, test"
    ):
        source.load("validation")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cifar100", "data.download: true"),
        ("imagenet2012", "ILSVRC2012_img_train.tar"),
        ("coco/2017", "data.download: true"),
    ],
)
def test_missing_data_says_how_to_get_it(tmp_path, name, hint):
    with pytest.raises(ValueError, match="TFDS_DATA_DIR") as error:
        data.open_source(name, str(tmp_path))
    message = str(error.value)
    assert message.startswith(f"data.name: '{name}' is not in {tmp_path}; ")
    assert hint in message
    assert "\n" not in message
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(ValueError, match="did you mean 'cifar100'") as error:
        data.open_source("cifar_100")
    assert "\n" not in str(error.value)


def test_a_set_without_classes_is_refused(tmp_path):
    folder = tmp_path / "texts" / "1.0.0"
    folder.mkdir(parents=True)
    info = tfds.core.DatasetInfo(
        builder=tfds.core.dataset_info.DatasetIdentity(
            "texts", tfds.core.Version("1.0.0"), str(folder), "tests"
        ),
        features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
    )
    writer = tfds.core.SequentialWriter(info, 10)
    writer.initialize_splits(["train"])
    writer.add_examples({"train": [{"text": "no picture"}]})
    writer.close_all()
    with pytest.raises(ValueError, match="has the features text; allowed"):
        data.open_source("texts", str(tmp_path))


def test_cifar100_with_a_broken_picture(tmp_path, capfd):
    written_sets.write(tmp_path, "cifar100", {"train": 10, "test": 2}, broken=[1])
    stopping = data.open_source("cifar100", str(tmp_path))
    with pytest.raises(Exception, match=r"cifar100-train\S+ record 1"):
        stopping.arrays("train")
    skipping = data.open_source(
        "cifar100", str(tmp_path), corrupt_images="skip", max_skipped=1
    )
    _, labels = skipping.arrays("train")
    assert labels.tolist() == [0, *range(2, 10)]
    assert "Skipped a corrupt image: cifar100-train" in capfd.readouterr().err


def test_real_cifar100_equals_tensorflow_datasets_reading(real_data_dir):
    source = data.open_source("cifar100", real_data_dir)
    assert source.num_examples == {"train": 50000, "test": 10000}
    images, labels = source.arrays("test")
    theirs = tfds.load(
        "cifar100",
        split="test",
        data_dir=real_data_dir,
        as_supervised=True,
        batch_size=-1,
    )
    their_images, their_labels = (column.numpy() for column in theirs)
    ours_in_order, theirs_in_order = (
        sorted(zip((i.tobytes() for i in x), y.tolist(), strict=True))
        for x, y in ((images, labels), (their_images, their_labels))
    )
    assert ours_in_order == theirs_in_order


def test_real_cifar100_statistics(real_data_dir):
    source = data.open_source("cifar100", real_data_dir)
    images, _ = source.arrays("train")
    levels = np.arange(256) / 255
    for channel in range(3):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        mean = np.average(levels, weights=counts)
        std = np.average((levels - mean) ** 2, weights=counts) ** 0.5
        np.testing.assert_allclose(mean, source.mean[channel], atol=1e-4)
        np.testing.assert_allclose(std, source.std[channel], atol=1e-4)


def test_a_data_set_of_ones_own(monkeypatch):
    """The example of docs/own_mechanism.md, with a test split of one class."""
    monkeypatch.setattr("aa_keras.data.sources.DATA_SETS", dict(DATA_SETS))
    images = np.zeros((400, 8, 8, 1), np.uint8)
    images[::2, ::2] = 255
    images[1::2, :, ::2] = 255
    labels = np.arange(400) % 2

    def open_stripes(name, known, **options):
        assert set(options) == {"data_dir", "download", "corrupt_images", "carved"}
        splits = {"train": slice(100, 400), "test": slice(0, 100, 2)}
        return {
            "class_names": ("down", "across"),
            "num_examples": {"train": 300, "test": 50},
            "arrays": lambda split: (images[splits[split]], labels[splits[split]]),
        }

    data.register("stripes", open_stripes, mean=[0.5], std=[0.25])
    source = data.open_source("stripes")
    assert (source.mean, source.std, source.channels) == ((0.5,), (0.25,), 1)
    assert num_channels("stripes") == 1
    _, found = content(source, "test")
    assert found.tolist() == [0] * 50
    preprocessing = data.Preprocessing(8, source.mean, source.std)
    batches = data.build_evaluation(source, preprocessing, split="test", batch_size=50)
    ((inputs, targets),) = batches.as_numpy_iterator()
    np.testing.assert_allclose(inputs[0, :2, 0, 0], [2, -2], atol=1e-5)
    assert targets.tolist() == [[1, 0]] * 50
    with pytest.raises(ValueError, match=r"received 20; allowed: 0 for 'stripes'"):
        data.open_source("stripes", validation_examples=20)
    with pytest.raises(ValueError, match=r"received 'digits'; allowed: none of"):
        data.register("digits", open_stripes, mean=[0.5], std=[0.25])
