"""A reader's own pictures: hostile folders, the split, and what is written."""

import os
import re
import shutil

import keras
import numpy as np
import pytest
from mobilenet import __main__ as command
from mobilenet import (
    batches,
    live,
    network,
    own,
    quantization,
    recipes,
    records,
    transfer,
)
from PIL import Image
from tiny import TINY, called

SIDE = 64
CLASSES = ("discs", "stripes")


def drawn(kind, seed):
    """Return a picture: a disc in a warm colour, or stripes in a cold one."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    cy, cx, r = rng.uniform(22, 42), rng.uniform(22, 42), rng.uniform(12, 20)
    mask = ((y - cy) ** 2 + (x - cx) ** 2 < r * r if kind == "discs"
            else (x + rng.integers(0, 9)) % 16 < 8)
    one, other = rng.integers(0, 120, 3), rng.integers(60, 200, 3)
    one[0 if kind == "discs" else 2] += 130
    picture = np.where(mask[..., None], one, other)
    noise = rng.normal(0, 12, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def fill(folder, count, classes=CLASSES, first=0):
    for kind in classes:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            Image.fromarray(drawn(kind, seed)).save(
                folder / kind / f"{seed}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "mine", 3)


def read(folder):
    return own.own_images(folder, quantization.picture)


def test_a_folder_per_class_becomes_images_labels_and_names(folder):
    (folder / "discs" / "more").mkdir()
    shutil.move(folder / "discs" / "0.png", folder / "discs" / "more")
    found = read(folder)
    assert found.classes == list(CLASSES) and found.refused == []
    assert found.images.shape == (6, 32, 32, 3)
    assert found.labels.tolist() == [0] * 3 + [1] * 3
    for image, label, path in zip(found.images, found.labels, found.files):
        assert found.classes[label] in path.parts
        np.testing.assert_array_equal(image, quantization.picture(path))


def test_what_a_system_hides_is_no_picture_and_no_class(folder):
    for name in (".DS_Store", "._1.png", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(b"x")
        (folder / "discs" / name).write_bytes(b"x")
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (folder / name).mkdir()
    found = read(folder)
    assert len(found.images) == 6 and found.classes == list(CLASSES)
    assert found.refused == []


def test_a_camera_may_begin_names_with_an_underscore(folder):
    shutil.move(folder / "discs" / "0.png", folder / "discs" / "_DSC0001.png")
    shutil.copytree(folder / "discs", folder / "_other")
    found = read(folder)
    assert len(found.images) == 9 and "_other" in found.classes


def test_every_file_left_out_has_one_line(folder):
    inside = folder / "stripes"
    (inside / "empty.jpg").write_bytes(b"")
    (inside / "notes.txt").write_text("not\na picture")
    (inside / "cut.png").write_bytes((inside / "1.png").read_bytes()[:200])
    (inside / "link.png").symlink_to("nowhere.png")
    (inside / "back").symlink_to(folder)
    os.mkfifo(inside / "pipe.png")
    (folder / "loose.png").write_bytes((inside / "1.png").read_bytes())
    found = read(folder)
    assert len(found.images) == 6
    for name in ("empty.jpg", "notes.txt", "cut.png", "link.png", "back",
                 "pipe.png", "loose.png"):
        line, = (one for one in found.refused if name in one)
        assert "\n" not in line
    assert len(found.refused) == 7


def one_class(folder):
    shutil.rmtree(folder / "discs")


def empty_class(folder):
    (folder / "a cup").mkdir()


def unreadable_class(folder):
    empty_class(folder)
    (folder / "a cup" / "1.jpg").write_bytes(b"no picture")


def unprintable_class(folder):
    shutil.copytree(folder / "discs", folder / os.fsdecode(b"caf\xe9"))


def nothing(folder):
    shutil.rmtree(folder)


def only_files(folder):
    one_class(folder)
    shutil.move(folder / "stripes" / "1.png", folder)
    shutil.rmtree(folder / "stripes")


@pytest.mark.parametrize("spoil, words", [
    (one_class, "has 1 folders in it"), (only_files, "has 0 folders in it"),
    (empty_class, "'a cup' has no picture that can be read, of 0 files"),
    (unreadable_class, "'a cup' has no picture .* of 1 files; of the first, "),
    (unprintable_class, "is no name for a class: rename"),
    (nothing, "is no folder")])
def test_a_folder_that_cannot_work_gets_one_line(spoil, words, folder):
    spoil(folder)
    with pytest.raises(ValueError, match=words) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_more_pictures_than_memory_has_are_refused(folder, monkeypatch):
    monkeypatch.setattr(own, "MOST", 5)
    with pytest.raises(ValueError, match="6 files are more than 5"):
        read(folder)


def test_near_copies_are_found_and_others_are_not():
    images = np.random.default_rng(0).integers(
        0, 256, (20, 8, 8, 3)).astype(np.uint8)
    images = images.repeat(16, axis=1).repeat(16, axis=2)
    alone = own.near_copies(images)
    assert len(set(alone)) == len(images)
    shifted = np.roll(images[:1], 1, axis=2)
    lighter = np.clip(images[3:4] * 1.05, 0, 255).astype(np.uint8)
    found = own.near_copies(np.concatenate(
        [images, images[:1, :, ::-1], shifted, lighter]))
    assert found[20] == found[21] == found[0] and found[22] == found[3]
    assert len(set(found)) == len(images)


def test_a_chain_of_near_copies_is_one_group():
    levels = np.array([0, 8, 24, 16], np.uint8)  # the last joins the others
    images = np.ones((4, 32, 32, 3), np.uint8) * levels[:, None, None, None]
    assert len(set(own.near_copies(images[:3]))) == 2
    assert len(set(own.near_copies(images))) == 1


def test_near_copies_stay_on_one_side_and_every_class_has_both():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], (40, 20, 2))
    groups = labels * 100 + rng.integers(0, 12, len(labels))
    groups[-2:] = 900, 901
    groups[[5, 45]] = 999  # one group of two classes
    for seed in range(20):
        learned, aside = own.split(
            labels, ["a", "b", "c"], groups, seed=seed)
        assert sorted([*learned, *aside]) == list(range(62))
        assert not set(groups[learned]) & set(groups[aside])
        assert set(labels[learned]) == set(labels[aside]) == {0, 1, 2}
        assert 999 not in groups[aside]
        assert np.bincount(labels[aside])[0] <= 8
    assert set(own.split(labels, "abc", groups, seed=1)[1]) != set(
        own.split(labels, "abc", groups, seed=2)[1])


def test_a_class_of_near_copies_alone_is_refused_by_name():
    with pytest.raises(ValueError, match="'b' has 3 pictures, all near-cop"):
        own.split(np.array([0, 0, 1, 1, 1]), ["a", "b"],
                  np.array([0, 1, 7, 7, 7]))


def test_a_class_of_one_picture_is_refused_as_that():
    with pytest.raises(ValueError, match="'b' has 1 picture: it needs two"):
        own.split(np.array([0, 0, 1]), ["a", "b"], np.arange(3))


def test_confusion_counts_true_classes_in_rows():
    assert own.confusion(
        np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist() == [
            [0, 2], [0, 1]]


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Replace the book's best network by three layers; work in tmp_path."""
    recipe = {**TINY, "network": {"alpha": 1.0, "body": ((64, 2), (128, 2))}}
    monkeypatch.setattr(recipes, "RECIPES", {command.CLASSIFIER: recipe})
    monkeypatch.setattr(command, "WEIGHTS", tmp_path)
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(3)
    model = command.built(recipe)
    # Statistics such as training leaves.
    model.compile("sgd", "mse")
    images = batches.generated_images(64)[0] / 127.5 - 1
    for _ in range(300):
        model(images.astype("float32"), training=True)
    records.save_weights(model, tmp_path / f"{command.CLASSIFIER}.npz")
    return tmp_path


