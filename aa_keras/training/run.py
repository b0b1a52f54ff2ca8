"""`train`: from an experiment to a finished work directory."""

import dataclasses
import json
from pathlib import Path

import keras
import tensorflow as tf

from aa_keras import config, data, models
from aa_keras.counting import count
from aa_keras.training import checkpoints, provenance
from aa_keras.training.callbacks import RunState, StopOnNonFiniteLoss, write_text
from aa_keras.training.evaluation import compile_arguments, measure
from aa_keras.training.optimizers import build_optimizer, decay_kernels
from aa_keras.training.schedules import build_schedule


def train(experiment, workdir, *, smoke=False, report=print):
    """Trains an experiment, or goes on where an earlier call was interrupted.

    Args:
        experiment: A `config.Experiment`.
        workdir: Folder for all that the run leaves; made once the network is built.
        smoke: One epoch of two steps and an evaluation of one batch.
        report: Called with each line for the console.

    Returns:
        The content of `result.json`: metrics, costs and provenance.

    Raises:
        ValueError: In one line, for a network that cannot be built, data that is not
            there, or a work directory of another experiment.
    """
    workdir = Path(workdir)
    _refuse_other_run(workdir, experiment)
    result_path = workdir / "result.json"
    if result_path.exists():
        report(f"{workdir} is finished")
        return json.loads(result_path.read_text())

    options = experiment.train
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    source, preprocessing = open_data(experiment)
    model = build_model(experiment, preprocessing.output_shape)
    if model.output_shape[-1] != len(source.class_names):
        raise ValueError(
            f"model.classes: received {model.output_shape[-1]}; allowed: "
            f"{len(source.class_names)}, the classes of {source.name!r}"
        )

    if experiment.data.batch_size % options.accumulate_steps:
        raise ValueError(
            f"train.accumulate_steps: received {options.accumulate_steps}; allowed: a "
            f"divisor of data.batch_size, {experiment.data.batch_size}"
        )
    # With accumulation the optimiser counts small steps, and so do the schedules.
    step_size = experiment.data.batch_size // options.accumulate_steps
    steps_per_epoch = 2 if smoke else source.num_examples["train"] // step_size
    epochs = 1 if smoke else options.epochs
    optimizer_options = options.optimizer.model_dump()
    rate = optimizer_options["learning_rate_per_256"] * experiment.data.batch_size / 256
    optimizer = build_optimizer(
        optimizer_options,
        learning_rate=build_schedule(
            options.schedule.model_dump(),
            learning_rate=rate,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
        ),
        ema=options.ema,
        accumulate_steps=options.accumulate_steps,
    )
    decay_kernels(model, optimizer, optimizer_options["weight_decay"])
    model.compile(
        optimizer=optimizer,
        jit_compile="auto" if options.jit_compile is None else options.jit_compile,
        steps_per_execution=options.steps_per_execution,
        **compile_arguments(from_logits=True, label_smoothing=options.label_smoothing),
    )
    model.optimizer.build(model.trainable_variables)

    workdir.mkdir(parents=True, exist_ok=True)
    write_text(workdir / "config.yaml", config.dump(experiment))
    state = checkpoints.restore(workdir / "checkpoints", model, report)
    first_epoch = state["epoch"] if state else 0
    report(
        f"{experiment.name}: going on after epoch {first_epoch} of {epochs}"
        if state
        else f"{experiment.name}: starting anew, {epochs} epochs"
    )
    training = data.build_training(
        source,
        preprocessing,
        seed=options.seed,
        epochs=range(first_epoch, epochs),
        **{**experiment.data.training_options, "batch_size": step_size},
    )

    splits = [name for name in ("validation", "test") if name in source.num_examples]

    def split_dataset(split):
        batches = data.build_evaluation(
            source, preprocessing, split=split, batch_size=experiment.data.batch_size
        )
        return batches.take(1) if smoke else batches

    validation = split_dataset("validation") if "validation" in splits else None
    run_state = RunState(
        workdir,
        history=state["history"] if state else [],
        seconds=state["seconds"] if state else 0.0,
        seed=options.seed,
        monitor="val_accuracy" if validation else "accuracy",
        keep=options.keep_checkpoints,
    )
    model.fit(
        training.repeat() if smoke else training,
        validation_data=validation,
        shuffle=False,  # the data set does it
        initial_epoch=first_epoch,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        callbacks=[
            StopOnNonFiniteLoss(),
            *([keras.callbacks.SwapEMAWeights()] if options.ema else []),
            run_state,
            keras.callbacks.TensorBoard(workdir / "tensorboard", write_graph=False),
        ],
    )

    final = build_model(experiment, preprocessing.output_shape, "softmax")
    final.set_weights(model.get_weights())
    unfinished = workdir / ".model.keras"  # must end in .keras
    final.save(unfinished)
    unfinished.replace(workdir / "model.keras")
    description = {
        "class_names": source.class_names,
        "preprocessing": dataclasses.asdict(preprocessing),
    }
    write_text(workdir / "data.json", json.dumps(description, indent=2) + "\n")
    cost = count(final)
    result = {
        "name": experiment.name,
        "params": cost.params,
        "gflops": cost.gflops,
        "gflops_paper": cost.gflops_paper,
        "epochs": epochs,
        "seconds": round(run_state.seconds, 1),
        "seed": options.seed,
        "smoke": smoke,
        "metrics": {
            split: measure(final, split_dataset(split))
            for split in splits
        },
        "versions": provenance.versions(),
        "git_revision": provenance.git_revision(),
        "hardware": provenance.hardware(),
    }
    write_text(result_path, json.dumps(result, indent=2) + "\n")
    return result


def open_data(experiment):
    """The experiment's data set and its preprocessing.

    Raises:
        ValueError: If the data is unknown or not there, in one line.
    """
    source = data.open_source(**experiment.data.source_options)
    preprocessing = data.Preprocessing(
        mean=source.mean, std=source.std, **experiment.data.preprocessing_options
    )
    return source, preprocessing


def build_model(experiment, input_shape, classifier_activation=None):
    """The experiment's network; by default with logits, as it is trained.

    Args:
        experiment: A `config.Experiment`.
        input_shape: (height, width, channels).
        classifier_activation: None or "softmax".

    Raises:
        ValueError: If depths, heads or stages do not fit, in one line.
    """
    options = experiment.model.model_dump(exclude_none=True)
    precision = experiment.train.mixed_precision
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{precision}" if precision else "float32")
    try:
        return models.build(
            input_shape=input_shape,
            classifier_activation=classifier_activation,
            **options,
        )
    except ValueError as error:
        raise ValueError(f"{experiment.name}: model: {error}") from error
    finally:
        keras.config.set_dtype_policy(previous)


def _refuse_other_run(workdir, experiment):
    path = workdir / "config.yaml"
    if not path.exists():
        return
    earlier, now = (config.flatten(e) for e in (config.load(path), experiment))
    movable = {"data.data_dir", "data.download"}  # where data lies changes no result
    differing = sorted(
        key
        for key in (earlier.keys() | now.keys()) - movable
        if earlier.get(key) != now.get(key)
    )
    if differing:
        changes = ", ".join(
            f"{key} ({earlier.get(key)!r} there, {now.get(key)!r} now)"
            for key in differing
        )
        raise ValueError(
            f"{workdir} belongs to a run of another configuration: {changes}; "
            "choose another --workdir"
        )
