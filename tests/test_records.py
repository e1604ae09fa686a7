"""The records of trainings: weights, answers, results, and their check.

The records of the book's own runs are checked against the recipes that they
name.
"""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from mobilenet import __main__ as command
from mobilenet import (
    batches,
    cifar10,
    costs,
    network,
    quantization,
    recipes,
    records,
    training,
)
from tiny import RUNS, TINY, check_record


def test_weights_come_back_as_float16_rounds_them(tmp_path):
    path = tmp_path / "weights.npz"
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    before = model.get_weights()
    records.save_weights(model, path)
    for variable in model.weights:
        variable.assign(variable + 1)
    records.load_weights(model, path)
    for ours, theirs in zip(before, model.get_weights()):
        np.testing.assert_array_equal(
            ours.astype("float16").astype("float32"), theirs)


def test_weight_beyond_float16_is_stored_whole(tmp_path):
    path = tmp_path / "weights.npz"
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    bias = model.get_layer("logits").bias
    bias.assign([123456.0] + [0] * 9)
    records.save_weights(model, path)
    bias.assign([0.0] * 10)
    records.load_weights(model, path)
    assert float(bias[0]) == 123456


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    records.save_weights(model, path)
    wider = network.mobilenet_v1((32, 32, 3), 10, 0.5, body=((64, 2),))
    with pytest.raises(ValueError, match="another network's weights"):
        records.load_weights(wider, path)


def written_result(folder, logits, labels):
    (folder / "clock").write_text("3.7")
    records.write_result(folder, TINY, 12, 5, test_accuracy=(
        records.write_answers(
            folder, np.array(logits, "float32"), np.array(labels))))


def test_result_counts_right_and_wrong_answers(tmp_path):
    logits = np.zeros((5, 10))
    logits[range(5), (3, 3, 0, 1, 2)] = (1, 2, 5, 1, 3)
    written_result(tmp_path, logits, [3, 4, 0, 1, 9])
    result = json.loads((tmp_path / "result.json").read_text())
    assert result.pop("machine") and result.pop("versions")["tensorflow"]
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?|unknown", result.pop("commit"))
    assert result == {
        "test_accuracy": 0.6, "epochs": 3, "wall_seconds": 3.7,
        "macs": 12, "params": 5, "seed": 1}
    with (tmp_path / "confusion.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    found = {(int(row["label"]), k): int(row[str(k)])
             for row in table for k in range(10) if row[str(k)] != "0"}
    assert found == {(0, 0): 1, (1, 1): 1, (3, 3): 1, (4, 3): 1, (9, 2): 1}
    with (tmp_path / "mistakes.csv").open(newline="") as file:
        mistakes = list(csv.DictReader(file))
    assert [(row["image"], row["label"], row["answer"]) for row in mistakes
            ] == [("4", "9", "2"), ("1", "4", "3")]
    # e^3 and e^2 among nine ones.
    assert [row["probability"] for row in mistakes] == ["0.691", "0.451"]


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_every_answer_right_leaves_no_mistakes(shape, tmp_path):
    labels = np.arange(10).reshape(shape)
    written_result(tmp_path, np.eye(10), labels)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["test_accuracy"] == 1
    assert (tmp_path / "mistakes.csv").read_text() == (
        "image,label,answer,probability\n")


def test_labels_as_keras_loads_them_give_the_same_record(tmp_path):
    logits = np.random.default_rng(0).normal(size=(50, 10))
    labels = np.random.default_rng(1).integers(0, 10, 50)
    written = []
    for given in (labels, labels[:, None]):
        share = records.write_answers(tmp_path, logits, given)
        written.append((share, *(
            (tmp_path / name).read_bytes()
            for name in ("confusion.csv", "mistakes.csv"))))
    assert written[0] == written[1]
    assert written[0][0] == np.mean(logits.argmax(axis=1) == labels)


@pytest.mark.parametrize(("logits", "labels"), [
    (np.full((3, 10), np.nan), [0, 1, 2]), (np.eye(10), np.eye(10)),
    (np.eye(10), [0, 1, 2])])
def test_logits_that_are_nan_and_other_labels_give_no_record(
        logits, labels, tmp_path):
    with pytest.raises(ValueError, match="labels, or logits that are nan"):
        records.write_answers(tmp_path, logits, labels)
    assert list(tmp_path.iterdir()) == []


