"""Transfer learning: a network of eight classes learns two new ones.

Six ways, each from so many images of a class: "scratch", a new network, and
"longer", with four times the steps; "frozen", a new last layer on the
features of the trained network; "tuned", that and then all weights, batch
norm's statistics left alone; "moving", which lets the new images move those
too; and "statistics", "moving" at the rate 0: no weight changes.

Nothing here is measured on the test images.
"""

import keras
import numpy as np
import tensorflow as tf

# The two that the book's best network confuses most (runs/best-all), so that
# there is something left to learn however many images there are.
NEW = ("cat", "dog")

# The network that is there before: `small` of recipes.py, without its cutout
# and its smaller images, and without the images of the new classes. Two of
# its ten outputs are never the answer.
EIGHT = {
    "about": "small's network on eight of the ten classes.",
    "model": "network.mobilenet_v1",
    "network": {"alpha": 0.25, "stem_stride": 1, "body": (
        (64, 1), (128, 1), (128, 1), (256, 2), (256, 1),
        (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
        (1024, 2), (1024, 1))},
    "without": NEW,
    "optimizer": {
        "class_name": "SGD", "learning_rate": 0.2, "momentum": 0.9,
        "nesterov": True, "weight_decay": 5e-3},
    "warmup": 2, "smoothing": 0.1, "augment": True, "norm_momentum": 0.9,
    "batch": 256, "epochs": 16, "validation": 5000, "seed": 1,
}

COUNTS = (10, 30, 100, 300, 1000)  # images per class
SEEDS = (1, 2, 3)
# Of each way: at which counts, and how many steps of at most 64 images.
STEPS = {
    "scratch": {10: 120, 30: 180, 100: 300, 300: 400, 1000: 600},
    "longer": {10: 480, 30: 720, 100: 1200, 300: 1600, 1000: 2400},
    "frozen": dict.fromkeys(COUNTS, 300),
    "tuned": {10: 60, 30: 90, 100: 150, 300: 200, 1000: 300},
    "moving": {10: 60, 100: 150, 1000: 300},
    "statistics": {10: 60, 100: 150},
}
UNTRAINED = ("scratch", "longer")  # ways that start from a new network
# Adam's first learning rates that are tried: on seed 0 alone, and judged by
# SEARCH_IMAGES training images of each class that seed 0 does not draw. The
# best is used for every count and seed.
RATES = {
    "scratch": (0.001, 0.003, 0.01, 0.03),
    "frozen": (0.001, 0.003, 0.01, 0.03, 0.1),
    "tuned": (0.0001, 0.0003, 0.001, 0.003),
}
SEARCH_COUNT, SEARCH_IMAGES = 100, 500


def drawn(labels, count, seed):
    """Return the places of count images of each class, drawn with seed.

    More of them with the same seed are these and others.
    """
    rng = np.random.default_rng(seed)
    return np.concatenate([
        rng.permutation(np.flatnonzero(labels == one))[:count]
        for one in np.unique(labels)])


def feature_network(model):
    """Return the part of model that ends with the mean of its last maps."""
    return keras.Model(model.input, model.get_layer("average").output)


def with_new_head(model, classes):
    """Return model with a new last layer of so many classes, untrained.

    All other layers are model's own: what they learn, model has too.
    """
    logits = keras.layers.Dense(classes, name="logits")
    return keras.Model(
        model.input, logits(model.get_layer("average").output))


def outputs(model, images, batch=250):
    """Return what model gives for uint8 images, (n, outputs), as in use."""
    forward = tf.function(lambda x: model(x, training=False))
    return np.concatenate([
        forward(images[first:first + batch].astype("float32") / 127.5 - 1)
        for first in range(0, len(images), batch)])


def share_correct(logits, labels):
    """Return the share of logits (n, classes) that are highest at labels."""
    return float(np.mean(logits.argmax(axis=1) == np.reshape(labels, -1)))


def batches_for(steps, epoch_data):
    """Yield so many whole batches of epoch_data(0), epoch_data(1), ..."""
    epoch = done = size = 0
    while done < steps:
        for inputs, labels in epoch_data(epoch):
            size = max(size, len(labels))
            if done < steps and len(labels) == size:
                done += 1
                yield inputs, labels
        epoch += 1


def learn(model, batches, steps, rate, moving=False):
    """Train model on steps batches by Adam, from rate down to 0.

    moving says how batch norm works: by the statistics of each batch, which
    then move the stored ones, or by the stored ones, as in use. A rate of 0
    changes no weight.
    """
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(rate, steps))
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(inputs, labels):
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(
                labels, model(inputs, training=moving), from_logits=True)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, variables), variables)

    for inputs, labels in batches:
        step(inputs, labels)


def trained_head(features, labels, classes, steps, rate, seed=0):
    """Return (kernel, bias) of a last layer, trained on stored features.

    features are (n, channels), labels (n,) from 0 to classes - 1. It takes
    seconds: no image is shown to the network again.
    """
    keras.utils.set_random_seed(seed)
    head = keras.Sequential([
        keras.Input(features.shape[1:]), keras.layers.Dense(classes)])
    rng = np.random.default_rng(seed)
    size = min(64, len(features))

    def epoch_data(epoch):
        order = rng.permutation(len(features))
        return [(features[order[at:at + size]], labels[order[at:at + size]])
                for at in range(0, len(order), size)]

    learn(head, batches_for(steps, epoch_data), steps, rate)
    return head.get_weights()


def with_taught_head(
        model, images, labels, classes, steps=300, rate=0.01):
    """Return model with a new last layer that has learned uint8 images."""
    features = outputs(feature_network(model), images)
    heir = with_new_head(model, classes)
    heir.layers[-1].set_weights(
        trained_head(features, labels, classes, steps, rate))
    return heir


def set_imagenet_weights(model, alpha, weights="imagenet"):
    """Give model, all but its last layer, Keras's weights from ImageNet.

    model is a mobilenet_v1 of width alpha with activation="relu6" and an
    even side, for which Keras has weights: 128, 160, 192 or 224 pixels.
    weights is a file, or "imagenet", which Keras fetches. Raises OSError
    where it cannot.
    """
    try:
        theirs = keras.applications.MobileNet(
            input_shape=model.input_shape[1:], alpha=alpha,
            include_top=False, weights=weights)
    except Exception as error:  # of the network, or of a file
        reason = " ".join(str(error).split())
        raise OSError(
            f"the weights of Keras's MobileNet cannot be had ({reason})"
            ) from error
    model.set_weights(theirs.get_weights() + model.get_weights()[-2:])


def best_rate(rows, way):
    """Return the rate that was best with seed 0, of equal ones the least.

    rows are those of the record, as text or numbers.
    """
    found = [(float(row["accuracy"]), -float(row["rate"])) for row in rows
             if row["way"] == way and int(row["seed"]) == 0]
    return -max(found)[1]


def left(rows):
    """Return what is still to be done: (way, count, seed, rate), in order.

    First the rates are tried; what follows needs the best of each way.
    """
    done = {(row["way"], int(row["count"]), int(row["seed"]),
             float(row["rate"])) for row in rows}
    wanted = [(way, SEARCH_COUNT, 0, rate)
              for way, rates in RATES.items() for rate in rates]
    if done >= set(wanted):
        rates = {way: best_rate(rows, way) for way in RATES}
        rates |= {"longer": rates["scratch"], "moving": rates["tuned"],
                  "statistics": 0.0}
        wanted = [(way, count, seed, rates[way]) for seed in SEEDS
                  for way, steps in STEPS.items() for count in steps]
    return [one for one in wanted if one not in done]
