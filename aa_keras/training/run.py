"""`train`: from an experiment to a finished work directory."""

import contextlib

import keras
import tensorflow as tf

from aa_keras import config, models
from aa_keras.counting import count
from aa_keras.layers import attention_layers
from aa_keras.tasks import find_task
from aa_keras.training import (
    callbacks,
    distribution,
    fine_tuning,
    measuring,
    normalization,
    provenance,
    update_factors,
)
from aa_keras.training.averaging import Average
from aa_keras.training.console import Console
from aa_keras.training.optimizers import build_optimizer, decay_weights
from aa_keras.training.plan import check_rest, make_plan
from aa_keras.training.schedules import build_schedule
from aa_keras.training.steps import build_metrics, prepare_steps
from aa_keras.workdir import WorkDir


def train(experiment, workdir, report=print, *, restart=False) -> dict:
    """Trains an experiment, or resumes where an earlier call was interrupted.

    Args:
        experiment: a `config.Experiment`.
        workdir: the folder of the run, created if it does not exist. With several
            workers only the chief reads and writes it.
        report: callable, called with each line for the console. Defaults to `print`.
        restart: bool, whether to start anew and to move what an earlier run left into
            a folder `earlier`. Defaults to `False`.

    Returns:
        The content of `result.json`: metrics, costs and provenance.

    Raises:
        ValueError: if the network cannot be built, the data set is missing, or the work
            directory is locked, belongs to another configuration or has only damaged
            checkpoints.
        DamagedData: if images are missing or cannot be used, more than may be skipped.
        OSError: if the work directory cannot be written.
        RuntimeError: if the loss is not finite, or another worker is lost. It is
            `Interrupted` after SIGTERM, SIGUSR1 or Ctrl-C, when the run is saved (on
            TensorFlow and one device).
    """
    refuse_other_backend(experiment)
    if keras.backend.backend() != "tensorflow":
        # TensorFlow reads the data; it would take all memory of the GPUs.
        tf.config.set_visible_devices([], "GPU")
    workdir = WorkDir(workdir)
    strategy = distribution.build_strategy(experiment.train.distribution)
    chief = distribution.is_chief(strategy)
    report = report if chief else lambda line: None
    locked = workdir.lock() if chief else contextlib.nullcontext()
    with distribution.lost_workers_named(strategy), locked:
        result = None
        if chief and not restart:
            workdir.refuse_other(experiment)
            result = workdir.read_finished(experiment.train.epochs)
        result = distribution.share_result(strategy, result)
        if result:
            report(f"{workdir} is finished")
            return result
        result = _train(experiment, workdir, strategy, report, restart)
        return distribution.share_result(strategy, result)


def refuse_other_backend(experiment) -> None:
    """Raises ValueError for options that the backend of Keras does not have."""
    backend, defaults = keras.backend.backend(), config.Train.model_fields
    allowed = distribution.ALLOWED[backend]
    if experiment.train.distribution not in allowed:
        raise ValueError(
            f"train.distribution: received {experiment.train.distribution!r}; allowed "
            f"on the backend {backend!r}: {', '.join(allowed)}"
        )
    for key in (
        "accumulate_steps",
        "deterministic",
        "ema",
        "kept_learning_rate_factor",
        "learning_rate_factors",
    ):
        value, allowed = getattr(experiment.train, key), defaults[key].default
        if backend != "tensorflow" and value != allowed:
            raise ValueError(
                f"train.{key}: received {value!r}; allowed on the backend {backend!r}: "
                f"{allowed!r}"
            )


def _train(experiment, workdir, strategy, report, restart):
    options = experiment.train
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    task = find_task(experiment).open(experiment)
    with task.source.damage.named():
        return _train_task(task, workdir, strategy, report, restart)