def test_files_are_on_the_disk_before_they_take_their_names(
        tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda file: done.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda part, path: (
        done.append(pathlib.Path(path).name), replace(part, path)))
    run = records.Run(tmp_path)
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    run.begin(TINY)
    run.write_seconds(1)
    run.write_start([1.0])
    run.keep(model, [{"epoch": 1, "seconds": "1.0"}])
    records.save_weights(model, tmp_path / "weights.npz")
    records.write_result(tmp_path, TINY, 1, 1)
    names = ["recipe.json", "clock", "start.csv", "history.csv",
             "checkpoint.keras", "weights.npz", "result.json"]
    assert done == [part for name in names for part in ("fsync", name)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("content", [
    b"", b"\0\0\0\0", b"12.x", b"\xff\xfe", b"nan", b"inf", b"1.2.3"])
def test_clock_that_cannot_be_read_is_named_and_the_history_counts(
        content, tmp_path, capsys):
    run = records.Run(tmp_path)
    records.write_rows(tmp_path / "history.csv", [
        {"epoch": 1, "seconds": "2.5"}, {"epoch": 2, "seconds": "3.0"}])
    (tmp_path / "clock").write_bytes(content)
    assert run.seconds() == 5.5
    assert f"{tmp_path / 'clock'} cannot be read: the epochs took 5.5 s" in (
        capsys.readouterr().out)
    (tmp_path / "clock").write_bytes(b"7.5")
    assert run.seconds() == 7.5
    assert capsys.readouterr().out == ""


ROWS = b"epoch,loss,seconds\n1,2.5,1.0\n2,2.25,1.0\n"


@pytest.mark.parametrize(("content", "epochs"), [
    (ROWS[:-1], 1), (ROWS[:-3], 1), (ROWS[:-14], 0), (ROWS[:30], 1),
    (ROWS[:22], 0), (ROWS[:10], 0), (b"", 0), (b"\0" * 40, 0),
    (ROWS[:29] + b"\0" * 14, 1), (ROWS[:-5] + b"\xff\xff,1\n", 1),
    (ROWS + b"3,1,1,1\n", 2), (ROWS + b"3,,1.0\n", 2),
    (ROWS + b"3,2\n4,2.0,1.0\n", 2)])
def test_history_that_was_cut_is_named_and_its_whole_rows_are_kept(
        content, epochs, tmp_path, capsys):
    path = tmp_path / "history.csv"
    run = records.Run(tmp_path)
    path.write_bytes(ROWS)
    assert [row["epoch"] for row in run.history()] == ["1", "2"]
    assert capsys.readouterr().out == ""
    path.write_bytes(content)
    assert [row["epoch"] for row in run.history()] == ["1", "2"][:epochs]
    assert f"{path} can be read up to epoch {epochs} alone" in (
        capsys.readouterr().out)


@pytest.mark.parametrize("name", ["recipe.json", "result.json"])
@pytest.mark.parametrize("content", [
    b"", b"\0" * 99, b'{\n "about": "A', b"\xff\xfe\xfd", b"null", b"[1]"])
def test_record_with_a_file_that_was_cut_names_it(name, content, record):
    (record / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        check_record(record, {"tiny": TINY})


@pytest.mark.parametrize("length", [0, 9, 900, -1])
def test_weights_that_were_cut_are_named(length, tmp_path):
    path = tmp_path / "weights.npz"
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    records.save_weights(model, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"weights.npz cannot be read"):
        records.load_weights(model, path)


def test_run_holds_its_folder_until_its_process_ends(tmp_path):
    run, other = records.Run(tmp_path), records.Run(tmp_path)
    with run.held(), pytest.raises(RuntimeError, match=(
            f"another training runs in {tmp_path}: wait")), other.held():
        raise AssertionError("both hold it")
    with other.held():  # and leaves nothing
        pass
    assert list(tmp_path.iterdir()) == []
    # Neither is needed for a lock, and both take seconds to import.
    code = ("import sys, types\n"
            "for name in ('keras', 'tensorflow'):\n"
            "    sys.modules[name] = types.ModuleType(name)\n"
            "from mobilenet import records\n"
            f"with records.Run({str(tmp_path)!r}).held():\n"
            "    print('held', flush=True)\n"
            "    input()")
    holder = subprocess.Popen(
        [sys.executable, "-c", code], cwd=RUNS.parent, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(RuntimeError, match="another training"), run.held():
        raise AssertionError("both hold it")
    holder.kill()
    holder.communicate()
    with run.held():
        pass


@pytest.mark.parametrize(
    "folder", [path.parent for path in sorted(RUNS.glob("*/recipe.json"))],
    ids=lambda folder: folder.name)
def test_record_matches_its_recipe(folder):
    check_record(folder, command.trainable(), (
        "val_accuracy" if folder.name in command.TRANSFERRED
        else "test_accuracy"))


REAL = os.environ.get("CIFAR10_DIR")
RECORDED = sorted(path.parent.name for path in RUNS.glob("*/result.json"))


@pytest.fixture(scope="module")
def real_images():
    return cifar10.load_cifar10(REAL)


def first_losses(recipe, folder, data, monkeypatch, steps=20):
    """Return the running mean loss of a recipe's first steps on data.

    A single one is not worth the ten seconds that a graph takes.
    """
    monkeypatch.setattr(cifar10, "load_cifar10", lambda: data)
    model, epoch_data, *_ = command.prepared(recipe)
    data = epoch_data(0)
    model = training.compiled(model, recipe, len(data))
    model.run_eagerly = steps == 1
    progress = training.Progress(
        records.Run(folder), recipe["epochs"], len(data))
    model.fit(
        data.take(steps), shuffle=False, verbose=0, callbacks=[progress])
    return progress.losses


def check_start(found, folder, steps=20):
    """Fail unless losses are, loosely, the first that a run recorded.

    The first step's loss comes before any update: it repeats to 3 digits on
    any machine. Those after it drift apart, and are compared to a tenth.
    """
    with (folder / "start.csv").open(newline="") as file:
        recorded = [float(row["mean_loss"]) for row in csv.DictReader(file)]
    assert len(found) == steps and len(recorded) == 20
    assert found[0] == pytest.approx(recorded[0], rel=1e-3), "other start"
    if steps == 20:
        assert found[19] == pytest.approx(
            recorded[19], rel=0.1), "other course"


@pytest.mark.parametrize("change", [
    {"seed": 2}, {"network": {"alpha": 0.25, "body": ((64, 1),)}},
    {"optimizer": {"class_name": "Nadam", "learning_rate": 0.3}}, "data"])
def test_start_of_another_recipe_or_of_other_data_is_told_apart(
        change, tmp_path, monkeypatch):
    images, labels = batches.generated_images(700)
    data = (images, labels), (images[:9], labels[:9])
    losses = first_losses(TINY, tmp_path, data, monkeypatch)
    records.write_rows(tmp_path / "start.csv", [
        {"step": step, "mean_loss": f"{loss:.5f}"}
        for step, loss in enumerate(losses, start=1)])
    check_start(first_losses(TINY, tmp_path, data, monkeypatch), tmp_path)
    if change == "data":
        data, change = ((images, labels[::-1]), data[1]), {}
    other = first_losses({**TINY, **change}, tmp_path, data, monkeypatch)
    with pytest.raises(AssertionError, match="other"):
        check_start(other, tmp_path)


WEIGHTS = sorted((RUNS.parent / "weights").glob("*.npz"))


def at_hand(name):
    """Say whether a run's first weights need none that the book dropped."""
    start = command.trainable()[name].get("start")
    return start is None or start in [path.stem for path in WEIGHTS]


AT_HAND = [*filter(at_hand, RECORDED)]


def size_of(name):
    """Return the parameters of a recorded run's network."""
    return json.loads((RUNS / name / "result.json").read_text())["params"]


# The smallest network with each kind of optimizer: what updates do is asked
# of these alone. That a rate is the recipe's is compared for every record.
WALKED = {command.trainable()[name]["optimizer"]["class_name"]: name
          for name in sorted(AT_HAND, key=size_of, reverse=True)}


@pytest.mark.skipif(not REAL, reason="CIFAR10_DIR is not set")
@pytest.mark.parametrize("name", AT_HAND)
def test_recorded_run_starts_again_as_it_started(
        name, tmp_path, real_images, monkeypatch):
    steps = 20 if name in WALKED.values() else 1
    found = first_losses(command.trainable()[name], tmp_path, real_images,
                         monkeypatch, steps)
    check_start(found, RUNS / name, steps)


def test_weights_are_few_and_each_belongs_to_a_record():
    assert WEIGHTS and {path.stem for path in WEIGHTS} <= set(RECORDED)
    assert sum(path.stat().st_size for path in WEIGHTS) < 15e6


@pytest.mark.skipif(not REAL, reason="CIFAR10_DIR is not set")
@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_committed_weights_are_right_as_often_as_recorded(path, real_images):
    """On all 10,000 test images, within 5 of the record's count.

    A run that sees no test image is judged by images set aside, before its
    weights are rounded: within 20 of them.
    """
    recipe = command.trainable()[path.stem]
    model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
    records.load_weights(model, path)
    (images, labels), few = real_images[1], 5.01
    if path.stem in command.TRANSFERRED:
        aside = batches.validation_split(
            *real_images[0], recipe["validation"])[1]
        (images, labels), few = command.left_in(recipe, *aside), 20
    logits = model.predict(batches.pipeline(images, labels, 250), verbose=0)
    right = int(np.sum(logits.argmax(axis=1) == labels))
    result = json.loads((RUNS / path.stem / "result.json").read_text())
    share = result.get("test_accuracy", result.get("val_accuracy"))
    assert abs(right - len(labels) * share) <= few


@pytest.fixture
def record(run, tmp_path):
    """Return a folder with a whole record, of the recipe "tiny"."""
    folder = tmp_path / "tiny"
    shutil.copytree(run[0], folder)
    table = costs.count(run[1])
    logits = np.eye(10, dtype="float32")[[1, 2, 3, 4]]
    share = records.write_answers(folder, logits, np.array([1, 2, 3, 9]))
    records.write_result(
        folder, TINY, int(table.macs.sum()), int(table.params.sum()),
        test_accuracy=share)
    check_record(folder, {"tiny": TINY})
    return folder


def test_record_without_a_recipe_fails(record):
    with pytest.raises(AssertionError, match="no recipe is called tiny"):
        check_record(record, recipes.RECIPES)


@pytest.mark.parametrize(("change", "words"), [
    ({"seed": 2}, "another recipe"), ({"epochs": 2}, "another recipe"),
    ({"network": {"alpha": 0.5, "body": ((64, 2),)}}, "another recipe")])
def test_record_of_a_recipe_changed_since_fails(record, change, words):
    with pytest.raises(ValueError, match=words):
        check_record(record, {"tiny": {**TINY, **change}})


@pytest.mark.parametrize(("name", "value"), [
    ("macs", 1), ("params", 1), ("epochs", 2), ("seed", 7),
    ("test_accuracy", 0.76)])
def test_record_with_a_changed_result_fails(record, name, value):
    path = record / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, name: value}))
    with pytest.raises(ValueError, match=f"{name} (is )?{value}"):
        check_record(record, {"tiny": TINY})


