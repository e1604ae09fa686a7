"""Reading CIFAR-10: small copies laid out as the official one, then itself.

The small copies have 60 images; FINGERPRINTS is replaced by theirs, computed
here in plain Python. Where CIFAR10_DIR is set the real data is read too.
"""

import hashlib
import io
import os
import pathlib
import pickle
import tarfile

import numpy as np
import pytest
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


def write_archive(path, files):
    """Write an archive as the official one is: all in one folder."""
    with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
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
def small_fingerprints(request, monkeypatch):
    """Make the 60 images pass for CIFAR-10, but not in a test of the real."""
    monkeypatch.delenv("CIFAR10_DIR", raising=False)
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


def test_auto_reads_what_keras_fetched(tmp_path, files, monkeypatch):
    place = in_a_folder_below(tmp_path, files)
    monkeypatch.setattr(
        cifar10.tf.keras.utils, "get_file", lambda *_, **__: str(place))
    (_, labels), _ = cifar10.load_cifar10()
    assert np.bincount(labels).tolist() == [5] * 10


def test_host_that_does_not_answer_is_reported_with_what_to_do(monkeypatch):
    def no_answer(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(cifar10.tf.keras.utils, "get_file", no_answer)
    with pytest.raises(RuntimeError, match="no route.*CIFAR10_DIR"):
        cifar10.load_cifar10()


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
    with pytest.raises(FileNotFoundError, match=f"lacks {missing}$"):
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
    with pytest.raises(ValueError, match="damaged|not a batch"):
        cifar10.load_cifar10(write_folder(tmp_path / "copy", damaged))


def test_generated_images_are_the_same_for_one_seed_alone():
    images, labels = cifar10.generated_images(40, seed=5)
    again, same_labels = cifar10.generated_images(40, seed=5)
    other, _ = cifar10.generated_images(40, seed=6)
    assert (images == again).all() and (labels == same_labels).all()
    assert (images != other).any()


def test_generated_images_are_shaped_like_cifar10():
    images, labels = cifar10.generated_images(500)
    assert images.shape == (500, 32, 32, 3) and labels.shape == (500,)
    assert images.dtype == labels.dtype == np.uint8
    assert set(labels.tolist()) == set(range(10))


def test_generated_images_can_be_told_apart_by_class():
    images, labels = cifar10.generated_images(500)
    means = [images[labels == name].mean() for name in range(10)]
    assert (np.diff(means) > 10).all()


@pytest.mark.parametrize("count", [0, 1, 20, 100])
def test_validation_split_is_disjoint_and_complete_and_keeps_labels(count):
    images, labels = np.arange(100), np.arange(100) % 7
    train, aside = cifar10.validation_split(images, labels, count, seed=2)
    assert len(aside[0]) == count and len(train[0]) == 100 - count
    assert sorted([*train[0], *aside[0]]) == list(range(100))
    for x, y in (train, aside):
        assert (y == x % 7).all()


def test_validation_split_is_drawn_by_its_seed():
    numbers = np.arange(100)

    def drawn(seed):
        return cifar10.validation_split(
            numbers, numbers, 20, seed)[1][0].tolist()

    assert drawn(0) == drawn(0) != drawn(1)
    assert sorted(drawn(0)) != list(range(20))


def numbered(count):
    """Return images whose every byte is their number, and labels from it."""
    numbers = np.arange(count, dtype=np.uint8)
    images = np.broadcast_to(numbers[:, None, None, None], (count, 32, 32, 3))
    return images, numbers % 10


def all_batches(data):
    return [(x.numpy(), y.numpy()) for x, y in data]


def numbers_seen(data):
    """Return the numbers of numbered images, in the order they come."""
    images = np.concatenate([x for x, _ in all_batches(data)])
    return np.rint((images[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()


def test_pipeline_gives_float_batches_and_keeps_the_last_short_one():
    batches = all_batches(cifar10.pipeline(*numbered(70), batch=32))
    assert [x.shape for x, _ in batches] == [
        (32, 32, 32, 3), (32, 32, 32, 3), (6, 32, 32, 3)]
    assert [y.shape for _, y in batches] == [(32,), (32,), (6,)]
    assert all(x.dtype == np.float32 for x, _ in batches)


def test_pipeline_maps_bytes_0_51_255_to_minus_1_minus_06_and_1():
    images = np.zeros((3, 32, 32, 3), np.uint8)
    images[1], images[2] = 51, 255
    (batch, _), = all_batches(
        cifar10.pipeline(images, np.zeros(3, np.uint8)))
    for image, value in zip(batch, (-1, -0.6, 1), strict=True):
        np.testing.assert_allclose(image, value, atol=1e-6)


def test_pipeline_without_a_seed_keeps_the_order():
    assert numbers_seen(
        cifar10.pipeline(*numbered(50), batch=16)) == list(range(50))


def test_pipeline_order_is_decided_by_the_seed():
    def order(seed):
        return numbers_seen(cifar10.pipeline(*numbered(50), 16, seed))

    assert order(1) == order(1) != order(2)
    assert order((1, 0)) == order((1, 0)) != order((1, 1))
    assert sorted(order(1)) == sorted(order((1, 1))) == list(range(50))


def test_pipeline_keeps_each_image_with_its_label():
    data = cifar10.pipeline(*numbered(50), 16, seed=4)
    labels = np.concatenate([y for _, y in all_batches(data)])
    assert labels.tolist() == [n % 10 for n in numbers_seen(data)]


@pytest.mark.parametrize("label", [-1, 10, 100])
def test_pipeline_names_labels_out_of_range(label):
    images, labels = numbered(5)
    labels = labels.astype(int)
    labels[3] = label
    with pytest.raises(ValueError, match=f"labels must be 0 to 9.*{label}"):
        cifar10.pipeline(images, labels)


def test_pipeline_leaves_autotune_off():
    # Keras can wait 20 s an epoch for it.
    options = cifar10.pipeline(*numbered(5)).options()
    assert options.autotune.enabled is False


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
