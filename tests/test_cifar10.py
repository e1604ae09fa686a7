"""Reading CIFAR-10: small copies laid out as the official one, then itself.

The small copies have 60 images; FINGERPRINTS is replaced by theirs, computed
here in plain Python. Hosts are servers on this machine's loopback address.
Where CIFAR10_DIR is set the real data is read too.
"""

import concurrent.futures
import contextlib
import hashlib
import http.server
import inspect
import io
import os
import pathlib
import pickle
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from mobilenet import cifar10

REAL = os.environ.get("CIFAR10_DIR")
TRAIN_FILES = [f"data_batch_{number}" for number in (1, 2, 3, 4, 5)]


def packed(image):
    """Return one image as the official rows have it: a plane a channel."""
    row = np.zeros(3072, np.uint8)
    for y in range(32):
        for x in range(32):
            for channel in range(3):
                row[channel * 1024 + y * 32 + x] = image[y, x, channel]
    return row


def official_batch(images, labels):
    """Return the bytes of a batch file: protocol 2, keys of bytes."""
    return pickle.dumps({
        b"batch_label": b"a batch", b"labels": [int(y) for y in labels],
        b"data": np.stack([packed(image) for image in images]),
        b"filenames": [b"image.png"] * len(images)}, protocol=2)


def layout(images, labels):
    """Return {file name: bytes}: 50 images to train on and 10 to test on."""
    parts = {
        name: range(10 * start, 10 * start + 10)
        for start, name in enumerate([*TRAIN_FILES, "test_batch"])}
    return {
        name: official_batch(images[part], labels[part])
        for name, part in parts.items()}


def fingerprint(images, labels):
    digests = sorted(
        hashlib.sha256(image.tobytes() + bytes([label])).digest()
        for image, label in zip(images, labels))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def write_folder(place, files):
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).write_bytes(content)
    return place


def write_archive(path, files, folder="cifar-10-batches-py/"):
    """Write an archive as the official one is: all in one folder."""
    with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture(scope="module")
