"""Training by recipe: a network and batches in, a trained network out."""

import sys
import time

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("mobilenet")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm, trained by TensorFlow's one fused operation.

    Takes (n, height, width, channels); faster than Keras's own steps.
    """

    def call(self, inputs, training=None, mask=None):
        """Return inputs, normalised by the batch's statistics in training."""
        if not (training and self.trainable):  # as in Keras's own
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
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            f"Keras's backend is {keras.config.backend()!r}, and training"
            " needs 'tensorflow': set it in keras.json, or KERAS_BACKEND, and"
            " start Python again")
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
    loss = (keras.losses.get(recipe["loss"]) if "loss" in recipe
            else SmoothedCrossentropy(recipe.get("smoothing", 0.0)))
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def steps_done(model):
    """Return how many steps model's optimiser has taken."""
    # Under a strategy each device has a copy of the number: read one.
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


class Progress(keras.callbacks.Callback):
    """Count the seconds of every sitting in a file; say what is left."""

    every = 5  # seconds between two writes of the file

    def __init__(self, run, epochs, steps):
        """Go on from the seconds that run has taken before."""
        super().__init__()
        self.run, self.epochs, self.steps = run, epochs, steps
        self.start = self.written = time.perf_counter()
        self.before, self.first, self.losses = run.seconds(), None, []

    def seconds(self):
        """Write, and return, the seconds that the run has taken so far."""
        self.written = time.perf_counter()
        seconds = self.before + self.written - self.start
        self.run.write_seconds(seconds)
        return seconds

    def on_train_batch_end(self, batch, logs=None):
        """Keep the running mean loss; now and then, write the time."""
        self.losses.append(float(logs["loss"]))
        if not np.isfinite(self.losses[-1]):
            raise FloatingPointError(
                f"the loss is {self.losses[-1]} after step"
                f" {steps_done(self.model)}: the training stops, and its last"
                f" whole epoch stays in {self.run.folder}. Name another"
                " folder, and try a lower learning rate.")
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
        labels = np.reshape(labels, -1)
        right, total = right + np.sum(guesses == labels), total + len(labels)
    model.set_weights(weights)
    return right / total


def begun(recipe, model, run, steps):
    """Return the network to train: that of run's checkpoint, or model.

    model is compiled by recipe, for steps batches an epoch.
    """
    resumed = run.resumed(recipe)
    if resumed is None:
        model = compiled(model, recipe, steps)
        run.check_room(model)
        run.begin(recipe)
        return model
    run.check_room(resumed)
    return resumed


def train(recipe, model, epoch_data, run, validation=None):
    """Train model by recipe and return it with its history, a row an epoch.

    epoch_data(epoch) gives the shuffled batches of epoch 0, 1, ...; run, a
    Run of records.py, keeps what a later call goes on from. A row holds
    epoch, loss, accuracy, val_loss and val_accuracy on the batches of
    validation, and seconds; where batch norm is Keras's own,
    val_accuracy_batch too, by each batch's own statistics. Losses are in
    nats. Raises before the first step OSError where run's folder cannot hold
    it, RuntimeError where another training runs there, ValueError where it
    holds another; FloatingPointError once the loss is no number.
    """
    with run.held():
        return train_on(recipe, model, epoch_data, run, validation)


def train_on(recipe, model, epoch_data, run, validation):
    """Do as train says, in a folder that no other training writes in."""
    steps = len(epoch_data(0))
    model = begun(recipe, model, run, steps)
    done = steps_done(model) // steps
    rows = run.history(done)
    progress = Progress(run, recipe["epochs"], steps)
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
            run.write_start(progress.losses)
        run.keep(model, rows)
        progress.seconds()
        print(", ".join(f"{k} {v}" for k, v in rows[-1].items())
              + f", {progress.left()}", flush=True)
    return model, rows
