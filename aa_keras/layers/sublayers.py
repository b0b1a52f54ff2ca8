"""What layers with layers inside share."""

import inspect

import keras


class FeatureMapLayer(keras.layers.Layer):
    """Base of layers that take and return a feature map.

    Subclasses keep each constructor argument as an attribute of the same name, and
    have a `compute_output_shape` of their own if they change the shape.
    """

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        _, *names, _ = inspect.signature(type(self).__init__).parameters
        serialize = keras.saving.serialize_keras_object
        arguments = {name: serialize(getattr(self, name)) for name in names}
        return super().get_config() | arguments


def build_sublayer(parent, kind, *args, **options):
    """Returns a layer of class `kind` with the dtype policy of `parent`.

    It is frozen if `parent` is, and each initializer is a copy: two layers with one
    initializer instance would get the same values.
    """
    inherited = {"dtype": parent.dtype_policy, "trainable": parent.trainable}
    options = {name: fresh_initializer(option) for name, option in options.items()}
    return kind(*args, **inherited, **options)


def fresh_initializer(option):
    """Returns a copy of an initializer, and anything else as it is."""
    if isinstance(option, keras.initializers.Initializer):
        return option.clone()
    return option