def sixty():
    """Return 60 images, no two alike, and labels of all ten classes."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    return images, np.tile(np.arange(10, dtype=np.uint8), 6)


@pytest.fixture(scope="module")
def files(sixty):
    return layout(*sixty)


@pytest.fixture(autouse=True)
def small_fingerprints(request, tmp_path, monkeypatch):
    """Make the 60 images pass for CIFAR-10, but not in a test of the real."""
    monkeypatch.delenv("CIFAR10_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "*")
    # A port at which nothing answers: no test asks a real host.
    monkeypatch.setattr(cifar10, "MIRROR", "http://127.0.0.1:9/mirror/")
    monkeypatch.setattr(cifar10, "ARCHIVE", "http://127.0.0.1:9/a.tar.gz")
    if "real" in request.fixturenames:
        return
    images, labels = request.getfixturevalue("sixty")
    monkeypatch.setattr(cifar10, "FINGERPRINTS", {
        "train": fingerprint(images[:50], labels[:50]),
        "test": fingerprint(images[50:], labels[50:])})


def in_a_folder(tmp_path, files):
    return write_folder(tmp_path / "copy", files)


def in_a_folder_below(tmp_path, files):
    write_folder(tmp_path / "copy" / "cifar-10-batches-py", files)
    return tmp_path / "copy"


def in_a_gz_below(tmp_path, files):
    write_archive(tmp_path / "cifar-10-python.tar.gz", files)
    return tmp_path


def in_an_xz_below(tmp_path, files):
    write_archive(tmp_path / "cifar-10-python.tar.xz", files)
    return tmp_path


def in_a_gz(tmp_path, files):
    return in_a_gz_below(tmp_path, files) / "cifar-10-python.tar.gz"


def in_an_xz_of_another_name(tmp_path, files):
    return write_archive(tmp_path / "mine.xz", files)


@pytest.mark.parametrize("place", [
    in_a_folder, in_a_folder_below, in_a_gz_below, in_an_xz_below, in_a_gz,
    in_an_xz_of_another_name])
def test_every_layout_gives_the_same_images_with_their_labels(
        place, tmp_path, sixty, files):
    images, labels = sixty
    train, test = cifar10.load_cifar10(place(tmp_path, files))
    for (x, y), part in ((train, slice(50)), (test, slice(50, None))):
        assert x.shape == (len(images[part]), 32, 32, 3)
        assert y.shape == (len(labels[part]),)
        assert x.dtype == y.dtype == np.uint8
        assert {(i.tobytes(), int(n)) for i, n in zip(x, y)} == {
            (i.tobytes(), int(n))
            for i, n in zip(images[part], labels[part])}


def test_order_of_images_is_one_whatever_the_order_of_the_copy(
        tmp_path, sixty, files):
    images, labels = sixty
    order = np.append(
        np.random.default_rng(9).permutation(50), np.arange(59, 49, -1))
    mixed = layout(images[order], labels[order])
    assert mixed["data_batch_1"] != files["data_batch_1"]
    first = cifar10.load_cifar10(write_folder(tmp_path / "first", files))
    second = cifar10.load_cifar10(write_folder(tmp_path / "second", mixed))
    for (x, y), (other_x, other_y) in zip(first, second, strict=True):
        assert (x == other_x).all() and (y == other_y).all()


def test_auto_reads_the_folder_that_the_environment_names(
        tmp_path, files, monkeypatch):
    place = in_a_folder_below(tmp_path, files)
    monkeypatch.setenv("CIFAR10_DIR", str(place))
    (_, labels), _ = cifar10.load_cifar10()
    assert np.bincount(labels).tolist() == [5] * 10


@pytest.mark.parametrize(("place", "split"), [(7, "train"), (57, "test")])
def test_one_altered_byte_is_refused(place, split, tmp_path, sixty):
    images, labels = sixty
    images = images.copy()
    images[place, 20, 3, 1] ^= 1
    copy = write_folder(tmp_path / "copy", layout(images, labels))
    with pytest.raises(ValueError, match=f"{split} images are not CIFAR-10"):
        cifar10.load_cifar10(copy)


@pytest.mark.parametrize(("place", "split"), [(7, "train"), (57, "test")])
def test_two_swapped_labels_are_refused(place, split, tmp_path, sixty):
    images, labels = sixty
    labels = labels.copy()
    labels[[place, place + 1]] = labels[[place + 1, place]]
    copy = write_folder(tmp_path / "copy", layout(images, labels))
    with pytest.raises(ValueError, match=f"{split} images are not CIFAR-10"):
        cifar10.load_cifar10(copy)


def test_image_left_out_or_given_twice_is_refused(tmp_path, sixty):
    images, labels = sixty
    batches = layout(images, labels)
    batches["data_batch_2"] = official_batch(images[11:20], labels[11:20])
    copy = write_folder(tmp_path / "less", batches)
    with pytest.raises(ValueError, match="train images are not CIFAR-10"):
        cifar10.load_cifar10(copy)
    batches["data_batch_2"] = batches["data_batch_1"]
    copy = write_folder(tmp_path / "twice", batches)
    with pytest.raises(ValueError, match="train images are not CIFAR-10"):
        cifar10.load_cifar10(copy)


@pytest.mark.parametrize("label", [10, 255, 256, -1])
def test_label_that_is_no_class_is_refused(label, tmp_path, sixty, files):
    images, labels = sixty
    labels = [int(y) for y in labels[:10]]
    labels[4] = label
    batches = {**files, "data_batch_1": official_batch(images[:10], labels)}
    with pytest.raises(ValueError, match="CIFAR-10"):
        cifar10.load_cifar10(write_folder(tmp_path / "copy", batches))


class Command:
    """An object whose pickle runs a command when it is loaded."""

    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


def in_a_value(command):
    return {b"labels": [0], b"data": command}


def on_its_own(command):
    return command


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("hidden", [in_a_value, on_its_own])
@pytest.mark.parametrize(
    ("call", "text"), [
        (os.system, "touch {}"), (eval, "open(r'{}', 'w')"),
        (os.mkdir, "{}")])
def test_pickle_that_runs_a_command_is_refused_and_runs_nothing(
        call, text, hidden, protocol, tmp_path, files):
    trace = tmp_path / "trace"
    command = Command(call, text.format(trace))
    bad = pickle.dumps(hidden(command), protocol=protocol)
    with pytest.raises(ValueError, match=f"asks for .*{call.__name__}"):
        cifar10.load_cifar10(
            write_folder(tmp_path / "copy", {**files, "test_batch": bad}))
    assert not trace.exists()
    pickle.loads(bad)
    assert trace.exists(), "this pickle would have done no harm anyway"


@pytest.mark.parametrize("missing", [*TRAIN_FILES, "test_batch"])
def test_file_that_an_archive_lacks_is_named(missing, tmp_path, files):
    rest = {name: files[name] for name in files if name != missing}
    place = in_a_gz_below(tmp_path, rest)
    with pytest.raises(FileNotFoundError, match=f"lacks {missing}: fetch"):
        cifar10.load_cifar10(place)


def test_file_that_a_folder_lacks_is_named(tmp_path, files):
    rest = {name: files[name] for name in files if name != "data_batch_3"}
    place = in_a_folder_below(tmp_path, rest)
    with pytest.raises(FileNotFoundError, match="data_batch_3"):
        cifar10.load_cifar10(place)


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_folder_without_a_copy_is_named_with_what_was_looked_for(
        name, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
            FileNotFoundError, match=f"{name} .*cifar-10-python.tar.gz"):
        cifar10.load_cifar10(tmp_path / name)


@pytest.mark.parametrize("suffix", ["gz", "xz"])
def test_archive_cut_short_is_refused_by_name(suffix, tmp_path, files):
    path = write_archive(tmp_path / f"cifar-10-python.tar.{suffix}", files)
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises((ValueError, OSError), match="cifar-10-python.tar"):
        cifar10.load_cifar10(tmp_path)


@pytest.mark.parametrize("length", [0, 7, 5_000])
def test_damaged_batch_file_is_refused(length, tmp_path, files):
    damaged = {**files, "data_batch_4": files["data_batch_4"][:length]}
    with pytest.raises(ValueError, match="damaged"):
        cifar10.load_cifar10(write_folder(tmp_path / "copy", damaged))


@pytest.mark.parametrize("packed_in", [in_a_gz_below, in_an_xz_below])
@pytest.mark.parametrize("below", ["", "cifar-10-batches-py"])
@pytest.mark.parametrize("harm", ["half", "cut", "altered", "no folder"])
def test_whole_archive_beside_a_broken_folder_is_read(
        harm, below, packed_in, tmp_path, files, expected, capsys):
    place, folder = packed_in(tmp_path, files), tmp_path / below
    for path in write_folder(tmp_path / "made", files).iterdir():
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    if harm == "half":
        for name in ("data_batch_2", "test_batch"):
            (folder / name).unlink()
    elif harm == "no folder":
        (folder / "data_batch_2").unlink()
        (folder / "data_batch_2").mkdir()
    else:
        content = bytearray(files["data_batch_2"])
        content[5_000] ^= 4
        (folder / "data_batch_2").write_bytes(
            content if harm == "altered" else content[:5_000])
    assert same(cifar10.load_cifar10(place), expected)
    said, = capsys.readouterr().out.splitlines()
    assert said.startswith(f"Passing over {folder}: ")


@pytest.mark.parametrize("name", [*TRAIN_FILES, "test_batch"])
@pytest.mark.parametrize("made", [in_a_folder, in_a_gz])
def test_one_cut_batch_is_named(made, name, tmp_path, files):
    place = made(tmp_path, {**files, name: files[name][:9_000]})
    with pytest.raises(ValueError, match=f"file {place}/{name} is damaged"):
        cifar10.load_cifar10(place)


class Host(http.server.ThreadingHTTPServer):
    """A host of files by name, which can be made to fail in several ways."""

    daemon_threads = True

    def __init__(self, files):
        self.files = files
        self.asked = []  # (name, Range header) of each request.
        self.ranges = True
        self.closes_after = {}  # Bytes of the first reply of that name.
        self.sends = Answer.whole
        self.unmeasured = None  # The name of a file sent without a length.
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(
            target=self.serve_forever, args=(0.02,), daemon=True).start()

    def names(self):
        return [name for name, _ in self.asked]

    def handle_error(self, *_):
        """Say nothing of a client that went away."""


class Answer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""

    @staticmethod
    def whole(reply, content):
        reply.write(content)

    def do_GET(self):  # noqa: N802
        host, name = self.server, self.path.rsplit("/", 1)[-1]
        asked = self.headers["Range"]
        host.asked.append((name, asked))
        if name not in host.files:
            return self.send_error(404)
        content, start = host.files[name], 0
        if asked and host.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if name != host.unmeasured:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = host.closes_after.pop(name, len(content))
        host.sends(self.wfile, content[start:stop])


def parquet(images, labels, **columns):
    """Return a file of the mirror's schema; columns replaces some, or None."""
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    columns = {
        "img": [{"bytes": tf.io.encode_png(image).numpy(), "path": None}
                for image in images],
        "label": pyarrow.array([int(y) for y in labels], pyarrow.int64()),
        **columns}
    table = {name: column for name, column in columns.items()
             if column is not None}
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(table), file)
    return file.getvalue()


