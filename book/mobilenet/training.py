"""Training by recipe: data in, a network and a record of how it got there."""

import csv
import json
import os
import pathlib
import platform
import sys
import time

import keras
import numpy as np
import tensorflow as tf

NOTE = {"stride_on": "pointwise", "use_bias": True}
BETTER = {
    "optimizer": {
        "class_name": "SGD", "learning_rate": 0.2, "momentum": 0.9,
        "nesterov": True, "weight_decay": 5e-3},
    "warmup": 3, "smoothing": 0.1, "augment": True, "norm_momentum": 0.9,
    "batch": 256, "epochs": 30, "validation": 5000, "seed": 1,
}

# Each recipe holds what may differ from run to run. network: arguments of
# mobilenet_v1 beside the shape and the ten classes. validation: how many
# training images are set aside and never trained on. Where they are given,
# start: the recipe whose weights, in weights/, are the first ones; warmup:
# epochs in which the learning rate climbs to its peak, to fall along a cosine
# to 0 in the rest; smoothing: the share of each label spread over all classes;
# augment: shift and mirror the images; cutout: the side of a grey square in
# each; small: the first epochs see the images at a smaller side; sides: all
# epochs see them resized, in turn, to these sides; norm_momentum: of batch
# norm's moving statistics, in the fused layer. Keras multiplies weight_decay
# by the learning rate and leaves momentum out: with momentum 0.9, 5e-3 pulls
# as much as 5e-4 in the gradient.
RECIPES = {
    "note-nadam": {
        "about": "The note's network and optimiser, all 50,000 images.",
        "network": {"stride_on": "pointwise", "use_bias": True},
        "optimizer": {"class_name": "Nadam", "learning_rate": 0.01},
        "batch": 128, "epochs": 12, "validation": 0, "seed": 1,
    },
    "note-nadam-validation": {
        "about": "The same, 5,000 of the training images set aside.",
        "network": {"stride_on": "pointwise", "use_bias": True},
        "optimizer": {"class_name": "Nadam", "learning_rate": 0.01},
        "batch": 128, "epochs": 12, "validation": 5000, "seed": 1,
    },
    "note-nadam-seed-2": {
        "about": "The same again, with another seed.",
        "network": NOTE,
        "optimizer": {"class_name": "Nadam", "learning_rate": 0.01},
        "batch": 128, "epochs": 12, "validation": 5000, "seed": 2,
    },
    "note-rmsprop": {
        "about": "The optimiser that the note gives the paper.",
        "network": NOTE,
        "optimizer": {"class_name": "RMSprop", "learning_rate": 0.1},
        "batch": 128, "epochs": 15, "validation": 0, "seed": 1,
    },
    "note-rmsprop-epsilon": {
        "about": "The same with the epsilon of Inception's training, 1.",
        "network": NOTE,
        "optimizer": {
            "class_name": "RMSprop", "learning_rate": 0.1, "epsilon": 1.0},
        "batch": 128, "epochs": 15, "validation": 0, "seed": 1,
    },
    "better-note": {
        "about": "A better recipe on the note's network.",
        "network": NOTE, **BETTER,
    },
    "better-note-plain": {
        "about": "The same without shifting and mirroring the images.",
        "network": NOTE, **BETTER, "augment": False,
    },
    "better-stem-1": {
        "about": "The better recipe on strides that small images want.",
        "network": {"stem_stride": 1}, **BETTER,
    },
    "best-cutout": {
        "about": "Longer, with cutout, the first epochs on smaller images.",
        "network": {"stem_stride": 1}, **BETTER, "epochs": 80, "cutout": 12,
        "small": {"epochs": 48, "side": 24},
    },
    "best-more": {
        "about": "better-stem-1 trained on with cutout, from a lower rate.",
        "start": "better-stem-1", "network": {"stem_stride": 1}, **BETTER,
        "optimizer": {**BETTER["optimizer"], "learning_rate": 0.08},
        "warmup": 1, "epochs": 36, "cutout": 12, "seed": 2,
    },
    "best-all": {
        "about": "best-more trained on in the same way, on all 50,000 images.",
        "start": "best-more", "network": {"stem_stride": 1}, **BETTER,
        "optimizer": {**BETTER["optimizer"], "learning_rate": 0.08},
        "warmup": 1, "epochs": 42, "cutout": 12, "validation": 0, "seed": 3,
    },
}