def test_a_taught_network_names_new_pictures_by_command(
        book, monkeypatch, capsys):
    mine = fill(book / "mine", 30)
    (mine / "discs" / "note.txt").write_text("x")
    called(monkeypatch, "own", mine, "--name", "shapes")
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "left out: " in said.err
    right, total = map(int, re.search(
        r"(\d+) of (\d+) pictures set aside", said.out).groups())
    assert total == 12 and right >= 10
    header, layers = live.unpacked((book / "shapes.live").read_bytes())
    assert header["classes"] == list(CLASSES) and header["side"] == 32
    assert layers[-1].kind == "dense" and "48 pictures" in header["about"]
    new = fill(book / "new", 8, first=100)
    files = sorted(new.glob("*/*.png"))
    called(monkeypatch, "classify", "--network", book / "shapes.live", *files)
    lines = capsys.readouterr().out.splitlines()
    named = [line.partition(": ")[2].split()[0] for line in lines]
    assert np.mean([a == path.parent.name
                    for a, path in zip(named, files, strict=True)]) >= 0.8
    images = np.array([quantization.picture(path) for path in files])
    logits = quantization.litert_logits(
        (book / "shapes.tflite").read_bytes(), images)
    assert np.mean([CLASSES[i] == a for i, a in zip(
        logits.argmax(axis=1), named, strict=True)]) >= 0.9


@pytest.mark.parametrize("content", [b"", b"MNv1", b"\x89PNG" * 9])
def test_a_file_that_is_no_network_is_named(content, tmp_path, monkeypatch):
    (tmp_path / "odd.live").write_bytes(content)
    with pytest.raises(SystemExit, match=r"odd\.live is no network's file"):
        called(monkeypatch, "classify", "--network", tmp_path / "odd.live",
               "x.png")