ARCHIVE = "cifar-10-python.tar.gz"
TRAIN, TEST = (
    f"{split}-00000-of-00001.parquet" for split in ("train", "test"))


@pytest.fixture(scope="module")
def archive(files, tmp_path_factory):
    """Return the bytes of an archive of the sixty."""
    path = tmp_path_factory.mktemp("archive") / ARCHIVE
    return write_archive(path, files).read_bytes()


@pytest.fixture(scope="module")
def tables(sixty):
    """Return the two files of the mirror, rows in another order."""
    order = np.random.default_rng(8).permutation(50)
    images, labels = sixty
    return {TRAIN: parquet(images[order], labels[order]),
            TEST: parquet(images[50:][::-1], labels[50:][::-1])}


@pytest.fixture
def host(archive, monkeypatch):
    """Return a host that has the archive, and nothing of the mirror."""
    host = Host({ARCHIVE: archive})
    monkeypatch.setattr(cifar10, "MIRROR", f"{host.url}/mirror/")
    monkeypatch.setattr(cifar10, "ARCHIVE", f"{host.url}/{ARCHIVE}")
    yield host
    host.shutdown()
    host.server_close()


@pytest.fixture
def mirror(host, tables):
    """Return a host that has the files of the mirror and no archive."""
    host.files = dict(tables)
    return host


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "keras" / "datasets"


@pytest.fixture(scope="module")
def expected(sixty):
    """Return what every load gives: sorted by plain Python."""
    images, labels = sixty

    def digest(pair):
        return hashlib.sha256(pair[0].tobytes() + bytes([pair[1]])).digest()

    splits = (list(zip(images[part], labels[part]))
              for part in (slice(50), slice(50, None)))
    return tuple(
        tuple(np.stack(column) for column in zip(*sorted(split, key=digest)))
        for split in splits)


def same(splits, others):
    return all(
        np.array_equal(one, other)
        for split, other_split in zip(splits, others, strict=True)
        for one, other in zip(split, other_split, strict=True))


def kept(cache):
    """Return the names of what lies in the cache, but for the lock."""
    return {path.name for path in cache.glob("*")} - {"cifar10.lock"}


def test_named_folder_comes_before_the_keras_cache_and_all_hosts(
        tmp_path, cache, files, host, expected, monkeypatch):
    write_folder(cache / "cifar-10-batches-py-target", {"data_batch_1": b""})
    monkeypatch.setenv("CIFAR10_DIR", str(in_a_folder(tmp_path, files)))
    assert same(cifar10.load_cifar10(), expected)
    assert host.asked == []


@pytest.mark.parametrize("name", [
    "cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py",
    "cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz"])
def test_each_copy_of_keras_comes_before_all_hosts(
        name, cache, files, archive, host, expected):
    if name[-2:] == "py":
        write_folder(cache / name, files)
    else:
        cache.mkdir(parents=True)
        (cache / name).write_bytes(archive)
    assert same(cifar10.load_cifar10(), expected)
    assert host.asked == []