@keras.saving.register_keras_serializable("mobilenet")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm, trained by TensorFlow's one fused operation.

    Takes (n, height, width, channels); faster than Keras's own steps.
    """

    def call(self, inputs, training=None, mask=None):
        """Return inputs, normalised by the batch's statistics in training."""
        if not training:
            return super().call(inputs, training=False)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon)
        keep = self.momentum
        for moving, now in (
                (self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(keep * moving + (1 - keep) * now)
        return outputs


def with_fused_norm(model, momentum):
    """Return a copy of model, its weights too, with fused batch norms."""
    def copied(layer):
        config = layer.get_config()
        if type(layer) is keras.layers.BatchNormalization:
            config["momentum"] = momentum
            return FusedBatchNormalization.from_config(config)
        return type(layer).from_config(config)

    images = keras.Input((None, None, 3), name="images")  # of any side
    copy = keras.models.clone_model(model, images, copied)
    copy.set_weights(model.get_weights())
    return copy


@keras.saving.register_keras_serializable("mobilenet")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy, in nats, of logits against labels 0 to 9, smoothed.

    The share smoothing of each label is spread evenly over the ten classes.
    """

    def __init__(self, smoothing=0.0, name="loss", **settings):
        """Take smoothing, a share of 1, and what any Keras loss takes."""
        super().__init__(name=name, **settings)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each example: (n,) labels, (n, 10) logits."""
        labels = tf.reshape(tf.cast(y_true, tf.int32), [-1])
        return keras.losses.categorical_crossentropy(
            tf.one_hot(labels, 10), y_pred, from_logits=True,
            label_smoothing=self.smoothing)

    def get_config(self):
        """Return what makes the same loss again."""
        return {**super().get_config(), "smoothing": self.smoothing}


def compiled(model, recipe, steps=1):
    """Return model, ready to train by recipe, steps batches an epoch."""
    if "norm_momentum" in recipe:
        model = with_fused_norm(model, recipe["norm_momentum"])
    settings = dict(recipe["optimizer"])
    if "warmup" in recipe:
        settings["learning_rate"] = keras.optimizers.schedules.CosineDecay(
            0.0, steps * (recipe["epochs"] - recipe["warmup"]),
            warmup_target=settings["learning_rate"],
            warmup_steps=steps * recipe["warmup"])
    optimizer = getattr(
        keras.optimizers, settings.pop("class_name"))(**settings)
    optimizer.build(model.trainable_variables)
    loss = SmoothedCrossentropy(recipe.get("smoothing", 0.0))
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def batches_of(recipe, pipeline, images, labels):
    """Return a function from an epoch, 0 and on, to its batches.

    pipeline is that of cifar10; the recipe says how it is to augment images
    (n, 32, 32, 3) and to resize them.
    """
    small, sides = recipe.get("small", {"epochs": 0}), recipe.get("sides", ())

    def epoch_data(epoch):
        return pipeline(
            images, labels, recipe["batch"], seed=(recipe["seed"], epoch),
            augment=recipe.get("augment", False),
            cutout=recipe.get("cutout", 0),
            sides=(small["side"],) if epoch < small["epochs"] else sides)

    return epoch_data


def versions():
    """Return {name: version} of what a run's result depends on."""
    return {
        "python": platform.python_version(), "tensorflow": tf.__version__,
        "keras": keras.__version__, "numpy": np.__version__}


def machine():
    """Return one line that names the processor, its cores and its GPUs."""
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [row.split(":")[1] for row in lines if "model name" in row]
        name = names[0].strip() if names else name
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"{name}, {os.cpu_count()} cores, {gpus} GPUs"


def read_history(folder, epochs=None):
    """Return the rows of folder/history.csv, the first epochs of them."""
    path = pathlib.Path(folder) / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))[:epochs]


