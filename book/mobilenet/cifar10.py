"""CIFAR-10 as arrays and as a tf.data pipeline: Krizhevsky 2009.

50,000 training and 10,000 test images of 32 x 32 x 3 bytes in ten classes.
"""

import hashlib
import io
import lzma
import os
import pathlib
import pickle
import tarfile
import zlib

import numpy as np
import tensorflow as tf

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)

# SHA-256 of the sorted SHA-256 digests of all (image bytes, label byte) pairs:
# the same for every true copy of the data, whatever the order of its images.
FINGERPRINTS = {
    "train": "6a3b2c04d0a79ce272dcdacaf0bc4402"
             "75db5a8cbe3717521a28fada2ea0d2ed",
    "test": "65a6ffe079453e514083f99356b35e02"
            "cbfd581b4951e3937fae188974b79f39",
}

BATCH_FILES = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}


class ArrayUnpickler(pickle.Unpickler):
    """Load dicts, lists, text, numbers and NumPy arrays; refuse all else."""

    allowed = {
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("_reconstruct", "scalar")
    } | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}

    def find_class(self, module, name):
        """Return an allowed global, or raise ValueError naming it."""
        if (module, name) not in self.allowed:
            raise ValueError(
                f"the pickle asks for {module}.{name}, which no CIFAR-10"
                " batch needs: do not use this copy")
        return super().find_class(module, name)


def batch_arrays(content):
    """Map an official batch file's bytes to (n, 32, 32, 3), (n,) uint8.

    Raises ValueError where the file holds anything else.
    """
    try:
        batch = ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        images = np.asarray(batch[b"data"]).reshape(-1, 3, 32, 32)
        labels = np.asarray(batch[b"labels"])
    except (AttributeError, EOFError, IndexError, KeyError, TypeError,
            pickle.UnpicklingError) as error:
        raise ValueError(
            f"a batch file is damaged, or none of CIFAR-10's ({error}):"
            " fetch the data again") from error
    if (images.dtype != np.uint8 or labels.shape != (len(images),)
            or not np.isin(labels, range(10)).all()):
        raise ValueError(
            "a batch file is damaged, or none of CIFAR-10's (wrong arrays):"
            " fetch the data again")
    return images.transpose(0, 2, 3, 1), labels.astype(np.uint8)


def batch_files(place):
    """Return {file name: bytes} of the six batches in a folder or archive.

    place is a folder that holds the batch files, cifar-10-batches-py or one
    cifar-10-python.tar.gz or .tar.xz, or is itself such an archive. Nothing
    is unpacked to disk. Raises FileNotFoundError saying what is missing, and
    ValueError for an archive that cannot be read.
    """
    place = pathlib.Path(place)
    names = [name for split in BATCH_FILES.values() for name in split]
    if place.is_file():
        return archived_files(place, names)
    for folder in (place, place / "cifar-10-batches-py"):
        there = [name for name in names if (folder / name).is_file()]
        if missing := sorted(set(names) - set(there)) if there else []:
            raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}")
        if there:
            return {name: (folder / name).read_bytes() for name in names}
    for suffix in ("gz", "xz"):
        archive = place / f"cifar-10-python.tar.{suffix}"
        if archive.is_file():
            return archived_files(archive, names)
    raise FileNotFoundError(
        f"{place} holds neither cifar-10-batches-py nor"
        " cifar-10-python.tar.gz (or .tar.xz)")


def archived_files(path, names):
    """Return {file name: bytes} of those names in a tar archive."""
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = pathlib.PurePosixPath(member.name).name
                if member.isfile() and name in names:
                    found[name] = archive.extractfile(member).read()
    except (EOFError, OSError, lzma.LZMAError, tarfile.TarError,
            zlib.error) as error:
        raise ValueError(
            f"{path} is damaged ({error}): fetch it again") from error
    if missing := sorted(set(names) - set(found)):
        raise FileNotFoundError(f"{path} lacks {', '.join(missing)}")
    return found