def _train_task(task, workdir, strategy, report, restart):
    experiment, options = task.experiment, task.experiment.train
    chief = distribution.is_chief(strategy)
    task.refuse_unused()
    measuring.check(task)
    plan = make_plan(task, distribution.num_replicas(strategy))
    with distribution.scope(strategy):
        model = build_model(experiment, task.preprocessing.output_shape)
        fine_tuning.freeze(model, options.freeze)
        compiled_for = distribution.of_tensorflow(strategy)
        average, factors = compile_model(model, task, plan, compiled_for)
    # Elsewhere the state of a step is spread over processes or not in variables.
    inside_epochs = strategy is None and keras.backend.backend() == "tensorflow"
    inside_epochs = inside_epochs and not experiment.smoke
    run_state = callbacks.RunState(
        workdir,
        average,
        configuration=config.digest(experiment, config.changeable_keys(experiment)),
        process=provenance.describe_process(),
        score=task.score,
        keep=options.keep_checkpoints,
        minutes=options.checkpoint_minutes if inside_epochs else None,
        skipped=task.source.damage.skipped,
    )
    if options.checkpoint_minutes and not inside_epochs:
        report(
            "train.checkpoint_minutes: this run saves at ends of epochs only, as it is "
            "distributed, a smoke run or not on TensorFlow"
        )
    if chief:
        earlier = workdir.set_aside() if restart else None
        if earlier:
            report(f"moved the earlier run to {earlier}")
        run_state.restore(model, report, inside_epochs=inside_epochs)
        if options.initial_weights and not (run_state.history or run_state.step):
            checksum = fine_tuning.start(model, options, average, factors, report)
            run_state.process["initial_weights_sha256"] = checksum
        check_rest(plan, run_state.step, model.steps_per_execution)
        workdir.write_data(task)
        workdir.result.unlink(missing_ok=True)  # of fewer epochs
        workdir.write_config(experiment)
    first_epoch = distribution.share_state(strategy, model, len(run_state.history))
    resuming = f"resuming after epoch {first_epoch} of {plan.epochs}"
    if run_state.step:
        resuming += f", {run_state.step} of {plan.steps} steps of the next"
    anew = f"starting anew, {plan.epochs} epochs"
    is_new = first_epoch == run_state.step == 0
    report(f"{experiment.name}: {anew if is_new else resuming}")
    signals = run_state.signals if inside_epochs else contextlib.nullcontext()
    with signals, distribution.fit_scope(strategy):
        fit(model, task, plan, first_epoch, strategy, run_state, report)
    return finish(model, task, plan, workdir, run_state) if chief else None


def compile_model(model, task, plan, strategy=None):
    """Gives a model the experiment's optimiser, loss, metrics and train step.

    Returns:
        The `Average` of the weights, and their `UpdateFactors` or None.
    """
    options, batch_size = task.experiment.train, task.experiment.data.batch_size
    optimizer_options = options.optimizer.model_dump()
    schedule = build_schedule(
        options.schedule.model_dump(),
        learning_rate_per_256=optimizer_options["learning_rate_per_256"],
        batch_size=batch_size,
        epochs=plan.epochs,
        steps_per_epoch=plan.steps,
    )
    optimizer = build_optimizer(optimizer_options, learning_rate=schedule)
    decay_weights(model, optimizer, optimizer_options["weight_decay"])
    jit_compile = options.jit_compile
    if jit_compile is None:  # XLA cannot exchange values between processes
        jit_compile = False if strategy else "auto"
    arguments = {"jit_compile": jit_compile, **task.compile_arguments()}
    steps = 1 if task.experiment.smoke else options.steps_per_execution
    model.compile(optimizer=optimizer, steps_per_execution=steps, **arguments)
    model.optimizer.build(model.trainable_variables)
    if strategy and options.batch_norm == "sync":
        normalization.synchronize(model)
    average = Average(model, options.ema)
    factors = update_factors.prepare(model, options)
    parts = options.accumulate_steps
    prepare_steps(model, average, accumulate_steps=parts, strategy=strategy)
    return average, factors


