"""CIFAR-10 fetched, checked and in one order: Krizhevsky 2009.

50,000 training and 10,000 test images of 32 x 32 x 3 bytes in ten classes.
"""

import contextlib
import hashlib
import http.client
import importlib.util
import io
import os
import pathlib
import pickle
import shutil
import sqlite3
import tarfile
import time
import urllib.error
import urllib.request

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

# The page that offers it, the original archive (170 MB), its SHA-256 as Keras
# carries it, and a faster mirror (144 MB).
PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE_SHA256 = ("6d958be074577803d12ecdefd02955f3"
                  "9262c83c16fe9348329d7fe0b5c001ce")
MIRROR = ("https://huggingface.co/datasets/uoft-cs/cifar10/resolve/main/"
          "plain_text/")

# A host stalls where for PATIENCE seconds it is silent, or sends on average
# fewer than SLOWEST bytes a second.
PATIENCE, SLOWEST = 30, 3_000

# What versions of Keras call their copies, below datasets in their cache.
KERAS_ARCHIVE = "cifar-10-batches-py-target_archive"
KERAS_COPIES = ("cifar-10-batches-py-target", "cifar-10-batches-py",
                KERAS_ARCHIVE, "cifar-10-batches-py.tar.gz")

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
        """Return an allowed global, or raise UnpicklingError naming it."""
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(
                f"the pickle asks for {module}.{name}, which no batch needs")
        return super().find_class(module, name)


def byte_arrays(images, labels):
    """Return images (n, 32, 32, 3) and labels (n,) as uint8.

    Raises ValueError where they are anything but images and classes.
    """
    if (images.dtype != np.uint8 or images.shape[1:] != (32, 32, 3)
            or labels.shape != (len(images),)
            or not np.isin(labels, range(10)).all()):
        raise ValueError("wrong arrays")
    return images, labels.astype(np.uint8)


def batch_arrays(content, name):
    """Map an official batch file's bytes to (n, 32, 32, 3), (n,) uint8.

    Raises ValueError, with its name, where the file holds anything else.
    """
    try:
        batch = ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        images = np.asarray(batch[b"data"]).reshape(-1, 3, 32, 32)
        return byte_arrays(
            images.transpose(0, 2, 3, 1), np.asarray(batch[b"labels"]))
    # What an altered pickle raises is up to its writer.
    except Exception as error:
        raise ValueError(
            f"the batch file {name} is damaged, or none of CIFAR-10's"
            f" ({error}): do not use this copy, fetch the data again"
            ) from error


