"""What a run learns: the one class that training, export and commands rely on."""

import abc
import dataclasses
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from aa_keras import data
from aa_keras.data.served_decoding import read_picture
from aa_keras.options import short


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """A kind of task on one data set. Each kind is a subclass in a file of its own.

    Args:
        experiment: a `config.Experiment`, or `None` for a model without a run.
        preprocessing: a `preprocessing_class`, applied before the network.
        class_names: tuple of str, one name for each class.
        source: a `data.Source`, or `None` for a finished run whose data is not opened.
    """

    preprocessing_class: ClassVar[type[data.Preprocessing]]
    batches: ClassVar[ModuleType]  # builds its `tf.data` pipelines
    final_activation: ClassVar[str | None]  # of the network that is saved
    fit_measures: ClassVar[bool]  # whether `model.fit` computes what `measure` does
    unused: ClassVar[tuple[str, ...]]  # keys that training does not read

    experiment: Any
    preprocessing: data.Preprocessing
    class_names: tuple[str, ...]
    source: Any = None

    @classmethod
    def open(cls, experiment) -> "Task":
        """Opens the data set of an experiment.

        Raises:
            ValueError: if the data set is unknown, missing, or for another task or
                another number of classes.
        """
        source = data.open_source(**experiment.data.source_options)
        kind = cls.preprocessing_class.task
        if source.task != kind:
            raise ValueError(
                f"data.name: received {source.name!r}, a data set for {source.task}; "
                f"allowed: data sets for {kind}, the task of model.name, "
                f"{experiment.model.name!r}"
            )
        num_classes = len(source.class_names)
        if experiment.model.classes != num_classes:
            raise ValueError(
                f"model.classes: received {experiment.model.classes}; allowed: "
                f"{num_classes}, the classes of {source.name!r}"
            )
        preprocessing = cls.preprocessing_class(
            mean=source.mean, std=source.std, **experiment.data.preprocessing_options
        )
        return cls(experiment, preprocessing, tuple(source.class_names), source)

    @classmethod
    def load(cls, experiment, description: dict) -> "Task":
        """Returns the task of a finished run from what `description` returned."""
        preprocessing: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in description["preprocessing"].items()
        }
        names = tuple(description["class_names"])
        return cls(experiment, cls.preprocessing_class(**preprocessing), names)

    def refuse_unused(self) -> None:
        """Raises ValueError if a key has a value that training would not read."""
        for key in self.unused:
            name, _, field = key.partition(".")
            section = getattr(self.experiment, name)
            value = getattr(section, field)
            if value != type(section).model_fields[field].get_default():
                raise ValueError(
                    f"{key}: received {value!r}; allowed: its default, as "
                    f"{self.preprocessing.task} does not use it"
                )

    def refuse_other_classes(self, earlier) -> None:
        """Raises ValueError if the classes are not those that a run began with."""
        pairs = zip(self.class_names, earlier, strict=True)
        for index, (received, allowed) in enumerate(pairs):
            if received != allowed:
                raise ValueError(
                    f"data: received {short(received)} as class {index}; allowed: "
                    f"{short(allowed)}, as the run was trained"
                )

    def description(self) -> dict:
        """Returns the plain data that `load` needs, the content of `data.json`."""
        preprocessing = dataclasses.asdict(self.preprocessing)
        return {"class_names": self.class_names, "preprocessing": preprocessing}

    @property
    @abc.abstractmethod
    def training_options(self) -> dict:
        """The keys of the section `data` that `batches.build_training` takes."""

    def build_training(self, epochs: range, **changed) -> tf.data.Dataset:
        """Returns whole batches of `data.batch_size` for a range of epochs.

        `changed` replaces some of the `training_options`, or adds `first_batch`.
        """
        return self.batches.build_training(
            self.source,
            self.preprocessing,
            seed=self.experiment.train.seed,
            epochs=epochs,
            **(self.training_options | changed),
        )

    def build_validation(self) -> tf.data.Dataset:
        """Returns the validation split as `model.fit` validates on it."""
        return self.build_evaluation("validation")

    def build_evaluation(self, split: str) -> tf.data.Dataset:
        """Returns each image of a split exactly once, as `measure` takes it."""
        return self.batches.build_evaluation(
            self.source,
            self.preprocessing,
            split=split,
            batch_size=self.experiment.data.batch_size,
        )

    @abc.abstractmethod
    def compile_arguments(self) -> dict:
        """Returns loss, metrics and more for `model.compile` in training."""

    def score(self, row: dict) -> float | None:
        """Returns how good an epoch was by its row of `metrics.csv`; larger is better.

        By default the validation accuracy; `None` without a validation split.
        """
        return row.get("val_accuracy")

    @abc.abstractmethod
    def measure(self, model, batches) -> dict:
        """Returns the metrics of a finished run's model as plain numbers.

        The number of `images` is among them. `batches` come from `build_evaluation`.
        """


