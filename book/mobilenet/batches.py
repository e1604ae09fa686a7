"""Images on their way to a network: split, augmented, scaled, in batches."""

import numpy as np
import tensorflow as tf


def generated_images(count, seed=0):
    """Return count images of coloured noise and labels, shaped like CIFAR-10.

    They stand in for the data set in quick runs and are never shown as it:
    each class is noise of its own brightness, so that a network can learn.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count).astype(np.uint8)
    noise = rng.normal(0, 40, (count, 32, 32, 3))
    brightness = 25 + 20 * labels[:, None, None, None]
    return np.clip(noise + brightness, 0, 255).astype(np.uint8), labels


def validation_split(images, labels, count, seed=0):
    """Return ((images, labels) to train on, (images, labels) set aside).

    count images, drawn with seed, are set aside; each keeps its label.
    """
    order = np.random.default_rng(seed).permutation(len(images))
    aside, rest = order[:count], np.sort(order[count:])
    return (images[rest], labels[rest]), (images[aside], labels[aside])


def augmented(images, seed, margin=4, cutout=0):
    """Return images, each shifted by up to margin pixels, half mirrored.

    images (n, 32, 32, 3) are uint8. Pixels that a shift brings in mirror
    those at the edge. cutout greys, in each, a square of so many pixels a
    side, its middle anywhere in the image (DeVries and Taylor, 2017). The
    same seed does the same.
    """
    rng = np.random.default_rng(seed)
    side = 2 * margin + 1
    shift = rng.integers(0, side * side, len(images))
    flip = rng.random(len(images)) < 0.5
    edges = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    padded = np.pad(images, edges, mode="reflect")
    height, width = images.shape[1:3]
    result = np.empty_like(images)
    for place in range(side * side):
        y, x = divmod(place, side)
        here = shift == place
        result[here] = padded[here, y:y + height, x:x + width]
    result[flip] = result[flip, :, ::-1]
    if cutout:
        top = rng.integers(0, height, len(images)) - cutout // 2
        left = rng.integers(0, width, len(images)) - cutout // 2
        down = np.arange(height) - top[:, None]
        across = np.arange(width) - left[:, None]
        hidden = (((down >= 0) & (down < cutout))[:, :, None]
                  & ((across >= 0) & (across < cutout))[:, None, :])
        result[hidden] = 128
    return result


def checked(images, labels):
    """Return uint8 images and whole labels 0 to 9, (n,), or raise ValueError.

    Labels (n, 1), as Keras loads them, become (n,).
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.dtype != np.uint8:
        raise ValueError(
            f"images must be uint8, 0 to 255, not {images.dtype}: they are"
            " scaled here")
    if labels.shape == (len(images), 1):
        labels = labels[:, 0]
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be whole numbers of shape ({len(images)},), one"
            f" for each image, not {labels.dtype} of shape {labels.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() <= 9:
        raise ValueError(
            f"labels must be 0 to 9, not {labels.min()} to {labels.max()}")
    return images, labels


def pipeline(
        images, labels, batch=128, seed=None, augment=False, cutout=0,
        sides=()):
    """Return a tf.data.Dataset of (float32 images in [-1, 1], labels).

    images (n, 32, 32, 3) and labels (n,) are uint8. A seed (a whole number,
    or several) shuffles them, once: each epoch wants a pipeline with a seed
    of its own, by which augment also shifts and mirrors the images, and
    greys a square of cutout pixels a side in each. sides, in pixels, resizes
    them last, to each in turn. A last batch smaller than batch is kept.
    Raises ValueError for other images or labels, and for augment without a
    seed.
    """
    images, labels = checked(images, labels)
    if augment not in (True, False):
        raise ValueError(f"augment must be True or False, not {augment!r}")
    if augment and seed is None:
        raise ValueError("augment needs a seed, another for each epoch")
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(images))
        images, labels = images[order], labels[order]
    if augment:
        images = augmented(images, seed, cutout=cutout)

    def scale(x, y):
        x = tf.cast(x, tf.float32) / 127.5 - 1
        for side in sides:
            x = tf.image.resize(x, (side, side), antialias=True)
        return x, y

    options = tf.data.Options()
    # Keras can wait for tf.data's tuning thread at the end of an epoch, now
    # and then for 20 s; a map this cheap has nothing to tune.
    options.autotune.enabled = False
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch)
    return data.map(scale, 2).prefetch(2).with_options(options)


def batches_of(recipe, images, labels):
    """Return a function from an epoch, 0 and on, to its batches.

    images (n, 32, 32, 3) and labels (n,) are uint8; recipe says how they are
    augmented and resized.
    """
    small, sides = recipe.get("small", {"epochs": 0}), recipe.get("sides", ())

    def epoch_data(epoch):
        return pipeline(
            images, labels, recipe["batch"], seed=(recipe["seed"], epoch),
            augment=recipe.get("augment", False),
            cutout=recipe.get("cutout", 0),
            sides=(small["side"],) if epoch < small["epochs"] else sides)

    return epoch_data