def test_record_that_lost_an_epoch_or_its_result_fails(record):
    path = record / "history.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ValueError, match="an epoch is missing"):
        check_record(record, {"tiny": TINY})
    (record / "result.json").unlink()
    with pytest.raises(ValueError, match="tiny: it has no result"):
        check_record(record, {"tiny": TINY})


def small_v2(input_shape, classes, width):
    """A network as MobileNetV2 has them: a block that adds its input."""
    layers = keras.layers

    def normed(x, name, ceiling=None):
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(ceiling, name=f"{name}_relu")(x)

    images = keras.Input(input_shape)
    x = before = normed(layers.Conv2D(
        width, 3, 2, padding="same", use_bias=False, name="stem")(images),
        "stem")
    x = normed(layers.Conv2D(
        6 * width, 1, use_bias=False, name="expand")(x), "expand", 6.0)
    x = normed(layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, name="depthwise")(x),
        "depthwise", 6.0)
    x = layers.Conv2D(width, 1, use_bias=False, name="project")(x)
    x = layers.BatchNormalization(name="project_bn")(x)
    x = layers.GlobalAveragePooling2D(name="average")(
        layers.Add(name="add")([before, x]))
    return keras.Model(images, layers.Dense(classes, name="logits")(x))


def test_another_network_is_trained_recorded_counted_and_quantised(
        tmp_path, monkeypatch):
    """By its recipe alone: the joiner knows no network by name."""
    images, labels = batches.generated_images(32 * 3 + 32)
    recipe = {**TINY, "model": "small.v2", "network": {"width": 8},
              "epochs": 2, "norm_momentum": 0.9, "warmup": 1}
    monkeypatch.setitem(
        sys.modules, "mobilenet.small", types.SimpleNamespace(v2=small_v2))
    monkeypatch.setattr(
        cifar10, "load_cifar10",
        lambda: ((images, labels), (images[:40], labels[:40])))
    monkeypatch.setattr(recipes, "RECIPES", {"v2": recipe})
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(command, "WEIGHTS", tmp_path / "v2")
    command.train("v2")
    # 16 x 16 positions: the stem, the two pointwise and the depthwise layer.
    macs = 256 * (27 * 8 + 8 * 48 + 9 * 48 + 48 * 8) + 8 * 10
    assert command.cost(recipe)[0] == macs
    check_record(tmp_path / "v2", {"v2": recipe})
    assert json.loads(
        (tmp_path / "v2" / "result.json").read_text())["macs"] == macs
    (tmp_path / "v2" / "weights.npz").rename(tmp_path / "v2" / "v2.npz")
    command.quantize("v2")
    content = (tmp_path / "v2" / "v2.tflite").read_bytes()
    assert quantization.litert_logits(content, images[:4]).shape == (4, 10)
    with pytest.raises(ValueError, match="'add', a Add, cannot be folded"):
        quantization.folded_layers(command.built(recipe))


def test_record_that_names_no_network_is_of_mobilenet_v1(record):
    path = record / "recipe.json"
    written = json.loads(path.read_text())
    assert written.pop("model") == "network.mobilenet_v1"
    path.write_text(json.dumps(written))
    check_record(record, {"tiny": TINY})
    path.write_text(json.dumps({**written, "model": "network.another"}))
    with pytest.raises(ValueError, match="another recipe"):
        check_record(record, {"tiny": TINY})
