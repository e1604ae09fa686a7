"""Distillation (Hinton, Vinyals and Dean, 2015): one network teaches another.

A student's batches carry, beside each label, what its teacher says of the
same augmented image; its loss mixes both.
"""

import keras
import tensorflow as tf

CLASSES = 10


@keras.saving.register_keras_serializable("mobilenet")
class TaughtCrossentropy(keras.losses.Loss):
    """Cross-entropy, in nats, against labels and against a teacher's logits.

    The share taught falls to the teacher: both networks' logits are divided
    by temperature, and the loss multiplied by its square. Where no teacher's
    logits are given, as on images set aside, labels alone count.
    """

    def __init__(
            self, temperature, taught, smoothing=0.0, name="loss", **settings):
        """Take a temperature above 0, and two shares of 1."""
        super().__init__(name=name, **settings)
        self.temperature, self.taught = temperature, taught
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        """Return the loss of each example.

        y_true is (n, 10), labels as rows of one 1, or (n, 20), with the
        teacher's probabilities after them; y_pred is (n, 10) logits.
        """
        loss = keras.losses.categorical_crossentropy(
            y_true[:, :CLASSES], y_pred, from_logits=True,
            label_smoothing=self.smoothing)
        if y_true.shape[-1] == CLASSES:
            return loss
        taught = keras.losses.categorical_crossentropy(
            y_true[:, CLASSES:], y_pred / self.temperature, from_logits=True)
        return ((1 - self.taught) * loss
                + self.taught * self.temperature**2 * taught)

    def get_config(self):
        """Return what makes the same loss again."""
        return {**super().get_config(), "temperature": self.temperature,
                "taught": self.taught, "smoothing": self.smoothing}


def in_rows(data):
    """Return batches whose labels (n,) are rows (n, 10) of one 1."""
    return data.map(lambda images, labels: (
        images, tf.one_hot(tf.cast(labels, tf.int32), CLASSES)))


def taught_by(teacher, temperature, data):
    """Return batches with teacher's probabilities after the labels, (n, 20).

    teacher, a model, maps a batch's images to logits (n, 10); they are
    divided by temperature first. The first largest number of a row is still
    its label's, so that a categorical accuracy is that of the labels.
    """
    def both(images, rows):
        logits = teacher(images, training=False)
        return images, tf.concat(
            [rows, tf.nn.softmax(logits / temperature)], axis=1)

    return in_rows(data).map(both).prefetch(2)