def test_damaged_copy_of_keras_is_named_and_passed_over(
        cache, sixty, host, expected, capsys):
    images, labels = sixty
    write_folder(cache / "cifar-10-batches-py", layout(images, labels[::-1]))
    assert same(cifar10.load_cifar10(), expected)
    assert host.names()[-1] == ARCHIVE
    assert f"Passing over {cache / 'cifar-10-batches-py'}: the train" in (
        capsys.readouterr().out)


def test_mirror_comes_before_the_original_host(
        host, tables, archive, cache, expected):
    host.files = {**tables, ARCHIVE: archive}
    assert same(cifar10.load_cifar10(), expected)
    assert host.names() == [TRAIN, TEST]
    assert kept(cache) == {f"cifar10-{TRAIN}", f"cifar10-{TEST}"}


def test_what_was_fetched_is_not_fetched_again(host, tables, expected, cache):
    for files in (tables, {ARCHIVE: host.files[ARCHIVE]}):
        host.files = files
        assert same(cifar10.load_cifar10(), expected)
        count = len(host.asked)
        assert same(cifar10.load_cifar10(), expected)
        assert len(host.asked) == count > 0
        for path in cache.glob("cifar10-*"):
            path.unlink()


def test_whole_cache_that_cannot_be_written_is_read(
        mirror, cache, expected, monkeypatch):
    cifar10.load_cifar10()
    count = len(mirror.asked)

    @contextlib.contextmanager
    def refused(folder):
        raise RuntimeError(f"{folder} cannot be written")
        yield

    monkeypatch.setattr(cifar10, "sole_use", refused)
    (cache / "cifar10.lock").unlink()
    modes = [(path, path.stat().st_mode) for path in (cache, *cache.iterdir())]
    for path, mode in modes:
        path.chmod(mode & ~0o222)
    try:
        assert same(cifar10.load_cifar10(), expected)
    finally:
        for path, mode in modes:
            path.chmod(mode)
    assert len(mirror.asked) == count
    assert not (cache / "cifar10.lock").exists()
    (cache / f"cifar10-{TEST}").unlink()
    with pytest.raises(RuntimeError, match="cannot be written"):
        cifar10.load_cifar10()