def write_rows(path, rows):
    """Write rows to a CSV file so that a kill leaves old or new, whole."""
    with open(f"{path}.part", "w", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    os.replace(f"{path}.part", path)


def write_json(path, values):
    """Write values to path as JSON that a person can read."""
    pathlib.Path(path).write_text(json.dumps(values, indent=1) + "\n")


def check_room(model, folder):
    """Raise OSError where folder cannot hold what a run of model saves."""
    spare = [folder / f"room{number}.keras" for number in (1, 2)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in spare:
            model.save(path)
    except OSError as error:
        raise OSError(
            f"{folder} cannot hold the run ({error}). Nothing was trained:"
            " free some space, or name another folder.") from error
    finally:
        for path in spare:
            if path.exists():
                path.unlink()


def steps_done(model):
    """Return how many steps model's optimiser has taken."""
    # Under a strategy each device has a copy of the number: read one.
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


class Progress(keras.callbacks.Callback):
    """Count the seconds of every sitting in a file; say what is left."""

    every = 5  # seconds between two writes of the file

    def __init__(self, folder, epochs, steps):
        """Go on from the seconds in folder/clock, if there are any."""
        super().__init__()
        self.clock, self.epochs, self.steps = folder / "clock", epochs, steps
        before = self.clock.read_text() if self.clock.exists() else "0"
        self.start = self.written = time.perf_counter()
        self.before, self.first, self.losses = float(before), None, []

    def seconds(self):
        """Write, and return, the seconds that the run has taken so far."""
        self.written = time.perf_counter()
        seconds = self.before + self.written - self.start
        self.clock.write_text(f"{seconds:.1f}")
        return seconds

    def on_train_batch_end(self, batch, logs=None):
        """Keep the running mean loss; now and then, write the time."""
        self.losses.append(float(logs["loss"]))
        if self.first is None:  # the first batch waits for its graph
            self.first = steps_done(self.model)
            self.began = time.perf_counter()
        elif time.perf_counter() - self.written > self.every:
            self.seconds()
            if sys.stdout.isatty():
                print(f"step {batch + 1} of {self.steps}, loss"
                      f" {logs['loss']:.4f}, {self.left()}  ", end="\r")

    def left(self):
        """Return in words how long the rest of the run will take."""
        step = steps_done(self.model)
        pace = (time.perf_counter() - self.began) / max(step - self.first, 1)
        minutes = pace * (self.epochs * self.steps - step) / 60
        return f"{minutes:.0f} min left"


def minutes_for(recipe, model, batches):
    """Return the minutes that recipe would take, from twenty of its steps.

    model stays as it is; batches, those of an epoch, at least 23.
    """
    trial = compiled(keras.models.clone_model(model), recipe, len(batches))
    trial.fit(batches.take(3), shuffle=False, verbose=0)  # makes the graph
    begun = time.perf_counter()
    trial.fit(batches.skip(3).take(20), shuffle=False, verbose=0)
    pace = (time.perf_counter() - begun) / 20
    return pace * len(batches) * recipe["epochs"] / 60


def batch_accuracy(forward, model, data):
    """Return the share of data right, each batch by its own statistics.

    forward maps a batch of images to logits as in training; model's moving
    statistics are put back.
    """
    weights, right, total = model.get_weights(), 0, 0
    for images, labels in data:
        guesses = np.argmax(forward(images), axis=1)
        right, total = right + np.sum(guesses == labels), total + len(labels)
    model.set_weights(weights)
    return right / total


def train(recipe, model, epoch_data, folder, validation=None):
    """Train model by recipe and return it with its history, a row an epoch.

    epoch_data(epoch) gives the shuffled batches of epoch 0, 1, ...; after
    each epoch folder gets a row in history.csv (epoch, loss, accuracy,
    val_loss and val_accuracy on the batches of validation, seconds; where
    batch norm is Keras's own, val_accuracy_batch too, by each batch's own
    statistics) and a checkpoint, from which a later call goes on. start.csv
    holds the running mean loss of the first 20 steps, clock the seconds of
    all calls. Losses are in nats. Raises OSError before the first step where
    folder cannot hold the run, ValueError where it holds another.
    """
    folder = pathlib.Path(folder)
    checkpoint = folder / "checkpoint.keras"
    steps = len(epoch_data(0))
    if checkpoint.exists():
        before = json.loads((folder / "recipe.json").read_text())
        now = json.loads(json.dumps(recipe))  # with lists for tuples
        # A schedule is laid out over all epochs; without one, more may come.
        free = () if "warmup" in recipe else ("epochs",)
        if changed := [
                k for k in now if k not in free and now[k] != before.get(k)]:
            raise ValueError(
                f"{folder} holds a run of another recipe (its {changed[0]}"
                " differs): name another folder, or remove this one")
        model = keras.models.load_model(checkpoint)
        check_room(model, folder)
    else:
        model = compiled(model, recipe, steps)
        check_room(model, folder)
        write_json(folder / "recipe.json", {**recipe, "versions": versions()})
    done = steps_done(model) // steps
    rows = read_history(folder, done)
    progress = Progress(folder, recipe["epochs"], steps)
    forward = tf.function(lambda images: model(images, training=True))
    for epoch in range(done, recipe["epochs"]):
        start = time.perf_counter()
        fit = model.fit(
            epoch_data(epoch), validation_data=validation, shuffle=False,
            verbose=0, callbacks=[progress])
        results = {k: value[0] for k, value in fit.history.items()}
        if validation is not None and "norm_momentum" not in recipe:
            results["val_accuracy_batch"] = batch_accuracy(
                forward, model, validation)
        rows.append({
            "epoch": epoch + 1,
            **{name: f"{value:.5f}" for name, value in results.items()},
            "seconds": f"{time.perf_counter() - start:.1f}"})
        if epoch == 0:
            write_rows(folder / "start.csv", [
                {"step": step, "mean_loss": f"{loss:.5f}"}
                for step, loss in enumerate(progress.losses[:20], start=1)])
        write_rows(folder / "history.csv", rows)
        # Written last: a row without a checkpoint is dropped on resuming.
        model.save(folder / "part.keras")
        os.replace(folder / "part.keras", checkpoint)
        progress.seconds()
        print(", ".join(f"{k} {v}" for k, v in rows[-1].items())
              + f", {progress.left()}", flush=True)
    return model, rows


def save_weights(model, path):
    """Write model's weights to path (.npz) as float16, by variable name.

    One that float16 cannot hold (beyond 65,504) stays float32.
    """
    stored = {}
    for variable in model.weights:
        whole = keras.ops.convert_to_numpy(variable)
        with np.errstate(over="ignore"):
            half = whole.astype("float16")
        stored[variable.path] = half if np.isfinite(half).all() else whole
    np.savez_compressed(path, **stored)


def load_weights(model, path):
    """Set model's weights to those in path, written by save_weights.

    Raises ValueError where they are another network's.
    """
    with np.load(path) as halves:
        ours = {v.path: tuple(v.shape) for v in model.weights}
        theirs = {name: halves[name].shape for name in halves.files}
        if ours != theirs:
            odd = sorted(set(ours.items()) ^ set(theirs.items()))[0][0]
            raise ValueError(
                f"{path} holds another network's weights ({odd} differs)")
        for variable in model.weights:
            variable.assign(halves[variable.path].astype("float32"))


def write_answers(folder, logits, labels):
    """Return the share of right answers; write confusion.csv, mistakes.csv.

    logits (n, 10) are the trained network's for the test images, computed
    once, after the last epoch; labels (n,). confusion.csv counts images by
    true class (rows) and answer; mistakes.csv names the 24 wrong answers
    held surest.
    """
    folder, guesses = pathlib.Path(folder), logits.argmax(axis=1)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, guesses), 1)
    write_rows(folder / "confusion.csv", [
        {"label": label, **dict(enumerate(row))}
        for label, row in enumerate(counts.tolist())])
    sure = tf.nn.softmax(logits).numpy().max(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    write_rows(folder / "mistakes.csv", [
        {"image": int(i), "label": int(labels[i]), "answer": int(guesses[i]),
         "probability": f"{sure[i]:.3f}"}
        for i in wrong[np.argsort(-sure[wrong])][:24]])
    return float(np.mean(guesses == labels))


def write_result(folder, recipe, macs, params, **reached):
    """Record in result.json what the run reached, test_accuracy or another.

    macs and params are of one image's forward pass.
    """
    write_json(folder / "result.json", {
        **{name: round(share, 4) for name, share in reached.items()},
        "epochs": recipe["epochs"],
        "wall_seconds": float((folder / "clock").read_text()),
        "macs": macs, "params": params, "seed": recipe["seed"],
        "machine": machine(), "versions": versions()})
