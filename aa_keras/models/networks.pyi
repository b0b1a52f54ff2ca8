"""The ready networks with their arguments. `docs/generate.py` writes this file."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras

from aa_keras.models import spec

def list_models() -> list[str]:
    """Returns the names of the ready networks, each a function of `aa_keras.models`."""

def ResNet34(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=34."""

def SEResNet34(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "se",
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=34, channel_attention='se'."""

def AAResNet34(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=34, attention={}."""

def ResNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=50."""

def SEResNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "se",
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=50, channel_attention='se'."""

def GEResNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "ge",
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=50, channel_attention='ge'."""

def BAMResNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "bam",
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=50, channel_attention='bam'."""

def CBAMResNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "cbam",
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=50, channel_attention='cbam'."""

def GALAResNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "gala",
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=50, channel_attention='gala'."""

def AAResNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=50, attention={}."""

def ResNet101(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=101."""

def SEResNet101(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "se",
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=101, channel_attention='se'."""

def AAResNet101(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=101, attention={}."""

def ResNet152(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=152."""

def SEResNet152(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "se",
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=152, channel_attention='se'."""

def AAResNet152(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=152, attention={}."""

def ResNet26(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=26."""

def SAResNet26(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = ...,
) -> keras.Model:
    """Builds a `resnet` with depth=26, stand_alone={}."""

def ResNet38(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=38."""

def SAResNet38(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = ...,
) -> keras.Model:
    """Builds a `resnet` with depth=38, stand_alone={}."""

def SAResNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = ...,
) -> keras.Model:
    """Builds a `resnet` with depth=50, stand_alone={}."""

def WideResNet28x10(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 100,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
) -> keras.Model:
    """Builds a `wide_resnet` with depth=28, width=10."""

def GEWideResNet28x10(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 100,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "ge",
    dropout: float = 0.0,
) -> keras.Model:
    """Builds a `wide_resnet` with depth=28, width=10, channel_attention='ge'."""

def SEWideResNet28x10(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 100,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "se",
    dropout: float = 0.0,
) -> keras.Model:
    """Builds a `wide_resnet` with depth=28, width=10, channel_attention='se'."""

def AAWideResNet28x10(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 100,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
) -> keras.Model:
    """Builds a `wide_resnet` with depth=28, width=10, attention={}."""

def MnasNet075(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    dropout: float = 0.2,
) -> keras.Model:
    """Builds a `mnasnet` with width_multiplier=0.75."""

def AAMnasNet075(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    dropout: float = 0.2,
) -> keras.Model:
    """Builds a `mnasnet` with width_multiplier=0.75, attention={}."""

def MnasNet100(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    dropout: float = 0.2,
) -> keras.Model:
    """Builds a `mnasnet` with width_multiplier=1.0."""

def AAMnasNet100(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    dropout: float = 0.2,
) -> keras.Model:
    """Builds a `mnasnet` with width_multiplier=1.0, attention={}."""

def MnasNet125(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    dropout: float = 0.2,
) -> keras.Model:
    """Builds a `mnasnet` with width_multiplier=1.25."""

def AAMnasNet125(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    dropout: float = 0.2,
) -> keras.Model:
    """Builds a `mnasnet` with width_multiplier=1.25, attention={}."""

def MnasNet140(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    dropout: float = 0.2,
) -> keras.Model:
    """Builds a `mnasnet` with width_multiplier=1.4."""

def AAMnasNet140(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    dropout: float = 0.2,
) -> keras.Model:
    """Builds a `mnasnet` with width_multiplier=1.4, attention={}."""

def RetinaNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (640, 640, 3),
    classes: int = 90,
    weights: str | os.PathLike[str] | None = None,
    max_size: tuple[int, int] | None = None,
    bounding_box_format: str = "xyxy",
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    decoding: spec.Decoding | Mapping[str, Any] = ...,
) -> keras.Model:
    """Builds a `retinanet` with depth=50."""

def SERetinaNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (640, 640, 3),
    classes: int = 90,
    weights: str | os.PathLike[str] | None = None,
    max_size: tuple[int, int] | None = None,
    bounding_box_format: str = "xyxy",
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "se",
    decoding: spec.Decoding | Mapping[str, Any] = ...,
) -> keras.Model:
    """Builds a `retinanet` with depth=50, channel_attention='se'."""

def AARetinaNet50(
    *,
    input_shape: tuple[int | None, int | None, int] = (640, 640, 3),
    classes: int = 90,
    weights: str | os.PathLike[str] | None = None,
    max_size: tuple[int, int] | None = None,
    bounding_box_format: str = "xyxy",
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    decoding: spec.Decoding | Mapping[str, Any] = ...,
) -> keras.Model:
    """Builds a `retinanet` with depth=50, attention={}."""

def RetinaNet101(
    *,
    input_shape: tuple[int | None, int | None, int] = (640, 640, 3),
    classes: int = 90,
    weights: str | os.PathLike[str] | None = None,
    max_size: tuple[int, int] | None = None,
    bounding_box_format: str = "xyxy",
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    decoding: spec.Decoding | Mapping[str, Any] = ...,
) -> keras.Model:
    """Builds a `retinanet` with depth=101."""

def SERetinaNet101(
    *,
    input_shape: tuple[int | None, int | None, int] = (640, 640, 3),
    classes: int = 90,
    weights: str | os.PathLike[str] | None = None,
    max_size: tuple[int, int] | None = None,
    bounding_box_format: str = "xyxy",
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = "se",
    decoding: spec.Decoding | Mapping[str, Any] = ...,
) -> keras.Model:
    """Builds a `retinanet` with depth=101, channel_attention='se'."""

def AARetinaNet101(
    *,
    input_shape: tuple[int | None, int | None, int] = (640, 640, 3),
    classes: int = 90,
    weights: str | os.PathLike[str] | None = None,
    max_size: tuple[int, int] | None = None,
    bounding_box_format: str = "xyxy",
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    decoding: spec.Decoding | Mapping[str, Any] = ...,
) -> keras.Model:
    """Builds a `retinanet` with depth=101, attention={}."""

def ResNet18(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=18."""

def AAResNet18(
    *,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    classes: int = 1000,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=18, attention={}."""

def ResNet8(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=8."""

def AAResNet8(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=8, attention={}."""

def ResNet14(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=14."""

def AAResNet14(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=14, attention={}."""

def ResNet20(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=20."""

def AAResNet20(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=20, attention={}."""

def ResNet56(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=56."""

def AAResNet56(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
    widths: Sequence[int] | None = None,
    zero_init_last: bool = True,
    stand_alone: spec.StandAlone | Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds a `resnet` with depth=56, attention={}."""

def WideResNet16x4(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 100,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = None,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
) -> keras.Model:
    """Builds a `wide_resnet` with depth=16, width=4."""

def AAWideResNet16x4(
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 100,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
    attention: spec.Attention | Mapping[str, Any] | None = ...,
    channel_attention: Literal["se", "ge", "bam", "cbam", "gala"] | None = None,
    dropout: float = 0.0,
) -> keras.Model:
    """Builds a `wide_resnet` with depth=16, width=4, attention={}."""

__all__ = [
    "list_models",
    "ResNet34",
    "SEResNet34",
    "AAResNet34",
    "ResNet50",
    "SEResNet50",
    "GEResNet50",
    "BAMResNet50",
    "CBAMResNet50",
    "GALAResNet50",
    "AAResNet50",
    "ResNet101",
    "SEResNet101",
    "AAResNet101",
    "ResNet152",
    "SEResNet152",
    "AAResNet152",
    "ResNet26",
    "SAResNet26",
    "ResNet38",
    "SAResNet38",
    "SAResNet50",
    "WideResNet28x10",
    "GEWideResNet28x10",
    "SEWideResNet28x10",
    "AAWideResNet28x10",
    "MnasNet075",
    "AAMnasNet075",
    "MnasNet100",
    "AAMnasNet100",
    "MnasNet125",
    "AAMnasNet125",
    "MnasNet140",
    "AAMnasNet140",
    "RetinaNet50",
    "SERetinaNet50",
    "AARetinaNet50",
    "RetinaNet101",
    "SERetinaNet101",
    "AARetinaNet101",
    "ResNet18",
    "AAResNet18",
    "ResNet8",
    "AAResNet8",
    "ResNet14",
    "AAResNet14",
    "ResNet20",
    "AAResNet20",
    "ResNet56",
    "AAResNet56",
    "WideResNet16x4",
    "AAWideResNet16x4",
]
