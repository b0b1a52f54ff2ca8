import numpy as np
import pytest
import tensorflow as tf

from aa_keras import data
from aa_keras.data import detection_augmentation
from aa_keras.data import detection_batches as detection

SIZE = 128


def setup(written):
    source = data.open_source("coco/2017", written[0])
    # Black stays 0, full green becomes 1.
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return source, data.DetectionPreprocessing(SIZE, mean, std)


def training(written, epochs=range(1), **options):
    options = {"augmentation": "scale_jitter", "batch_size": 6, "seed": 0, **options}
    return list(
        detection.build_training(
            *setup(written), epochs=epochs, **options
        ).as_numpy_iterator()
    )


def green_box(image):
    """Left, top, right, bottom of what is green."""
    rows, columns = np.nonzero(image[..., 1] > 0.5)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_flip():
    image = np.arange(12).reshape(1, 12, 1).astype(np.uint8)
    boxes = np.float32([[0.1, 0.2, 0.3, 0.5]])
    results = {}
    for seed in range(20):
        new_image, new_boxes = detection_augmentation.flip(image, boxes, (seed, 0))
        results[int(new_image[0, 0, 0])] = new_boxes.numpy()
    assert results.keys() == {0, 11}
    np.testing.assert_array_equal(results[0], boxes)
    np.testing.assert_allclose(results[11], [[0.1, 0.5, 0.3, 0.8]], rtol=1e-6)


def test_place_boxes():
    boxes = np.float32([[0.0, 0.0, 1.0, 1.0], [0.5, 0.25, 0.75, 0.5], [0, 0, 0.1, 0.1]])
    placed, visible = detection_augmentation.place_boxes(
        boxes, (100, 200), 2.0, (50, 100), 128
    )
    # The image is 200 x 400 after scaling; of that, rows from 50, columns from 100.
    np.testing.assert_allclose(placed[0], [0, 0, 128, 128])
    np.testing.assert_allclose(placed[1], [0, 50, 100, 100])
    assert visible.numpy().tolist() == [True, True, False]


@pytest.mark.parametrize("augmentation", detection_augmentation.AUGMENTATIONS)
def test_boxes_lie_where_the_objects_are_drawn(written, augmentation):
    seen = 0
    for images, targets in training(written, range(3), augmentation=augmentation):
        assert images.shape == (6, SIZE, SIZE, 3)
        for image, boxes, classes in zip(
            images, targets["boxes"], targets["classes"], strict=True
        ):
            assert (boxes[classes == -1] == -1).all()
            boxes = boxes[classes >= 0]
            if len(boxes):  # the crowd is left out
                np.testing.assert_allclose(boxes, [green_box(image)], atol=1.5)
                seen += 1
    assert seen == 3 * 15  # three of 18 images are empty


def test_scales_are_those_configured(written):
    def heights(**options):
        batches = training(written, range(2), batch_size=18, **options)
        boxes = np.concatenate([targets["boxes"][:, 0] for _, targets in batches])
        return boxes[:, 3] - boxes[:, 1]

    plain = heights(augmentation="none")
    smaller = heights(scale_range=(0.5, 0.5))
    np.testing.assert_allclose(smaller[plain > 0], plain[plain > 0] / 2, atol=1)


def test_classes_are_coco_numbers_less_one(written):
    source, preprocessing = setup(written)
    batches = detection.build_evaluation(
        source, preprocessing, split="test", batch_size=8
    )
    _, targets = next(batches.as_numpy_iterator())
    # Labels 0 to 7 of the file; image 5 is empty.
    assert targets["classes"][:, 0].tolist() == [0, 1, 2, 3, 4, -1, 6, 7]


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(written):
    whole = training(written, range(4))
    tf.random.set_seed(7)
    resumed = training(written, range(2, 4), first_batch=2)
    for (x, y), (other_x, other_y) in zip(whole[8:], resumed, strict=True):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(y["boxes"], other_y["boxes"])
        np.testing.assert_array_equal(y["classes"], other_y["classes"])


def test_evaluation_has_boxes_of_the_original_images(written):
    source, preprocessing = setup(written)
    batches = detection.build_evaluation(
        source, preprocessing, split="test", batch_size=3
    )
    written_examples = written[1]["coco/2017"]["validation"]
    number = 0
    sizes = []
    for images, targets in batches.as_numpy_iterator():
        sizes.append(len(images))
        for row in range(len(images)):
            example = written_examples[number]
            height, width = example["image"].shape[:2]
            assert targets["image_id"][row] == 1000 + number
            assert (targets["height"][row], targets["width"][row]) == (height, width)
            number += 1
            if not example["objects"]:
                assert (targets["classes"][row] == -1).all()
                continue
            np.testing.assert_allclose(
                targets["boxes"][row][0], green_box(example["image"] / 255), atol=1e-3
            )
            assert targets["is_crowd"][row].tolist() == [0, 1]
            assert targets["area"][row][1] == 100
            scale = SIZE / max(height, width)
            np.testing.assert_allclose(
                green_box(images[row]), targets["boxes"][row][0] * scale, atol=1.5
            )
    assert sizes == [3, 3, 2]


def test_unknown_augmentation(written):
    with pytest.raises(ValueError, match="'cifar'; allowed for detection: none, flip"):
        training(written, augmentation="cifar")


def test_preprocessing_serves_images_of_any_size():
    preprocessing = data.DetectionPreprocessing(32, (0.5,) * 3, (0.5,) * 3)
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8)
    serve = tf.function(preprocessing, input_signature=[spec])
    images = np.full((2, 20, 50, 3), 255, np.uint8)
    served = serve(images).numpy()
    assert served.shape == (2, 32, 32, 3)
    np.testing.assert_allclose(served[:, :13], 1, atol=1e-5)  # 20 * 32 / 50 = 12.8
    np.testing.assert_array_equal(served[:, 13:], 0)
