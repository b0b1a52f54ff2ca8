"""`train`: from an experiment to a finished work directory."""

import contextlib
import dataclasses
from pathlib import Path

import keras
import tensorflow as tf

from aa_keras import checkpoints, config, models
from aa_keras.counting import count
from aa_keras.data.classification_batches import check_num_batches
from aa_keras.tasks.task import find_task, open_data
from aa_keras.training import distribution, provenance
from aa_keras.training.callbacks import (
    AverageWhileValidating,
    EpochSeeds,
    RunState,
    StopOnNonFiniteLoss,
)
from aa_keras.training.console import Console
from aa_keras.training.optimizers import build_optimizer, decay_kernels
from aa_keras.training.schedules import build_schedule
from aa_keras.training.steps import build_metrics, prepare_steps
from aa_keras.workdir import (
    held,
    read_result,
    refuse_other_run,
    write_json,
    write_text,
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The numbers of a run, worked out in one place.

    Args:
        epochs: All epochs of the run.
        steps: Updates of the weights in an epoch.
        batch_size: Images of an update, over all replicas.
        smoke: Whether two steps and one batch of evaluation are all.
    """

    epochs: int
    steps: int
    batch_size: int
    smoke: bool


def train(experiment, workdir, *, smoke=False, report=print):
    """Trains an experiment, or goes on where an earlier call was interrupted.

    Args:
        experiment: A `config.Experiment`.
        workdir: Folder for all that the run leaves; made once the network is built.
            With several workers the chief alone reads and writes it.
        smoke: One epoch of two steps and an evaluation of one batch.
        report: Called with each line for the console.

    Returns:
        The content of `result.json`: metrics, costs and provenance.

    Raises:
        ValueError: In one line, for a network that cannot be built, data that is not
            there, or a work directory of another experiment or in use.
        OSError: If the work directory cannot be written.
        RuntimeError: If the loss is no longer a number, or another worker is lost.
    """
    workdir = Path(workdir)
    refuse_other_run(workdir, experiment, smoke)
    refuse_other_backend(experiment)
    strategy = distribution.build_strategy(experiment.train.distribution)
    chief = distribution.is_chief(strategy)
    if not chief:
        report = _silent
    with distribution.lost_workers_named(strategy):
        finished = read_result(workdir) if chief else None
        result = distribution.share_result(strategy, finished)
        if result:
            report(f"{workdir} is finished")
            return result
        result = _train(experiment, workdir, smoke, strategy, report)
        return distribution.share_result(strategy, result)


def refuse_other_backend(experiment):
    """Raises ValueError for what is TensorFlow's alone, on another backend of Keras."""
    backend, defaults = keras.backend.backend(), config.Train.model_fields
    for key in ("distribution", "accumulate_steps", "deterministic"):
        value, allowed = getattr(experiment.train, key), defaults[key].default
        if backend != "tensorflow" and value != allowed:
            raise ValueError(
                f"train.{key}: received {value!r}; allowed on the backend {backend!r}: "
                f"{allowed!r}"
            )


def _train(experiment, workdir, smoke, strategy, report):
    options, task = experiment.train, find_task(experiment)
    chief = distribution.is_chief(strategy)
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    source, preprocessing = open_data(experiment)
    plan = make_plan(experiment, source, smoke, distribution.num_replicas(strategy))
    with distribution.scope(strategy):
        model = build_model(experiment, preprocessing.output_shape)
        compile_model(model, experiment, plan, strategy)

    with held(workdir) if chief else contextlib.nullcontext():
        state = None
        if chief:
            write_text(workdir / "config.yaml", config.dump(experiment))
            state = checkpoints.restore(workdir / "checkpoints", model, report)
        history = state["history"] if state else []
        first_epoch = distribution.share_state(strategy, model, len(history))
        report(
            f"{experiment.name}: going on after epoch {first_epoch} of {plan.epochs}"
            if first_epoch
            else f"{experiment.name}: starting anew, {plan.epochs} epochs"
        )
        run_state = RunState(
            workdir,
            history=history,
            score=task.score,
            keep=options.keep_checkpoints,
            smoke=smoke,
        )
        data = (task, source, preprocessing, experiment)
        fit(model, data, plan, first_epoch, strategy, run_state, report)
        if not chief:
            return None
        return finish(model, data, plan, workdir, run_state)


def make_plan(experiment, source, smoke, num_replicas=1):
    """The numbers of a run; a ValueError if they do not divide each other."""
    options, batch_size = experiment.train, experiment.data.batch_size
    parts = options.accumulate_steps * num_replicas
    if batch_size % parts:
        raise ValueError(
            f"data.batch_size: received {batch_size}; allowed: multiples of {parts} "
            f"(train.accumulate_steps {options.accumulate_steps} times {num_replicas} "
            "replicas)"
        )
    steps = check_num_batches(source, "train", batch_size)
    if smoke:
        return Plan(epochs=1, steps=2, batch_size=batch_size, smoke=True)
    if steps % options.steps_per_execution:
        # Keras would run into the next epoch's images to fill the last execution.
        divisors = [n for n in range(1, steps + 1) if steps % n == 0]
        raise ValueError(
            f"train.steps_per_execution: received {options.steps_per_execution}; "
            f"allowed: divisors of the {steps} steps of an epoch, {divisors}"
        )
    return Plan(options.epochs, steps, batch_size, smoke=False)


def compile_model(model, experiment, plan, strategy=None):
    """Gives a model the experiment's optimiser, loss, metrics and train step."""
    options = experiment.train
    optimizer_options = options.optimizer.model_dump()
    rate = optimizer_options["learning_rate_per_256"] * plan.batch_size / 256
    optimizer = build_optimizer(
        optimizer_options,
        learning_rate=build_schedule(
            options.schedule.model_dump(),
            learning_rate=rate,
            epochs=plan.epochs,
            steps_per_epoch=plan.steps,
        ),
        ema=options.ema,
    )
    decay_kernels(model, optimizer, optimizer_options["weight_decay"])
    jit_compile = options.jit_compile
    if jit_compile is None:  # XLA knows no exchange between processes
        jit_compile = False if strategy else "auto"
    arguments = {
        "jit_compile": jit_compile,
        **find_task(experiment).compile_arguments(experiment),
    }
    model.compile(
        optimizer=optimizer,
        steps_per_execution=1 if plan.smoke else options.steps_per_execution,
        **arguments,
    )
    model.optimizer.build(model.trainable_variables)
    if strategy:
        distribution.synchronize_batch_normalization(model)
    prepare_steps(model, accumulate_steps=options.accumulate_steps, strategy=strategy)


def fit(model, data, plan, first_epoch, strategy, run_state, report):
    """Trains the epochs that are left; on the chief, with all that is written."""
    task, source, preprocessing, experiment = data
    options = experiment.train
    if first_epoch == plan.epochs:  # killed between the last epoch and result.json
        model.optimizer.finalize_variable_values(model.trainable_variables)
        return
    training = task.build_training(
        source, preprocessing, experiment, epochs=range(first_epoch, plan.epochs)
    )
    validation = None
    if "validation" in source.num_examples:
        validation = task.build_validation(source, preprocessing, experiment)
        validation = validation.take(1) if plan.smoke else validation
    if strategy:
        build_metrics(model, training, strategy)
    console = Console(
        report,
        batch_size=plan.batch_size,
        first_epoch=first_epoch,
        epochs=plan.epochs,
        steps=plan.steps,
    )
    callbacks = [
        EpochSeeds(options.seed, distribution.worker_index(strategy)),
        StopOnNonFiniteLoss(),
        *([AverageWhileValidating()] if options.ema else []),
    ]
    if distribution.is_chief(strategy):
        log_dir = run_state.workdir / "tensorboard"
        callbacks += [
            run_state,
            console,
            keras.callbacks.TensorBoard(log_dir, write_graph=False),
            *attention_pictures(data, plan, log_dir / "attention"),
        ]
    with contextlib.closing(console):
        model.fit(
            training.repeat() if plan.smoke else training,
            validation_data=validation,
            shuffle=False,  # the data set does it
            initial_epoch=first_epoch,
            epochs=plan.epochs,
            steps_per_epoch=plan.steps,
            verbose=0,
            callbacks=callbacks,
        )


def attention_pictures(data, plan, log_dir):
    """What draws attention for TensorBoard, where `train.attention_maps_every` asks."""
    _, source, _, experiment = data
    every = experiment.train.attention_maps_every
    if not every or not experiment.model.attention:
        return []
    from aa_keras.visualization.tensorboard import AttentionMaps

    split = "validation" if "validation" in source.num_examples else "test"
    image = next(iter(split_batches(data, plan, split)))[0][0].numpy()
    height, width, _ = image.shape
    queries = [(height // 4, width // 4), (height // 2, width // 2)]
    epochs = range(every - 1, plan.epochs, every)
    return [AttentionMaps(log_dir, image, queries, epochs=epochs)]


def finish(model, data, plan, workdir, run_state):
    """Saves the network, measures it, and writes `result.json` last of all."""
    task, source, preprocessing, experiment = data
    final = build_model(experiment, preprocessing.output_shape, task.FINAL_ACTIVATION)
    final.set_weights(model.get_weights())
    unfinished = workdir / ".model.keras"  # must end in .keras
    final.save(unfinished)
    unfinished.replace(workdir / "model.keras")
    description = {
        "class_names": source.class_names,
        "preprocessing": dataclasses.asdict(preprocessing),
    }
    write_json(workdir / "data.json", description)
    cost = count(final)
    best = checkpoints.read_state(workdir / "checkpoints" / checkpoints.BEST)
    splits = [name for name in ("validation", "test") if name in source.num_examples]
    result = {
        "name": experiment.name,
        "params": cost.params,
        "gflops": cost.gflops,
        "gflops_paper": cost.gflops_paper,
        "epochs": plan.epochs,
        "best_epoch": best and best["epoch"],
        "seconds": round(run_state.seconds, 1),
        "seed": experiment.train.seed,
        "smoke": plan.smoke,
        "metrics": {
            split: task.measure(final, split_batches(data, plan, split), experiment)
            for split in splits
        },
        "versions": provenance.versions(),
        "git_revision": provenance.git_revision(),
        "hardware": provenance.hardware(),
    }
    write_json(workdir / "result.json", result)
    return result


def split_batches(data, plan, split):
    task, source, preprocessing, experiment = data
    batches = task.build_evaluation(source, preprocessing, experiment, split=split)
    return batches.take(1) if plan.smoke else batches


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
        raise ValueError(f"model: {error}") from error
    finally:
        keras.config.set_dtype_policy(previous)


def _silent(line):
    pass
