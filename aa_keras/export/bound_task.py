"""The three functions of a task that an export calls, until `tasks.Task` has them."""

import functools
import types


def bind_task(preprocessing, class_names):
    from aa_keras.tasks import classifier_signatures, detector_signatures

    module = {
        "classification": classifier_signatures,
        "detection": detector_signatures,
    }[preprocessing.task]
    expect = functools.partial(module.expect, class_names=class_names)
    if preprocessing.task == "detection":
        expect = functools.partial(expect, preprocessing=preprocessing)
    return types.SimpleNamespace(
        preprocessing=preprocessing,
        class_names=class_names,
        expect=expect,
        compare=module.compare,
        build_signatures=lambda model, attention_layer=None: module.build_signatures(
            model, preprocessing, class_names, attention_layer
        ),
    )