def batch_files(copy):
    """Return {file name: bytes} of the six batches, and whether official.

    copy is a folder of the batch files or an archive. Official is the one
    archive whose SHA-256 Keras carries. Nothing is unpacked to disk. Raises
    FileNotFoundError saying what is missing, and ValueError for an archive
    that cannot be read.
    """
    names = [name for split in BATCH_FILES.values() for name in split]
    if copy.is_file():
        with copy.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return archived_files(copy, names), digest == ARCHIVE_SHA256
    missing = [name for name in names if not (copy / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{copy} lacks {', '.join(sorted(missing))}: fetch the data again")
    return {name: (copy / name).read_bytes() for name in names}, False


def expanded(place):
    """Return place as a path in which ~ is the home folder.

    Raises RuntimeError saying what to set where there is none.
    """
    try:
        return pathlib.Path(place).expanduser()
    except RuntimeError as error:
        raise RuntimeError(
            f"no home folder is known, where {place} should be: set"
            " KERAS_HOME to a folder that can keep the data, or CIFAR10_DIR"
            " to one that has it") from error


def copies(place):
    """Return the copies in place, all or part of them there, best first.

    place is a folder that holds the batch files, cifar-10-batches-py or one
    cifar-10-python.tar.gz or .tar.xz, or is itself such an archive. Raises
    FileNotFoundError where it has none of them.
    """
    place = expanded(place)
    names = [name for split in BATCH_FILES.values() for name in split]
    found = [
        folder for folder in (place, place / "cifar-10-batches-py")
        if any((folder / name).is_file() for name in names)]
    found += [
        archive for archive in (place, place / "cifar-10-python.tar.gz",
                                place / "cifar-10-python.tar.xz")
        if archive.is_file()]
    if found:
        return found
    raise FileNotFoundError(
        f"{place} holds neither cifar-10-batches-py nor"
        " cifar-10-python.tar.gz (or .tar.xz): put one of them there, or set"
        " CIFAR10_DIR to the folder that has it")


def archived_files(path, names):
    """Return {file name: bytes} of those names in a tar archive."""
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                inside = pathlib.PurePosixPath(member.name)
                if inside.is_absolute() or ".." in inside.parts:
                    raise tarfile.TarError(f"{inside} climbs out of it")
                if member.isfile() and inside.name in names:
                    found[inside.name] = archive.extractfile(member).read()
    # Damage is met by gzip, lzma, zlib or tarfile, each with its own errors.
    except Exception as error:
        reason = str(error).split(":\n")[0]
        raise ValueError(
            f"{path} is damaged or altered ({reason}): fetch it again"
            ) from error
    if missing := sorted(set(names) - set(found)):
        raise FileNotFoundError(
            f"{path} lacks {', '.join(missing)}: fetch it again")
    return found


def parquet_arrays(path):
    """Map a Parquet file of the mirror to (n, 32, 32, 3), (n,) uint8.

    Its columns are img, a struct with the bytes of a PNG, and label. Raises
    ValueError where the file holds anything else.
    """
    import pyarrow.parquet  # Colab has it, and only the mirror needs it.

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read(columns=["img", "label"])
        images = np.stack([
            tf.io.decode_png(image["bytes"], channels=3).numpy()
            for image in table["img"].to_pylist()])
        return byte_arrays(images, np.asarray(table["label"].to_pylist()))
    # What an altered file raises is up to its writer.
    except Exception as error:
        raise ValueError(
            f"{path.name} is damaged, or no Parquet file of CIFAR-10"
            f" ({error})") from error


def verified(images, labels, split, official=False):
    """Return the split in the order of the SHA-256 of each image and label.

    images (n, 32, 32, 3) and labels (n,) are uint8. Mirrors keep the images
    in different orders; sorted, a seed means the same everywhere. Raises
    ValueError where one is altered; official ones need no such check.
    """
    digests = np.array([
        hashlib.sha256(image.tobytes() + bytes([label])).digest()
        for image, label in zip(images, labels)], dtype="S32")
    order = np.argsort(digests, kind="stable")
    fingerprint = hashlib.sha256(digests[order].tobytes()).hexdigest()
    if fingerprint != FINGERPRINTS[split] and not official:
        raise ValueError(
            f"the {split} images are not CIFAR-10's (fingerprint"
            f" {fingerprint[:12]}, not {FINGERPRINTS[split][:12]}): the copy"
            " is damaged or altered. Fetch the data again.")
    return images[order], labels[order]


def both_splits(copy):
    """Return both splits of a folder of batch files or an archive."""
    content, official = batch_files(copy)
    splits = []
    for split, names in BATCH_FILES.items():
        batches = [
            batch_arrays(content[name], copy / name) for name in names]
        images, labels = (np.concatenate(part) for part in zip(*batches))
        splits.append(verified(images, labels, split, official))
    return tuple(splits)


def official_layout(place):
    """Return both splits of the first whole copy in place.

    Raises what is wrong with the last of its copies.
    """
    *others, last = copies(place)
    for copy in others:
        try:
            return both_splits(copy)
        except (OSError, ValueError) as error:
            print(f"Passing over {copy}: {error}")
    return both_splits(last)


@contextlib.contextmanager
def writing_in(folder):
    """Raise RuntimeError saying what to do where writing in folder fails."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise RuntimeError(
            f"CIFAR-10 cannot be kept in {folder} ({error}): make room there,"
            " or set KERAS_HOME to a folder with room that you can write in,"
            " and load again") from error


@contextlib.contextmanager
def sole_use(folder):
    """Keep other loads from folder, which is made, while the block runs."""
    with writing_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # SQLite's lock works on every system and ends with its process, so
        # that none is left behind. Nothing is stored in the file.
        lock = sqlite3.connect(
            folder / "cifar10.lock", timeout=1, isolation_level=None)
    with contextlib.closing(lock):
        while not lock.in_transaction:
            with writing_in(folder):
                try:
                    lock.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                        raise
                    print("Waiting for another load of CIFAR-10.", end="\r",
                          flush=True)
        yield


def opened(url, path):
    """Return a reply of url, and how many bytes of it path has already."""
    have = path.stat().st_size if path.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        reply = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        path.unlink()  # Nothing follows it: begin again.
        return opened(url, path)
    if reply.length is None:
        raise ConnectionError("the host does not say how much it sends")
    return reply, have if reply.status == 206 else 0


def write_reply(reply, path, have):
    """Write what reply sends behind the have bytes that path keeps."""
    first, total = have, have + reply.length
    began = shown = time.monotonic()
    deadline = began + PATIENCE
    with writing_in(path.parent):
        # Unbuffered, so that a full disk is met in file.write alone.
        file = path.open("ab" if have else "wb", buffering=0)
    with file:
        while data := reply.read1(1 << 18):
            now = time.monotonic()
            have += len(data)
            deadline = min(deadline + len(data) / SLOWEST, now + PATIENCE)
            if now > deadline:
                raise TimeoutError(f"the host stalls after {have:,} bytes")
            with writing_in(path.parent):
                while data:
                    data = data[file.write(data):]
            if now - shown > 0.5 or have == total:
                shown, rate = now, (have - first) / (now - began + 1e-9)
                print(
                    f"\r{have / 1e6:.1f} of {total / 1e6:.1f} MB,"
                    f" {rate / 1e6:.2f} MB/s,"
                    f" {(total - have) / rate:.0f} s left    ",
                    end="", flush=True)
    if have < total:
        raise ConnectionError(
            f"the host closed after {have:,} of {total:,} bytes")


def download(url, path):
    """Fetch url into path, going on where an earlier call was cut off.

    Raises OSError where the host fails or stalls, and keeps what it sent;
    RuntimeError where path cannot be written, and removes it.
    """
    print(f"Fetching {url}")
    reply, have = opened(url, path)
    with reply:
        with writing_in(path.parent):
            free = shutil.disk_usage(path.parent).free
            if free < reply.length:
                raise OSError(f"{free / 1e6:.1f} MB are free, and"
                              f" {reply.length / 1e6:.1f} MB are to come")
        try:
            write_reply(reply, path, have)
        except RuntimeError:
            path.unlink(missing_ok=True)
            raise
        finally:
            print()


def cached(url, path, read):
    """Return read(path); fetch path where it is not there, or read refuses.

    Only to fetch it must its folder be one that can be written.
    """
    def written():
        return path.stat().st_mtime_ns if path.exists() else None

    def kept():
        try:
            return read(path) if path.exists() else None
        except (FileNotFoundError, ValueError) as error:
            print(f"Passing over {path}: {error}")

    before = written()
    if (result := kept()) is None:
        with sole_use(path.parent):
            # Another load may have fetched it, for which this one waited.
            result = kept() if written() != before else None
            if result is None:
                result = fetched_to(path, url, read)
    return result


def fetched_to(path, url, read):
    """Return read(path), fetched from url.

    A file takes its name only once it is whole and read has accepted it.
    """
    part = path.with_name(path.name + ".part")
    download(url, part)
    try:
        result = read(part)
    except (FileNotFoundError, ValueError):
        part.unlink()
        raise
    with writing_in(path.parent):
        part.replace(path)
    return result


def from_mirror(folder):
    """Return both splits from Parquet files, fetched where folder has none."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ImportError(
            "its files need pyarrow, which is not installed: stop, pip"
            " install pyarrow and load again, for that is faster")

    def split_of(path):
        split = "train" if "train" in path.name else "test"
        return verified(*parquet_arrays(path), split)

    names = [f"{split}-00000-of-00001.parquet" for split in BATCH_FILES]
    return tuple(
        cached(MIRROR + name, folder / f"cifar10-{name}", split_of)
        for name in names)


def from_host(folder):
    """Return both splits from the official archive, kept where Keras does."""
    print("The original host sends 170 MB, in 2026 at about 60 kB/s: up to an"
          " hour. To use a copy of your own, set CIFAR10_DIR to its folder.")
    return cached(ARCHIVE, folder / KERAS_ARCHIVE, official_layout)


def fetched():
    """Return both splits from the Keras cache, the mirror or the host.

    Raises RuntimeError saying what to do where none of them has the data.
    """
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    folder = expanded(home) / "datasets"
    for place in (folder / name for name in KERAS_COPIES):
        try:
            if place.exists():
                return official_layout(place)
        except (OSError, ValueError) as error:
            print(f"Passing over {place}: {error}")
    failures = []
    sources = {"mirror": from_mirror, "original host": from_host}
    for name, source in sources.items():
        try:
            return source(folder)
        except (ImportError, OSError, ValueError,
                http.client.HTTPException) as error:
            print(f"The {name} failed: {error}")
            failures.append(f"the {name}: {error}")
    raise RuntimeError(
        f"CIFAR-10 could not be fetched ({'; '.join(failures)}). Load again,"
        " which goes on where a download broke off. Or save"
        f" cifar-10-python.tar.gz from {PAGE} (170 MB) and set CIFAR10_DIR to"
        " its folder. In Colab, drop that file into the list behind the"
        ' folder symbol on the left, run os.environ["CIFAR10_DIR"] ='
        ' "/content" in a new cell, and load again.')


def load_cifar10(source="auto"):
    """Return ((x_train, y_train), (x_test, y_test)), uint8, NHWC.

    x is (50000 or 10000, 32, 32, 3), y is (50000 or 10000,) with labels 0 to
    9 as in CLASSES. source is a folder or archive, or "auto": CIFAR10_DIR
    where it is set, else the Keras cache, else a mirror, else the original
    host. Every copy is checked, and put in one canonical order.
    """
    if source == "auto":
        source = os.environ.get("CIFAR10_DIR")
    return official_layout(source) if source else fetched()