def fit(model, task, plan, first_epoch, strategy, run_state, report) -> None:
    """Trains the remaining epochs; the chief also writes and reports."""
    experiment, options = task.experiment, task.experiment.train
    if first_epoch == plan.epochs:  # killed between the last epoch and result.json
        return
    step = run_state.step
    parts = [(range(first_epoch, plan.epochs), 0)]
    if step:  # Keras counts steps from 0: the rest of an epoch is a fit of its own
        parts = [
            (range(first_epoch, first_epoch + 1), step),
            (range(first_epoch + 1, plan.epochs), 0),
        ]
    validation = None
    if "validation" in task.source.num_examples:
        validation = measuring.shorten(task.build_validation(), experiment.smoke)
    console = Console(
        report,
        batch_size=experiment.data.batch_size,
        first_epoch=first_epoch,
        first_step=step,
        **plan._asdict(),
    )
    watching = [
        callbacks.EpochSeeds(options.seed, distribution.worker_index(strategy)),
        callbacks.StopOnNonFiniteLoss(),
        callbacks.ValidateAverage(run_state.average),
    ]
    if distribution.is_chief(strategy):
        log_dir = run_state.workdir.tensorboard
        watching += [
            *measuring.measurements(task, plan, run_state.average),
            run_state,
            console,
            keras.callbacks.TensorBoard(log_dir, write_graph=False),
            *attention_pictures(model, task, plan, log_dir / "attention"),
        ]
    with contextlib.closing(console):
        for epochs, first_batch in parts:
            if not epochs:
                continue
            training = task.build_training(epochs, first_batch=first_batch)
            if distribution.of_tensorflow(strategy):
                build_metrics(model, training, strategy)
            if first_batch:  # makes the variables of metrics, which get their values
                model.evaluate(training.take(model.steps_per_execution), verbose=0)
            model.fit(
                training.repeat() if experiment.smoke else training,
                validation_data=validation,
                shuffle=False,  # the data set does it
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                steps_per_epoch=plan.steps - first_batch,
                verbose=0,
                callbacks=watching,
            )


def attention_pictures(model, task, plan, log_dir) -> list:
    """Returns the callbacks that `train.attention_maps_every` asks for."""
    every = task.experiment.train.attention_maps_every
    if not every or not attention_layers(model):
        return []
    from aa_keras.visualization.tensorboard import AttentionMaps

    split = "validation" if "validation" in task.source.num_examples else "test"
    image = next(iter(task.build_evaluation(split)))[0][0].numpy()
    height, width, _ = image.shape
    queries = [(height // 4, width // 4), (height // 2, width // 2)]
    epochs = range(every - 1, plan.epochs, every)
    return [AttentionMaps(log_dir, image, queries, epochs=epochs)]


def finish(model, task, plan, workdir, run_state) -> dict:
    """Saves the network, measures it, and writes `result.json` last."""
    experiment = task.experiment
    shape = task.preprocessing.output_shape
    final = build_model(experiment, shape, task.final_activation)
    with run_state.average.in_model():
        final.set_weights(model.get_weights())
    workdir.write_model(final)
    size = experiment.data.image_size
    result = {
        "name": experiment.name,
        **count(final, (size, size, task.preprocessing.channels))._asdict(),
        "epochs": plan.epochs,
        "best_epoch": run_state.best_epoch(),
        "seconds": round(run_state.seconds, 1),
        "seed": experiment.train.seed,
        "smoke": experiment.smoke,
        "metrics": {
            split: measuring.measure(task, final, split, experiment.smoke)
            for split in measuring.measured_splits(task)
        },
        "configuration": config.digest(experiment),
        "processes": run_state.processes,
    }
    if task.source.corrupt_images == "skip":
        result["skipped"] = measuring.skipped(task.source)
    workdir.write_result(result)
    return result


def build_model(experiment, input_shape, classifier_activation=None) -> keras.Model:
    """Returns the experiment's network for images of `input_shape`.

    Args:
        experiment: a `config.Experiment`.
        input_shape: (height, width, channels).
        classifier_activation: `"softmax"`, or `None` for logits, as it is trained.
    """
    options = experiment.model.model_dump(exclude_none=True)
    options["classifier_activation"] = classifier_activation
    precision = experiment.train.mixed_precision
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{precision}" if precision else "float32")
    try:
        return models.build(input_shape=input_shape, **options)
    except ValueError as error:
        raise ValueError(f"model: {error}") from error
    finally:
        keras.config.set_dtype_policy(previous)
