"""Making the layers inside a layer."""

import keras


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