@pytest.mark.parametrize("header", [
    b"[]", b"null", b"{}", b'{"layers": [], "classes": [], "side": 32}',
    b'{"layers": [{"name": "x"}], "classes": ["a"], "side": 32}',
    b'{"layers": [{', b"\xff",
    b'{"layers": [{"shape": []}], "classes": ["a"], "side": 32}',
    b'{"layers": [{"name": "x", "kind": "dense", "stride": 1, "shape": [1]}],'
    b' "classes": ["a", "b"], "side": 32}',
    b'{"layers": [{"name": "x", "kind": "dense", "stride": 1, "shape": [1]}],'
    b' "classes": ["a"], "side": 0}'])
def test_a_header_that_says_too_little_is_one_line(
        header, tmp_path, monkeypatch):
    (tmp_path / "odd.live").write_bytes(
        live.MAGIC + len(header).to_bytes(4, "little") + header + bytes(12))
    with pytest.raises(SystemExit, match=r"odd\.live is no network's file"):
        called(monkeypatch, "classify", "--network", tmp_path / "odd.live",
               "x.png")


def test_a_place_that_cannot_be_written_is_said_before_all_else(
        book, monkeypatch):
    with pytest.raises(SystemExit, match="no folder to write"):
        called(monkeypatch, "own", book / "none", "--name", "nowhere/own")


def test_small_things_on_plain_paper_can_be_told_apart(
        book, monkeypatch, capsys):
    place = fill(book / "mine", 6)
    for path in place.glob("*/*.png"):
        pixels = np.asarray(Image.open(path)) // 32 + 220  # pale, all alike
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    with pytest.raises(SystemExit, match="a smaller near tells more apart"):
        called(monkeypatch, "own", place)
    called(monkeypatch, "own", place, "--near", 0.1)
    assert "12 of 12 pictures differ" in capsys.readouterr().out


def test_a_folder_of_one_class_ends_the_command_in_one_line(
        book, monkeypatch):
    fill(book / "mine", 2, CLASSES[:1])
    with pytest.raises(SystemExit, match="two classes or more"):
        called(monkeypatch, "own", book / "mine")


# From ImageNet: weights that the test makes, since tests fetch none.


def large(count):
    """Return so many pictures of 160 pixels a side."""
    enlarged = [np.kron(drawn(CLASSES[seed % 2], seed), np.ones(
        (3, 3, 1), np.uint8))[:160, :160] for seed in range(count)]
    return np.array(enlarged)


@pytest.fixture(scope="module")
def imagenet_file(tmp_path_factory):
    keras.utils.set_random_seed(4)
    theirs = keras.applications.MobileNet(
        input_shape=(160, 160, 3), alpha=0.25, include_top=False,
        weights=None, pooling="avg")
    norms = [layer for layer in theirs.layers
             if isinstance(layer, keras.layers.BatchNormalization)]
    chance = np.random.default_rng(5)
    for layer in norms:
        layer.momentum = 0.0  # the next batch's statistics are kept
        layer.gamma.assign(chance.uniform(1, 2, layer.gamma.shape))
        layer.beta.assign(chance.uniform(-1, 1, layer.beta.shape))
    theirs(large(6) / 127.5 - 1, training=True)
    path = tmp_path_factory.mktemp("imagenet") / "mobilenet.weights.h5"
    theirs.save_weights(path)
    return path, theirs


def test_kerass_weights_give_kerass_features(imagenet_file):
    path, theirs = imagenet_file
    ours = network.mobilenet_v1(
        (160, 160, 3), 1, 0.25, activation="relu6")
    transfer.set_imagenet_weights(ours, 0.25, path)
    images = large(4)
    features = transfer.outputs(transfer.feature_network(ours), images)
    wanted = theirs.predict(
        images.astype("float32") / 127.5 - 1, verbose=0)
    assert wanted.std(axis=0).max() > 0.1
    np.testing.assert_allclose(features, wanted, rtol=1e-3, atol=1e-4)


def test_weights_that_cannot_be_had_are_one_line(tmp_path):
    model = network.mobilenet_v1((160, 160, 3), 1, 0.25, activation="relu6")
    with pytest.raises(OSError, match="cannot be had") as caught:
        transfer.set_imagenet_weights(model, 0.25, tmp_path / "none.h5")
    assert "\n" not in str(caught.value)


def test_own_goes_on_from_imagenet_at_160_pixels(
        book, imagenet_file, monkeypatch, capsys):
    monkeypatch.setattr(command, "IMAGENET_ALPHA", 0.25)
    plain = transfer.set_imagenet_weights
    monkeypatch.setattr(
        transfer, "set_imagenet_weights",
        lambda model, alpha: plain(model, alpha, imagenet_file[0]))
    called(monkeypatch, "own", fill(book / "mine", 5), "--imagenet")
    assert "as int8" in capsys.readouterr().out
    header, layers = live.unpacked((book / "own.live").read_bytes())
    assert header["side"] == 160 and header["classes"] == list(CLASSES)
    assert "MobileNet" in header["about"]
    assert {layer.high for layer in layers[:-1]} == {6}
    called(monkeypatch, "classify", "--network", "own.live",
           book / "mine" / "discs" / "1.png")
    assert "1.png: " in capsys.readouterr().out