class PictureTask(Task):
    """A task on pictures: its runs also predict, draw and serve."""

    signatures: ClassVar[ModuleType]  # what an export of it serves

    @abc.abstractmethod
    def predict(self, model, pictures) -> list[dict]:
        """Returns one dictionary of plain data for each picture.

        Each has `class_names` and `scores`, the best first. A detector adds `boxes`,
        left, top, right, bottom in pixels of the picture.

        Args:
            model: the model of a finished run.
            pictures: sequence of uint8 arrays (height, width, channels) of any size.
        """

    @abc.abstractmethod
    def predict_inputs(self, model, inputs) -> list[dict]:
        """Returns the same for preprocessed inputs; boxes are in pixels of the inputs.

        Args:
            model: the model of a finished run.
            inputs: float32 array (images, height, width, channels).
        """

    @abc.abstractmethod
    def describe(self, prediction: dict, top: int) -> str:
        """Returns the `top` best answers of a prediction as one line."""

    @abc.abstractmethod
    def draw(self, picture, prediction: dict) -> np.ndarray:
        """Returns the picture with the prediction drawn on it, uint8 RGB."""

    def build_signatures(self, model, attention_layer=None) -> dict:
        """Returns the signatures of an export by name; see `signatures`."""
        return self.signatures.build_signatures(
            model, self.preprocessing, self.class_names, attention_layer
        )

    @abc.abstractmethod
    def expect(self, model, inputs, images) -> dict:
        """Returns the arrays that an export must reproduce.

        `inputs` are the preprocessed `images`, which are a list of uint8 arrays.
        """

    def compare(self, answer: dict, expected: dict, on_inputs: bool) -> tuple:
        """Returns the largest difference and the number of mistakes of an answer.

        `on_inputs` says that the export was asked about `inputs`, not `images`.
        """
        return self.signatures.compare(answer, expected, on_inputs)

    def read(self, path) -> tuple[np.ndarray, np.ndarray]:
        """Reads a picture file as the network sees it.

        Returns:
            The network's input (height, width, channels), float32, and the same
            section of the picture as uint8, for people.
        """
        picture = read_picture(path, self.preprocessing.channels)
        inputs = self.preprocessing(picture).numpy()
        mean, std = map(np.array, (self.preprocessing.mean, self.preprocessing.std))
        section = 255 * (inputs * std + mean)
        return inputs, section.round().clip(0, 255).astype("uint8")


def draw_labels(picture, labels) -> np.ndarray:
    """Returns a picture as RGB, with the texts of boxes (left, top, right, bottom)."""
    image = Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    drawing = ImageDraw.Draw(image)
    for box, text in labels:
        drawing.rectangle(box, outline="lime", width=2)
        drawing.rectangle(drawing.textbbox(box[:2], text), fill="black")
        drawing.text(box[:2], text, fill="white")
    return np.asarray(image)
