"""The loss of a student, by hand, and what its batches hold."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from mobilenet import __main__ as command
from mobilenet import (
    batches,
    cifar10,
    distillation,
    network,
    records,
    training,
)
from tiny import TINY

LOGITS = np.array([[4.0, 2, 0], [0, 1, -1]])
TEACHER = np.array([[1.0, 5, 0], [-2, 0, 3]])
LABELS = [1, 2]


def wide(logits):
    """Return logits of ten classes: seven more that nobody would choose."""
    return np.concatenate([logits, np.full((2, 7), -500.0)], axis=1)


def shares(logits, temperature):
    """Return (15.5), written out."""
    terms = np.exp(logits / temperature)
    return terms / terms.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("taught", [0, 0.3, 0.9, 1])
@pytest.mark.parametrize("temperature", [1, 4])
def test_the_loss_is_the_mixture_that_the_book_derives(taught, temperature):
    own = shares(wide(LOGITS), 1)
    by_label = -np.log(own[[0, 1], LABELS])
    soft = shares(wide(LOGITS), temperature)[:, :3]
    by_teacher = -np.sum(
        shares(wide(TEACHER), temperature)[:, :3] * np.log(soft), axis=1)
    wanted = (1 - taught) * by_label + taught * temperature**2 * by_teacher
    rows = np.concatenate(
        [np.eye(10)[LABELS], shares(wide(TEACHER), temperature)], axis=1)
    loss = distillation.TaughtCrossentropy(temperature, taught)
    found = loss.call(tf.constant(rows), tf.constant(wide(LOGITS)))
    assert found.numpy() == pytest.approx(wanted)


def test_without_a_teacher_the_loss_is_that_of_the_labels():
    loss = distillation.TaughtCrossentropy(4, 0.9, smoothing=0.1)
    rows = tf.constant(np.eye(10)[LABELS])
    own = np.log(shares(np.tile(np.arange(10.0), (2, 1)), 1))
    target = 0.9 * np.eye(10)[LABELS] + 0.01
    found = loss.call(rows, tf.constant(np.tile(np.arange(10.0), (2, 1))))
    assert found.numpy() == pytest.approx(-(target * own).sum(axis=1))


def test_a_saved_loss_is_made_again():
    loss = distillation.TaughtCrossentropy(4.0, 0.9, smoothing=0.1)
    made = keras.losses.get(keras.losses.serialize(loss))
    assert made.get_config() == loss.get_config()


def test_batches_carry_what_the_teacher_says_of_the_same_images():
    keras.utils.set_random_seed(3)
    teacher = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    images, labels = batches.generated_images(20)

    def epoch():
        return batches.pipeline(
            images, labels, 8, seed=(1, 0), augment=True)

    data = distillation.taught_by(teacher, 4.0, epoch())
    assert len(data) == 3
    for (x, rows), (plain, classes) in zip(data, epoch(), strict=True):
        assert np.array_equal(x, plain)
        assert np.array_equal(rows[:, :10], np.eye(10)[classes])
        assert rows[:, 10:].numpy() == pytest.approx(
            shares(teacher(plain).numpy(), 4), abs=1e-5)
        assert np.array_equal(np.argmax(rows, axis=1), classes)


def test_a_recipe_that_names_a_teacher_is_trained_by_it(monkeypatch, tmp_path):
    images = batches.generated_images(96)
    monkeypatch.setattr(cifar10, "load_cifar10", lambda: (images, images))
    recipe = {
        **TINY, "epochs": 1, "norm_momentum": 0.9, "teacher": "small",
        "loss": {
            "class_name": "mobilenet>TaughtCrossentropy",
            "config": {"temperature": 4.0, "taught": 1.0}}}
    model, epoch_data, validation, _ = command.prepared(recipe)
    begun = model.get_weights()
    model, (row,) = training.train(
        recipe, model, epoch_data, records.Run(tmp_path), validation)
    # 16 times what softened answers of ten classes have at most, and no less
    # than half: the labels' loss would be a sixteenth of it.
    assert 8 * np.log(10) < float(row["loss"]) < 24 * np.log(10)
    assert float(row["val_loss"]) < 8
    assert any(np.any(a != b) for a, b in zip(
        begun, model.get_weights(), strict=True))
    assert records.Run(tmp_path).resumed(recipe).loss.temperature == 4