def in_canonical_order(images, labels):
    """Return images, labels sorted by the SHA-256 of each pair, and digests.

    Mirrors keep the images in different orders; sorted, a seed means the same
    everywhere.
    """
    digests = np.array([
        hashlib.sha256(image.tobytes() + bytes([label])).digest()
        for image, label in zip(images, labels)], dtype="S32")
    order = np.argsort(digests, kind="stable")
    return images[order], labels[order], digests[order]


def verified(images, labels, split):
    """Return the split in canonical order; raise ValueError if it is altered.

    images (n, 32, 32, 3) and labels (n,) are uint8.
    """
    images, labels, digests = in_canonical_order(images, labels)
    fingerprint = hashlib.sha256(digests.tobytes()).hexdigest()
    if fingerprint != FINGERPRINTS[split]:
        raise ValueError(
            f"the {split} images are not CIFAR-10's (fingerprint"
            f" {fingerprint[:12]}, not {FINGERPRINTS[split][:12]}): the copy"
            " is damaged or altered. Delete it and load again.")
    return images, labels


def keras_copy():
    """Return Keras's own folder of the data set, downloading it if need be.

    Raises RuntimeError saying what to do where the host does not answer.
    """
    print(
        "Looking for CIFAR-10 in the Keras cache. If it is not there it comes"
        " from its original host: 170 MB, which can take an hour. To use a"
        " copy of your own, set CIFAR10_DIR to its folder.")
    try:
        # The call of keras.datasets.cifar10, so that both share one cache.
        return tf.keras.utils.get_file(
            "cifar-10-batches-py-target",
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            extract=True,
            file_hash="6d958be074577803d12ecdefd02955f3"
                      "9262c83c16fe9348329d7fe0b5c001ce")
    except Exception as error:
        raise RuntimeError(
            f"CIFAR-10 could not be downloaded ({error}). Fetch"
            " cifar-10-python.tar.gz by other means and set CIFAR10_DIR to"
            " its folder.") from error


def load_cifar10(source="auto"):
    """Return ((x_train, y_train), (x_test, y_test)), uint8, NHWC.

    x is (50000 or 10000, 32, 32, 3), y is (50000 or 10000,) with labels 0 to
    9 as in CLASSES. source is a folder or archive, or "auto": CIFAR10_DIR
    where it is set, else the Keras cache, else the original host. Every copy
    is checked against FINGERPRINTS and put in one canonical order.
    """
    if source == "auto":
        source = os.environ.get("CIFAR10_DIR") or keras_copy()
    content = batch_files(source)
    splits = []
    for split, names in BATCH_FILES.items():
        batches = [batch_arrays(content[name]) for name in names]
        images, labels = (np.concatenate(part) for part in zip(*batches))
        splits.append(verified(images, labels, split))
    return tuple(splits)


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


def augmented(images, seed, margin=4):
    """Return images, each shifted by up to margin pixels, half mirrored.

    images (n, 32, 32, 3) are uint8. Pixels that a shift brings in mirror
    those at the edge. The same seed shifts and mirrors the same way.
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
    return result


def pipeline(images, labels, batch=128, seed=None, augment=False):
    """Return a tf.data.Dataset of (float32 images in [-1, 1], labels).

    images (n, 32, 32, 3) and labels (n,) are uint8. A seed (a whole number,
    or several) shuffles them, once: each epoch wants a pipeline with a seed
    of its own, by which augment also shifts and mirrors the images. A last
    batch smaller than batch is kept. Raises ValueError for labels outside 0
    to 9, and for augment without a seed.
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= 9:
        raise ValueError(
            "labels must be 0 to 9, not"
            f" {int(labels.min())} to {int(labels.max())}")
    if augment and seed is None:
        raise ValueError("augment needs a seed, another for each epoch")
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(images))
        images, labels = images[order], labels[order]
    if augment:
        images = augmented(images, seed)

    def scale(x, y):
        return tf.cast(x, tf.float32) / 127.5 - 1, y

    options = tf.data.Options()
    # Keras waits for tf.data's tuning thread at the end of an epoch, up to
    # 20 s; a map this cheap has nothing to tune.
    options.autotune.enabled = False
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch)
    return data.map(scale, 2).prefetch(2).with_options(options)