@pytest.mark.parametrize("variable", ["", "KERAS_HOME", "CIFAR10_DIR"])
def test_without_a_home_folder_it_is_said_what_to_set(
        variable, host, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.delenv("HOME", raising=False)
    if variable:
        monkeypatch.setenv(variable, "~/data")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(
            RuntimeError, match="no home.*KERAS_HOME to .*CIFAR10_DIR to"):
        cifar10.load_cifar10()
    assert host.asked == []


def test_kept_file_that_was_damaged_is_named_and_fetched_again(
        mirror, cache, expected, capsys):
    cifar10.load_cifar10()
    path = cache / f"cifar10-{TEST}"
    path.write_bytes(path.read_bytes()[:-100])
    assert same(cifar10.load_cifar10(), expected)
    assert mirror.names() == [TRAIN, TEST, TEST]
    assert f"Passing over {path}: " in capsys.readouterr().out
    assert same(cifar10.load_cifar10(), expected)


def test_without_keras_home_the_cache_is_in_the_home_folder(
        host, tmp_path, expected, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    assert same(cifar10.load_cifar10(), expected)
    assert kept(tmp_path / "me" / ".keras" / "datasets") == {
        "cifar-10-batches-py-target_archive"}


def keras_fetches(host, cache):
    """Let Keras fetch and unpack the archive as keras.datasets does."""
    return keras.utils.get_file(
        "cifar-10-batches-py-target", f"{host.url}/{ARCHIVE}", extract=True,
        file_hash=hashlib.sha256(host.files[ARCHIVE]).hexdigest(),
        cache_dir=str(cache.parent))


def test_keras_uses_what_was_fetched_from_the_original_host(
        host, cache, files):
    cifar10.load_cifar10()
    count = len(host.asked)
    folder = pathlib.Path(keras_fetches(host, cache)) / "cifar-10-batches-py"
    assert len(host.asked) == count
    assert {path.name: path.read_bytes()
            for path in folder.iterdir()} == files


@pytest.mark.parametrize("rest", ["archive and folder", "archive"])
def test_what_keras_fetched_is_used(rest, host, cache, expected):
    cache.mkdir(parents=True)
    folder = pathlib.Path(keras_fetches(host, cache))
    if rest == "archive":
        # As if a disk had been full when Keras unpacked it.
        (folder / "cifar-10-batches-py" / "data_batch_4").unlink()
    assert same(cifar10.load_cifar10(), expected)
    assert host.names() == [ARCHIVE]


@pytest.mark.usefixtures("real_hosts")
def test_archive_hash_and_names_are_those_of_keras():
    source = inspect.getsource(keras.datasets.cifar10.load_data)
    for text in (cifar10.ARCHIVE, cifar10.ARCHIVE_SHA256,
                 cifar10.KERAS_COPIES[0]):
        assert f'"{text}"' in source


@pytest.fixture
def real_hosts(monkeypatch):
    monkeypatch.undo()


@pytest.mark.parametrize("place", [in_a_gz, in_a_gz_below])
def test_official_archive_is_trusted_by_its_hash_and_no_other_is(
        place, tmp_path, files, expected, monkeypatch):
    path = place(tmp_path, files)
    content = (tmp_path / ARCHIVE).read_bytes()
    monkeypatch.setattr(cifar10, "FINGERPRINTS", {"train": "", "test": ""})
    with pytest.raises(ValueError, match="train images are not CIFAR-10"):
        cifar10.load_cifar10(path)
    monkeypatch.setattr(
        cifar10, "ARCHIVE_SHA256", hashlib.sha256(content).hexdigest())
    assert same(cifar10.load_cifar10(path), expected)


def test_progress_is_one_line_with_size_speed_and_time_left(host, capsys):
    size = len(host.files[ARCHIVE])

    def slowly(reply, content):
        for start in range(0, size, size // 3 + 1):
            time.sleep(0.6)
            reply.write(content[start:start + size // 3 + 1])

    host.sends = slowly
    cifar10.load_cifar10()
    lines = capsys.readouterr().out.split("\n")
    (line,) = [line for line in lines if line.startswith("\r")]
    texts = line.split("\r")[1:]
    for text in texts:
        assert re.fullmatch(
            r"0\.\d of 0\.\d MB, \d\.\d\d MB/s, \d+ s left *", text)
    assert len(texts) > 1
    assert texts[-1].startswith(f"{size / 1e6:.1f} of {size / 1e6:.1f} MB")
    assert texts[-1].endswith(" 0 s left    ")


def test_where_nothing_can_be_fetched_the_way_out_in_colab_is_named(
        mirror, cache):
    mirror.closes_after[TRAIN] = 40_000
    with pytest.raises(RuntimeError) as caught:
        cifar10.load_cifar10()
    for step in ("cifar-10-python.tar.gz from https://www.cs.toronto.edu",
                 "In Colab, drop that file into the list",
                 'run os.environ["CIFAR10_DIR"] = "/content"',
                 "and load again"):
        assert step in str(caught.value)


def test_download_that_broke_off_goes_on_where_it_was(
        mirror, cache, expected):
    mirror.closes_after[TRAIN] = 40_000
    with pytest.raises(RuntimeError, match="closed after 40,000 of"):
        cifar10.load_cifar10()
    assert kept(cache) == {f"cifar10-{TRAIN}.part"}
    assert same(cifar10.load_cifar10(), expected)
    assert mirror.asked == [
        (TRAIN, None), (ARCHIVE, None), (TRAIN, "bytes=40000-"), (TEST, None)]
    assert kept(cache) == {f"cifar10-{TRAIN}", f"cifar10-{TEST}"}


def test_download_that_broke_off_starts_again_if_the_host_cannot_go_on(
        mirror, cache, expected):
    mirror.ranges = False
    mirror.closes_after[TRAIN] = 40_000
    with pytest.raises(RuntimeError, match="closed after 40,000 of"):
        cifar10.load_cifar10()
    assert same(cifar10.load_cifar10(), expected)
    assert mirror.names() == [TRAIN, ARCHIVE, TRAIN, TEST]


@pytest.mark.parametrize("more", [0, 5])
def test_part_as_long_as_the_file_or_longer_is_fetched_again(
        more, mirror, cache, expected):
    cache.mkdir(parents=True)
    size = len(mirror.files[TRAIN])
    (cache / f"cifar10-{TRAIN}.part").write_bytes(bytes(size + more))
    assert same(cifar10.load_cifar10(), expected)
    assert mirror.asked[:2] == [(TRAIN, f"bytes={size + more}-"),
                                (TRAIN, None)]


def test_part_of_something_else_is_refused_once_and_gone(
        mirror, cache, expected):
    cache.mkdir(parents=True)
    (cache / f"cifar10-{TRAIN}.part").write_bytes(b"x" * 1000)
    with pytest.raises(RuntimeError, match="train.* is damaged"):
        cifar10.load_cifar10()
    assert kept(cache) == set()
    assert same(cifar10.load_cifar10(), expected)


def test_slow_host_that_keeps_on_is_no_stall(host, expected, monkeypatch):
    # 5 times PATIENCE in all, at twice SLOWEST.
    size = len(host.files[ARCHIVE])
    monkeypatch.setattr(cifar10, "PATIENCE", 0.4)
    monkeypatch.setattr(cifar10, "SLOWEST", size / 4)

    def slowly(reply, content):
        for start in range(0, size, size // 20 + 1):
            reply.write(content[start:start + size // 20 + 1])
            time.sleep(0.1)

    host.sends = slowly
    assert same(cifar10.load_cifar10(), expected)


def test_two_loads_at_once_fetch_once_and_both_are_right(
        mirror, cache, expected):
    def later(reply, content):
        time.sleep(0.5)
        reply.write(content)

    mirror.sends = later
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        loads = [pool.submit(cifar10.load_cifar10) for _ in range(3)]
        assert all(same(load.result(), expected) for load in loads)
    assert mirror.names() == [TRAIN, TEST]
    assert kept(cache) == {f"cifar10-{TRAIN}", f"cifar10-{TEST}"}


def test_two_processes_at_once_fetch_once_and_both_are_right(
        host, expected, capsys):
    # The archive needs no TensorFlow, which takes seconds to import.
    code = textwrap.dedent(f"""
        import sys, types
        sys.modules["tensorflow"] = types.ModuleType("tensorflow")
        from mobilenet import cifar10
        cifar10.FINGERPRINTS = {cifar10.FINGERPRINTS}
        cifar10.MIRROR = {cifar10.MIRROR!r}
        cifar10.ARCHIVE = {cifar10.ARCHIVE!r}
        (x, y), _ = cifar10.load_cifar10()
        print("sums", x.sum(), y.sum())
        """)
    go = threading.Event()

    def when_told(reply, content):
        reply.write(content[:100])
        go.wait(20)
        reply.write(content[100:])

    host.sends = when_told
    book = pathlib.Path(cifar10.__file__).parent.parent
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=book, stdout=subprocess.PIPE,
        text=True)
    wait_until(lambda: ARCHIVE in host.names())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        load = pool.submit(cifar10.load_cifar10)
        wait_until(lambda: "Waiting" in capsys.readouterr().out)
        go.set()
        (x, y), _ = splits = load.result()
    out, _ = other.communicate(timeout=20)
    assert same(splits, expected)
    assert f"sums {x.sum()} {y.sum()}" in out
    assert host.names().count(ARCHIVE) == 1


def wait_until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.02)


def test_load_waits_for_another_and_goes_on_when_that_is_killed(
        host, cache, expected, capsys):
    cache.mkdir(parents=True)
    code = ("import sqlite3, sys, time\n"
            "lock = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "lock.execute('BEGIN EXCLUSIVE')\n"
            "print('held', flush=True)\n"
            "time.sleep(60)")
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(cache / "cifar10.lock")],
        stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        load = pool.submit(cifar10.load_cifar10)
        wait_until(lambda: "Waiting" in capsys.readouterr().out)
        assert host.asked == [] and not load.done()
        holder.kill()
        holder.communicate()
        assert same(load.result(20), expected)


class Scene(types.SimpleNamespace):
    """Fixtures that a hostile source is made of."""

    def host_sends(self, files, **settings):
        self.host.files = {**self.host.files, **files}
        vars(self.host).update(settings)

    def copy_is(self, files):
        self.monkeypatch.setenv(
            "CIFAR10_DIR", str(in_a_gz_below(self.tmp_path, files)))


@pytest.fixture
def scene(host, cache, tmp_path, monkeypatch, sixty, files, archive):
    return Scene(
        host=host, cache=cache, tmp_path=tmp_path, monkeypatch=monkeypatch,
        sixty=sixty, files=files, archive=archive,
        trace=tmp_path / "trace")


def one_byte_altered(images, labels):
    images = images.copy()
    images[7, 20, 3, 1] ^= 1
    return images, labels


def two_labels_swapped(images, labels):
    labels = labels.copy()
    labels[[7, 8]] = labels[[8, 7]]
    return images, labels


def commanding(scene):
    """Return batch files of which one makes the trace when it is loaded."""
    command = Command(os.mkdir, str(scene.trace))
    return {**scene.files, "data_batch_1": pickle.dumps({b"data": command})}


def packed_in(scene, files):
    return write_archive(scene.tmp_path / "packed.gz", files).read_bytes()


def train_table(scene, images, labels, **columns):
    """Let the mirror send a training file of these."""
    scene.host_sends({TRAIN: parquet(images[:50], labels[:50], **columns)})


def labels_with(scene, value):
    labels = scene.sixty[1][:50].astype(int)
    return [*labels[:-1].tolist(), value]


def images_with(scene, last):
    images = [{"bytes": tf.io.encode_png(image).numpy(), "path": "a.png"}
              for image in scene.sixty[0][:49]]
    return [*images, last]


def only_drips(reply, content):
    for start in range(200):
        reply.write(content[start:start + 1])
        time.sleep(0.1)


def sends_some(reply, content):
    reply.write(content[:50])
    time.sleep(3)


def stalling(scene, sends):
    scene.monkeypatch.setattr(cifar10, "PATIENCE", 0.5)
    scene.host_sends({TRAIN: b"x" * 100_000})
    scene.host.sends = lambda reply, content: (
        sends if content[:1] == b"x" else Answer.whole)(reply, content)


def without_pyarrow(scene):
    scene.monkeypatch.setattr(
        cifar10.importlib.util, "find_spec", lambda _: None)


def no_network(scene):
    scene.monkeypatch.setattr(cifar10, "MIRROR", "http://127.0.0.1:9/m/")
    scene.monkeypatch.setattr(cifar10, "ARCHIVE", "http://127.0.0.1:9/a")


def file_in_the_way(scene):
    scene.cache.parent.write_text("a file, where the folder should be")


def folder_in_the_way(scene):
    (scene.cache / "cifar10.lock").mkdir(parents=True)


def too_little_space(scene):
    usage = shutil.disk_usage(scene.tmp_path)
    scene.monkeypatch.setattr(
        cifar10.shutil, "disk_usage", lambda _: usage._replace(free=99_999))


def disk_that_fills_up(scene):
    if not os.path.exists("/dev/full"):
        pytest.skip("only Linux has a file that is always full")
    scene.cache.mkdir(parents=True)
    (scene.cache / f"{cifar10.KERAS_ARCHIVE}.part").symlink_to("/dev/full")


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>" * 99
NO_CIFAR = "images are not CIFAR-10's .*damaged or altered. Fetch"
NO_PARQUET = "parquet.part is damaged, or no Parquet file of CIFAR-10"

# What is hostile: (how it is made, what the message says).
HOSTILE = {
    "copy: archive cut short": (
        lambda s: [s.copy_is(s.files), (s.tmp_path / ARCHIVE).write_bytes(
            s.archive[:60_000])],
        "tar.gz is damaged or altered .*fetch it again"),
    "copy: web page instead": (
        lambda s: [s.copy_is(s.files),
                   (s.tmp_path / ARCHIVE).write_bytes(PAGE)],
        "tar.gz is damaged or altered .*fetch it again"),
    "copy: one wrong byte": (
        lambda s: s.copy_is(layout(*one_byte_altered(*s.sixty))), NO_CIFAR),
    "copy: two labels swapped": (
        lambda s: s.copy_is(layout(*two_labels_swapped(*s.sixty))), NO_CIFAR),
    "copy: pickle runs a command": (
        lambda s: s.copy_is(commanding(s)),
        "asks for posix.mkdir|nt.mkdir.*do not use"),
    "copy: path climbs out": (
        lambda s: s.copy_is({**s.files, "../../data_batch_1": b"x"}),
        "data_batch_1 climbs out of it.*fetch it again"),
    "copy: absolute path": (
        lambda s: [s.copy_is({}), write_archive(
            s.tmp_path / ARCHIVE, {"data_batch_1": b"x"}, folder="/etc/")],
        "/etc/data_batch_1 climbs out of it.*fetch it again"),
    "copy: a batch is missing": (
        lambda s: s.copy_is({"data_batch_1": s.files["data_batch_1"]}),
        "lacks data_batch_2, .*fetch it again"),
    "mirror: one wrong byte": (
        lambda s: train_table(s, *one_byte_altered(*s.sixty)), NO_CIFAR),
    "mirror: two labels swapped": (
        lambda s: train_table(s, *two_labels_swapped(*s.sixty)), NO_CIFAR),
    "mirror: column label missing": (
        lambda s: train_table(s, *s.sixty, label=None),
        f"{NO_PARQUET}.*label"),
    "mirror: column img missing": (
        lambda s: train_table(s, *s.sixty, img=None), f"{NO_PARQUET}.*img"),
    "mirror: label 256": (
        lambda s: train_table(s, *s.sixty, label=labels_with(s, 256)),
        f"{NO_PARQUET}.*wrong arrays"),
    "mirror: no label": (
        lambda s: train_table(s, *s.sixty, label=labels_with(s, None)),
        NO_PARQUET),
    "mirror: image is no PNG": (
        lambda s: train_table(s, *s.sixty, img=images_with(
            s, {"bytes": b"GIF", "path": ""})), NO_PARQUET),
    "mirror: image of 16 x 16": (
        lambda s: train_table(s, *s.sixty, img=images_with(s, {
            "bytes": tf.io.encode_png(s.sixty[0][49, :16, :16]).numpy(),
            "path": ""})), NO_PARQUET),
    "mirror: no image": (
        lambda s: train_table(s, *s.sixty, img=images_with(s, None)),
        NO_PARQUET),
    "mirror: file cut short": (
        lambda s: s.host_sends({TRAIN: parquet(*s.sixty)[:50_000]}),
        NO_PARQUET),
    "mirror: web page instead": (
        lambda s: s.host_sends({TRAIN: PAGE}), NO_PARQUET),
    "mirror: no such file": (lambda s: None, "404"),
    "mirror: no length": (
        lambda s: s.host_sends({TRAIN: PAGE}, unmeasured=TRAIN),
        "does not say how much"),
    "mirror: closes early": (
        lambda s: s.host_sends({TRAIN: PAGE}, closes_after={TRAIN: 9}),
        "closed after 9 of 5,346 bytes"),
    "mirror: falls silent": (
        lambda s: stalling(s, sends_some), "timed out"),
    "mirror: drips": (lambda s: stalling(s, only_drips), "stalls after"),
    "mirror: pyarrow missing": (without_pyarrow, "pip install pyarrow"),
    "host: archive cut short": (
        lambda s: s.host_sends({ARCHIVE: s.archive[:60_000]}),
        "is damaged or altered .*set CIFAR10_DIR"),
    "host: web page instead": (
        lambda s: s.host_sends({ARCHIVE: PAGE}),
        "is damaged or altered .*set CIFAR10_DIR"),
    "host: one wrong byte": (
        lambda s: s.host_sends({ARCHIVE: packed_in(
            s, layout(*one_byte_altered(*s.sixty)))}),
        f"{NO_CIFAR}.*set CIFAR10_DIR"),
    "host: pickle runs a command": (
        lambda s: s.host_sends({ARCHIVE: packed_in(s, commanding(s))}),
        "asks for .*mkdir.*set CIFAR10_DIR"),
    "host: a batch is missing": (
        lambda s: s.host_sends({ARCHIVE: packed_in(s, {})}),
        "lacks data_batch_1, .*set CIFAR10_DIR"),
    "host: closes early": (
        lambda s: s.host_sends({}, closes_after={ARCHIVE: 9}),
        "closed after 9 of .*goes on where .*set CIFAR10_DIR"),
    "no network": (
        no_network, "mirror: .*refused.*host: .*refused.*set CIFAR10_DIR"),
    "cache: a file in its place": (
        file_in_the_way, "cannot be kept in .*set KERAS_HOME"),
    "cache: cannot be locked": (
        folder_in_the_way, "cannot be kept in .*set KERAS_HOME"),
    "disk: too little space": (
        too_little_space, "0.1 MB are free, and 0.2 MB .*make room"),
    "disk: fills up": (disk_that_fills_up, "No space left.*make room"),
}

# What a broken connection leaves, to go on from.
LEAVES = {
    "mirror: closes early": {f"cifar10-{TRAIN}.part"},
    "mirror: falls silent": {f"cifar10-{TRAIN}.part"},
    "mirror: drips": {f"cifar10-{TRAIN}.part"},
    "host: closes early": {f"{cifar10.KERAS_ARCHIVE}.part"},
}


@pytest.fixture(scope="module")
def messages():
    """Gather {hostile source: message}, printed at the end (pytest -s)."""
    gathered = {}
    yield gathered
    print("\n\n| hostile source | message |\n|---|---|")
    for row in gathered.items():
        print("| {} | {} |".format(*row))


@pytest.mark.parametrize("source", HOSTILE)
def test_messages_of_hostile_sources_are_one_line_and_nothing_is_left(
        source, scene, messages, expected, capsys):
    make, pattern = HOSTILE[source]
    if source.startswith(("mirror", "no net")) and make != without_pyarrow:
        pytest.importorskip("pyarrow")
    make(scene)
    try:
        splits = cifar10.load_cifar10()
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        assert not source.startswith("mirror")
        message = str(error)
    else:
        # The mirror failed, and the original host has the data.
        assert source.startswith("mirror") and same(splits, expected)
        message, = [line for line in capsys.readouterr().out.splitlines()
                    if line.startswith("The mirror failed: ")]
    message = message.replace(str(scene.tmp_path), "FOLDER")
    messages[source] = re.sub(r"127.0.0.1:\d+", "HOST", message)
    assert re.search(pattern, message), message
    assert "\n" not in message
    assert not scene.trace.exists()
    assert kept(scene.cache) - {cifar10.KERAS_ARCHIVE} == LEAVES.get(
        source, set())


@pytest.mark.parametrize("what", [too_little_space, disk_that_fills_up])
def test_full_disk_does_not_lead_to_the_slow_host(what, mirror, scene):
    mirror.files[ARCHIVE] = scene.archive
    if what is disk_that_fills_up:
        scene.cache.mkdir(parents=True)
        part = scene.cache / f"cifar10-{TRAIN}.part"
        part.symlink_to("/dev/full")
    else:
        what(scene)
    with pytest.raises(RuntimeError, match="make room there"):
        cifar10.load_cifar10()
    assert mirror.names() == [TRAIN] and kept(scene.cache) == set()


def test_disk_that_is_full_at_the_last_bytes_is_no_damage(
        host, cache, archive):
    resource = pytest.importorskip("resource")
    kind = resource.RLIMIT_FSIZE
    limits = resource.getrlimit(kind)
    resource.setrlimit(kind, (len(archive) - 10, limits[1]))
    try:
        with pytest.raises(RuntimeError, match="too large.*make room there"):
            cifar10.load_cifar10()
    finally:
        resource.setrlimit(kind, limits)
    assert kept(cache) == set()


@pytest.mark.parametrize("part", [0, 0.2, 0.4, 0.6, 0.8, 0.99, 1])
def test_one_wrong_byte_of_a_parquet_file_is_refused_or_without_effect(
        part, mirror, cache, expected):
    content = bytearray(mirror.files[TRAIN])
    content[int(part * (len(content) - 1))] ^= 4
    mirror.files[TRAIN] = bytes(content)
    try:
        assert same(cifar10.load_cifar10(), expected)
    except RuntimeError as error:
        assert re.search("train.* damaged", str(error))
        assert kept(cache) == set()


def test_folder_in_which_nothing_can_be_locked_is_reported(
        host, monkeypatch):
    class Lock:
        in_transaction = False
        tries = 0

        def execute(self, _):
            self.tries += 1
            assert self.tries == 1, "it tries again, and would for ever"
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

        def close(self):
            pass

    monkeypatch.setattr(cifar10.sqlite3, "connect", lambda *_, **__: Lock())
    with pytest.raises(RuntimeError, match="disk I/O error.*KERAS_HOME"):
        cifar10.load_cifar10()
    assert host.asked == []


def test_lock_file_that_holds_something_else_is_reported(host, cache):
    cache.mkdir(parents=True)
    (cache / "cifar10.lock").write_bytes(b"no data base" * 999)
    with pytest.raises(RuntimeError, match="cannot be kept in .*KERAS_HOME"):
        cifar10.load_cifar10()
    assert host.asked == []


@pytest.fixture(scope="module")
def real():
    """Return CIFAR-10 itself."""
    if not REAL:
        pytest.skip("CIFAR10_DIR is not set: the real images are not at hand")
    return cifar10.load_cifar10(REAL)


def test_real_images_are_ten_equal_classes(real):
    (x_train, y_train), (x_test, y_test) = real
    assert x_train.shape == (50_000, 32, 32, 3)
    assert x_test.shape == (10_000, 32, 32, 3)
    assert x_train.dtype == x_test.dtype == np.uint8
    assert np.bincount(y_train).tolist() == [5_000] * 10
    assert np.bincount(y_test).tolist() == [1_000] * 10


def test_real_training_images_have_the_known_channel_means(real):
    (images, _), _ = real
    means = images.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(
        means, [0.49139968, 0.48215841, 0.44653091], rtol=0, atol=5e-9)


def test_planes_of_real_images_are_in_place(real):
    # Neighbouring pixels are alike: misread planes or rows would not be.
    (images, _), _ = real
    sample = images[:500].astype(int)
    for axis in (1, 2):
        assert np.abs(np.diff(sample, axis=axis)).mean() < 20


def official_names(place):
    """Return the names of the classes in the batches.meta of a copy."""
    for folder in (place, place / "cifar-10-batches-py"):
        if (folder / "batches.meta").exists():
            content = (folder / "batches.meta").read_bytes()
            break
    else:
        path = place if place.is_file() else next(
            place.glob("cifar-10-python.tar.*"))
        with tarfile.open(path) as archive:
            member = next(m for m in archive if "batches.meta" in m.name)
            content = archive.extractfile(member).read()
    meta = cifar10.ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    return [name.decode() for name in meta[b"label_names"]]


def test_class_names_are_those_of_the_real_copy(real):
    assert list(cifar10.CLASSES) == official_names(pathlib.Path(REAL))
