"""Training on generated images: what it records, and how it goes on.

No number that training reaches is compared, only its direction. The records
of the book's own runs are checked against the recipes that they name.
"""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest
from mobilenet import cifar10, costs, network, training
from mobilenet.__main__ import prepared

RUNS = pathlib.Path(__file__).parent.parent / "book" / "runs"

TINY = {
    "about": "A network of three layers on a few generated images.",
    "network": {"alpha": 0.25, "body": ((64, 2),)},
    "optimizer": {"class_name": "Nadam", "learning_rate": 0.01},
    "batch": 32, "epochs": 3, "validation": 32, "seed": 1,
}
STEPS = 6


def trained(folder, recipe=TINY, asked=None):
    """Train recipe's network on generated images; return model and rows.

    Each epoch whose batches are asked for is appended to the list asked.
    """
    keras.utils.set_random_seed(recipe["seed"])
    model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
    images, labels = cifar10.generated_images(32 * STEPS + 32)
    (images, labels), aside = cifar10.validation_split(images, labels, 32)

    def epoch_data(epoch):
        if asked is not None:
            asked.append(epoch)
        return cifar10.pipeline(
            images, labels, recipe["batch"], (recipe["seed"], epoch))

    return training.train(
        recipe, model, epoch_data, folder, cifar10.pipeline(*aside))


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def epochs(folder):
    return [row["epoch"] for row in history(folder)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return (folder, model, rows) of one run of three epochs."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "tiny"
    return folder, *trained(folder)


def test_minutes_are_those_of_twenty_steps_and_cost_the_model_nothing(
        monkeypatch):
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    before = [array.copy() for array in model.get_weights()]
    batches = cifar10.pipeline(*cifar10.generated_images(24 * 32), 32)
    readings = iter([7.0, 47.0])  # 20 steps in 40 s
    monkeypatch.setattr(training, "time", types.SimpleNamespace(
        perf_counter=lambda: next(readings)))
    minutes = training.minutes_for(TINY, model, batches)
    assert minutes == pytest.approx(2 * 24 * TINY["epochs"] / 60)
    for was, array in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, array)


def test_history_has_one_whole_row_an_epoch(run):
    folder, _, rows = run
    found = history(folder)
    assert found == [{k: str(v) for k, v in row.items()} for row in rows]
    assert epochs(folder) == ["1", "2", "3"]
    for row in found:
        assert set(row) == {
            "epoch", "loss", "accuracy", "val_loss", "val_accuracy",
            "val_accuracy_batch", "seconds"}
        assert float(row["loss"]) > 0 and float(row["seconds"]) >= 0
        assert 0 <= float(row["accuracy"]) <= 1


def test_loss_goes_down_and_accuracy_up(run):
    first, *_, last = history(run[0])
    assert float(last["loss"]) < float(first["loss"])
    assert float(last["accuracy"]) > float(first["accuracy"])


def test_model_returned_is_the_one_that_was_trained(run):
    _, model, rows = run
    assert int(model.optimizer.iterations) == 3 * STEPS
    images, labels = cifar10.generated_images(32 * STEPS + 32)
    aside = cifar10.validation_split(images, labels, 32)[1]
    loss = model.evaluate(
        cifar10.pipeline(*aside), verbose=0, return_dict=True)["loss"]
    # The history keeps five decimals of the same evaluation.
    assert loss == pytest.approx(float(rows[-1]["val_loss"]), abs=1e-3)


def test_optimizer_is_the_recipes(run):
    _, model, _ = run
    assert isinstance(model.optimizer, keras.optimizers.Nadam)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_loss_is_taken_from_logits(run):
    _, model, _ = run
    # Nine logits of 0 and one of ln 11 make shares of 1/20 and 11/20.
    logits = np.float32([[0, 0, 0, np.log(11), 0, 0, 0, 0, 0, 0]])
    assert float(model.loss(np.array([3]), logits)) == pytest.approx(
        np.log(20 / 11), abs=1e-5)
    assert float(model.loss(np.array([0]), logits)) == pytest.approx(
        np.log(20), abs=1e-5)


def test_recipe_is_written_with_versions(run):
    written = json.loads((run[0] / "recipe.json").read_text())
    versions = written.pop("versions")
    assert written == json.loads(json.dumps(TINY))
    assert versions["keras"] == keras.__version__
    assert versions["numpy"] == np.__version__
    assert set(versions) == {"python", "tensorflow", "keras", "numpy"}


def test_no_half_written_file_is_left(run):
    assert sorted(path.name for path in run[0].iterdir()) == [
        "checkpoint.keras", "clock", "history.csv", "recipe.json",
        "start.csv"]


def test_second_call_neither_trains_again_nor_doubles_rows(run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run[0], folder)
    before = (folder / "history.csv").read_bytes()
    model, rows = trained(folder)
    assert (folder / "history.csv").read_bytes() == before
    assert [str(row["epoch"]) for row in rows] == ["1", "2", "3"]
    assert int(model.optimizer.iterations) == 3 * STEPS
    for ours, theirs in zip(
            model.get_weights(), run[1].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_run_stopped_after_an_epoch_goes_on_at_the_next(tmp_path):
    trained(tmp_path, {**TINY, "epochs": 1})
    first, = history(tmp_path)
    asked = []
    model, _ = trained(tmp_path, asked=asked)
    assert epochs(tmp_path) == ["1", "2", "3"]
    assert history(tmp_path)[0] == first
    assert int(model.optimizer.iterations) == 3 * STEPS
    # Batches of the epochs still to come, in the order of their own seeds;
    # epoch 0 is asked for its length alone.
    assert [epoch for epoch in asked if epoch] == [1, 2]


def test_kill_before_a_checkpoint_drops_the_row_without_one(
        tmp_path, monkeypatch):
    replace, saved = os.replace, []

    def killed_at_the_second_checkpoint(source, target):
        if str(target).endswith("checkpoint.keras"):
            saved.append(target)
            if len(saved) == 2:
                raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed_at_the_second_checkpoint)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path)
    monkeypatch.undo()
    assert epochs(tmp_path) == ["1", "2"]
    model, _ = trained(tmp_path)
    assert epochs(tmp_path) == ["1", "2", "3"]
    assert int(model.optimizer.iterations) == 3 * STEPS


def test_kill_while_a_row_is_written_leaves_the_old_history(
        tmp_path, monkeypatch):
    rows, path = [{"epoch": 1, "loss": "0.5"}], tmp_path / "history.csv"
    training.write_rows(path, rows)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        training.write_rows(path, [*rows, {"epoch": 2, "loss": "0.4"}])
    assert epochs(tmp_path) == ["1"]


SITTING = """
import sys
sys.path.insert(0, {book!r})
import keras
from mobilenet import cifar10, network, training
keras.utils.set_random_seed(1)
recipe = {recipe!r}
model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
images, labels = cifar10.generated_images(32 * 300)
training.Progress.every = 0.1
training.train(
    recipe, model, lambda epoch: cifar10.pipeline(
        images, labels, 32, (1, epoch)), {folder!r})
"""


def test_killed_inside_an_epoch_and_started_again_it_loses_no_row(tmp_path):
    """SIGKILL in the middle of epoch 2 of 3, then a second sitting."""
    script = SITTING.format(
        book=str(RUNS.parent), recipe={**TINY, "validation": 0},
        folder=str(tmp_path))
    command, clock = [sys.executable, "-c", script], tmp_path / "clock"
    first = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 200
    while not (tmp_path / "checkpoint.keras").exists():
        assert first.poll() is None and time.time() < deadline
        time.sleep(0.1)
    started = float(clock.read_text()) + 0.3
    while float(clock.read_text() or 0) < started:  # inside epoch 2
        assert first.poll() is None and time.time() < deadline
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert epochs(tmp_path) == ["1"]
    row, lost = history(tmp_path)[0], float(clock.read_text())
    assert lost > float(row["seconds"]) + 0.2
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    assert epochs(tmp_path) == ["1", "2", "3"]
    first_row, *others = history(tmp_path)
    assert first_row == row
    assert float(clock.read_text()) >= lost + sum(
        float(other["seconds"]) for other in others) - 0.2


def test_room_is_asked_for_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("in the way")
    asked = []
    with pytest.raises(OSError, match="cannot hold the run.*Nothing was tr"):
        trained(tmp_path / "file" / "run", asked=asked)
    assert asked == [0]  # for its length


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits a file's size")
def test_full_disk_is_an_error_before_the_first_step(tmp_path):
    """A process whose files may hold 20 kB: no checkpoint fits."""
    script = SITTING.format(
        book=str(RUNS.parent), recipe={**TINY, "validation": 0},
        folder=str(tmp_path / "run"))
    limit = ("import resource, signal\n"
             "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n")
    script = limit + script.replace(
        "training.train(",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "training.train(", 1)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot hold the run" in done.stderr, done.stderr[-2000:]
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("change", [
    {"optimizer": {"class_name": "SGD", "learning_rate": 0.1}},
    {"network": {"alpha": 0.5, "body": ((64, 2),)}}, {"seed": 2}])
def test_folder_of_another_recipe_is_refused_and_kept(change, run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run[0], folder)
    before = (folder / "recipe.json").read_bytes()
    with pytest.raises(ValueError, match=next(iter(change))):
        trained(folder, {**TINY, **change, "epochs": 4})
    assert (folder / "recipe.json").read_bytes() == before
    assert epochs(folder) == ["1", "2", "3"]


BETTER = {
    **TINY, "warmup": 1, "smoothing": 0.1, "norm_momentum": 0.5,
    "optimizer": {
        "class_name": "SGD", "learning_rate": 0.1, "momentum": 0.9}}


def test_rate_climbs_to_its_peak_and_falls_to_nothing():
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    rate = training.compiled(
        model, {**BETTER, "warmup": 2, "epochs": 6},
        steps=10).optimizer._learning_rate
    rates = [float(rate(step)) for step in (0, 10, 20, 40, 60)]
    # Half way down a cosine is half the peak.
    np.testing.assert_allclose(rates, [0, 0.05, 0.1, 0.05, 0], atol=1e-7)


def test_first_epochs_see_smaller_images_with_grey_squares():
    images = np.full((8, 32, 32, 3), 255, np.uint8)
    recipe = {**BETTER, "augment": True, "cutout": 12,
              "small": {"epochs": 2, "side": 24}}
    data = training.batches_of(
        recipe, cifar10.pipeline, images, np.zeros(8, np.uint8))
    shapes = [next(iter(data(epoch)))[0].shape for epoch in range(3)]
    assert shapes == [(8, 24, 24, 3), (8, 24, 24, 3), (8, 32, 32, 3)]
    grey = np.array(next(iter(data(2)))[0]) < 0.5
    hidden = grey.all(axis=3).sum(axis=(1, 2))
    assert set(hidden) <= {high * wide for high in range(6, 13)
                           for wide in range(6, 13)}
    assert len(set(hidden)) > 1  # squares that the edge cuts are smaller
    again = np.array(next(iter(data(2)))[0]) < 0.5
    np.testing.assert_array_equal(grey, again)
    other = np.array(next(iter(training.batches_of(
        {**recipe, "seed": 9}, cifar10.pipeline, images,
        np.zeros(8, np.uint8))(2)))[0]) < 0.5
    assert (grey != other).any()


def test_scheduled_run_goes_on_but_not_over_other_epochs(tmp_path):
    class StopError(Exception):
        pass

    def stopping(recipe):
        keras.utils.set_random_seed(1)
        model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
        images, labels = cifar10.generated_images(96)

        def epoch_data(epoch):
            if epoch == 1 and not (tmp_path / "again").exists():
                raise StopError
            return cifar10.pipeline(images, labels, 32, (1, epoch))

        return training.train(recipe, model, epoch_data, tmp_path)

    with pytest.raises(StopError):
        stopping(BETTER)
    (tmp_path / "again").touch()
    with pytest.raises(ValueError, match="its epochs differs"):
        stopping({**BETTER, "epochs": 4})
    model, _ = stopping(BETTER)
    assert epochs(tmp_path) == ["1", "2", "3"]
    assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-7)
    assert type(model.get_layer("stem_bn")).__name__ == (
        "FusedBatchNormalization")


def test_smoothed_loss_is_the_cross_entropy_of_smoothed_labels():
    logits = np.array([[2.0] + [0.0] * 9, [0.0] * 10])
    labels = np.array([[3], [0]])
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = [
        -sum((0.1 * 0.2 + 0.8 * (label == k)) * np.log(row[k])
             for k in range(10))
        for label, row in zip(labels[:, 0], share)]
    got = training.SmoothedCrossentropy(0.2)(labels, logits)
    assert float(got) == pytest.approx(np.mean(wanted), abs=1e-6)
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(training.SmoothedCrossentropy()(labels, logits)) == (
        pytest.approx(float(plain(labels, logits)), abs=1e-6))


def test_fused_norm_computes_what_keras_computes():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (16, 5, 7, 4)).astype("float32")
    settings = {"momentum": 0.8, "epsilon": 1e-3}
    keras_norm = keras.layers.BatchNormalization(**settings)
    fused = training.FusedBatchNormalization(**settings)
    for layer in (keras_norm, fused):
        layer.build(x.shape)
        layer.gamma.assign([1, 2, 0.5, 3])
        layer.beta.assign([0, -1, 2, 0.1])
    np.testing.assert_allclose(
        fused(x, training=True), keras_norm(x, training=True), atol=1e-5)
    np.testing.assert_allclose(
        fused.moving_mean, keras_norm.moving_mean, rtol=1e-5)
    # The fused operation keeps the variance of a sample: n / (n - 1).
    count = 16 * 5 * 7
    moved = np.array(fused.moving_variance) - 0.8
    np.testing.assert_allclose(
        moved * (count - 1) / count,
        np.array(keras_norm.moving_variance) - 0.8, rtol=1e-4)
    fused.set_weights(keras_norm.get_weights())
    np.testing.assert_allclose(fused(x), keras_norm(x), atol=1e-6)


def test_copy_with_fused_norms_computes_the_same():
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    copy = training.with_fused_norm(model, 0.9)
    assert {layer.momentum for layer in copy.layers
            if isinstance(layer, keras.layers.BatchNormalization)} == {0.9}
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    np.testing.assert_allclose(copy(x), model(x), atol=1e-5)


def test_accuracy_by_batch_keeps_the_moving_statistics():
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    before = model.get_weights()
    images, labels = cifar10.generated_images(40)
    share = training.batch_accuracy(
        lambda x: model(x, training=True), model,
        cifar10.pipeline(images, labels, 20))
    scaled = images.astype("float32") / 127.5 - 1
    for ours, theirs in zip(before, model.get_weights()):
        np.testing.assert_array_equal(ours, theirs)
    right = sum(
        int(np.argmax(row) == label) for part in (slice(20), slice(20, 40))
        for row, label in zip(
            np.array(model(scaled[part], training=True)), labels[part]))
    assert share == right / 40


def test_weights_come_back_as_float16_rounds_them(tmp_path):
    path = tmp_path / "weights.npz"
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    before = model.get_weights()
    training.save_weights(model, path)
    for variable in model.weights:
        variable.assign(variable + 1)
    training.load_weights(model, path)
    for ours, theirs in zip(before, model.get_weights()):
        np.testing.assert_array_equal(
            ours.astype("float16").astype("float32"), theirs)


def test_weight_beyond_float16_is_stored_whole(tmp_path):
    path = tmp_path / "weights.npz"
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    bias = model.get_layer("logits").bias
    bias.assign([123456.0] + [0] * 9)
    training.save_weights(model, path)
    bias.assign([0.0] * 10)
    training.load_weights(model, path)
    assert float(bias[0]) == 123456


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    training.save_weights(model, path)
    wider = network.mobilenet_v1((32, 32, 3), 10, 0.5, body=((64, 2),))
    with pytest.raises(ValueError, match="another network's weights"):
        training.load_weights(wider, path)


def written_result(folder, logits, labels):
    (folder / "clock").write_text("3.7")
    training.write_result(folder, TINY, 12, 5, test_accuracy=(
        training.write_answers(
            folder, np.array(logits, "float32"), np.array(labels))))


def test_result_counts_right_and_wrong_answers(tmp_path):
    logits = np.zeros((5, 10))
    logits[range(5), (3, 3, 0, 1, 2)] = (1, 2, 5, 1, 3)
    written_result(tmp_path, logits, [3, 4, 0, 1, 9])
    result = json.loads((tmp_path / "result.json").read_text())
    assert result.pop("machine") and result.pop("versions")["tensorflow"]
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


@pytest.mark.parametrize("name", training.RECIPES)
def test_recipe_can_be_built_and_compiled(name):
    recipe = training.RECIPES[name]
    assert set(TINY) <= set(recipe) <= set(TINY) | {
        "warmup", "smoothing", "augment", "norm_momentum", "cutout", "small",
        "start"}
    start = training.RECIPES[recipe.get("start", name)]
    # Images that a start was trained on would not judge its heir.
    assert recipe["validation"] in (0, start["validation"])
    assert min(recipe["batch"], recipe["epochs"]) >= 1
    model = training.compiled(
        network.mobilenet_v1((32, 32, 3), 10, **recipe["network"]), recipe)
    assert type(model.optimizer).__name__ == recipe["optimizer"]["class_name"]


def check_record(folder, recipes, reached="test_accuracy"):
    """Fail unless a folder holds a whole record of the recipe it names.

    reached is the accuracy that the record gives.
    """
    assert folder.name in recipes, f"no recipe is called {folder.name}"
    recipe = recipes[folder.name]
    written = json.loads((folder / "recipe.json").read_text())
    versions = written.pop("versions")
    assert written == json.loads(json.dumps(recipe)), "another recipe"
    path = folder / "result.json"
    assert path.exists(), f"{folder.name} has no result: is it still running?"
    result = json.loads(path.read_text())
    assert set(result) == {
        reached, "epochs", "wall_seconds", "macs", "params", "seed",
        "machine", "versions"}
    assert set(result["versions"]) == set(versions)
    rows = history(folder)
    assert [int(row["epoch"]) for row in rows] == list(
        range(1, recipe["epochs"] + 1)), "an epoch is missing"
    assert ("val_loss" in rows[0]) == bool(recipe["validation"])
    assert result["epochs"] == recipe["epochs"], "epochs differ"
    assert result["seed"] == recipe["seed"], "seeds differ"
    # Epochs that a kill cut short are in the one and not in the other.
    assert result["wall_seconds"] >= sum(
        float(row["seconds"]) for row in rows) - 0.2
    assert 0 < result[reached] < 1
    side = recipe.get("sides", (32,))[-1]
    table = costs.count(
        network.mobilenet_v1((side, side, 3), 10, **recipe["network"]))
    assert result["macs"] == table.macs.sum(), "macs differ"
    assert result["params"] == table.params.sum(), "params differ"
    assert (folder / "start.csv").exists()
    if (folder / "confusion.csv").exists():
        counts = np.loadtxt(
            folder / "confusion.csv", int, delimiter=",", skiprows=1)[:, 1:]
        share = np.trace(counts) / counts.sum()
        assert result["test_accuracy"] == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize(
    "folder", [path.parent for path in sorted(RUNS.glob("*/recipe.json"))],
    ids=lambda folder: folder.name)
def test_record_matches_its_recipe(folder):
    check_record(folder, training.RECIPES)


REAL = os.environ.get("CIFAR10_DIR")
RECORDED = sorted(path.parent.name for path in RUNS.glob("*/result.json"))


@pytest.fixture(scope="module")
def real_images():
    return cifar10.load_cifar10(REAL)


def first_losses(recipe, folder, data, monkeypatch):
    """Return the running mean loss of a recipe's first 20 steps on data."""
    monkeypatch.setattr(cifar10, "load_cifar10", lambda: data)
    model, epoch_data, *_ = prepared(recipe)
    batches = epoch_data(0)
    model = training.compiled(model, recipe, len(batches))
    progress = training.Progress(folder, recipe["epochs"], len(batches))
    model.fit(
        batches.take(20), shuffle=False, verbose=0, callbacks=[progress])
    return progress.losses


def check_start(found, folder):
    """Fail unless losses are, loosely, the first that a run recorded.

    The first step's loss comes before any update: it repeats to 3 digits on
    any machine. Those after it drift apart, and are compared to a tenth.
    """
    with (folder / "start.csv").open(newline="") as file:
        recorded = [float(row["mean_loss"]) for row in csv.DictReader(file)]
    assert len(found) == len(recorded) == 20
    assert found[0] == pytest.approx(recorded[0], rel=1e-3), "other start"
    assert found[19] == pytest.approx(recorded[19], rel=0.1), "other course"


@pytest.mark.parametrize("change", [
    {"seed": 2}, {"network": {"alpha": 0.25, "body": ((64, 1),)}},
    {"optimizer": {"class_name": "Nadam", "learning_rate": 0.3}}, "data"])
def test_start_of_another_recipe_or_of_other_data_is_told_apart(
        change, tmp_path, monkeypatch):
    images, labels = cifar10.generated_images(700)
    data = (images, labels), (images[:9], labels[:9])
    losses = first_losses(TINY, tmp_path, data, monkeypatch)
    training.write_rows(tmp_path / "start.csv", [
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
    start = training.RECIPES[name].get("start")
    return start is None or start in [path.stem for path in WEIGHTS]


@pytest.mark.skipif(not REAL, reason="CIFAR10_DIR is not set")
@pytest.mark.parametrize("name", filter(at_hand, RECORDED))
def test_recorded_run_starts_again_as_it_started(
        name, tmp_path, real_images, monkeypatch):
    recipe = training.RECIPES[name]
    found = first_losses(recipe, tmp_path, real_images, monkeypatch)
    check_start(found, RUNS / name)


def test_weights_are_few_and_each_belongs_to_a_record():
    assert WEIGHTS and {path.stem for path in WEIGHTS} <= set(RECORDED)
    assert sum(path.stat().st_size for path in WEIGHTS) < 15e6


@pytest.mark.skipif(not REAL, reason="CIFAR10_DIR is not set")
@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_committed_weights_are_right_as_often_as_recorded(path, real_images):
    """On all 10,000 test images, within 5 of the record's count."""
    model = network.mobilenet_v1(
        (32, 32, 3), 10, **training.RECIPES[path.stem]["network"])
    training.load_weights(model, path)
    images, labels = real_images[1]
    logits = model.predict(cifar10.pipeline(images, labels, 250), verbose=0)
    right = int(np.sum(logits.argmax(axis=1) == labels))
    result = json.loads((RUNS / path.stem / "result.json").read_text())
    assert abs(right - 10_000 * result["test_accuracy"]) <= 5.01


@pytest.fixture
def record(run, tmp_path):
    """Return a folder with a whole record, of the recipe "tiny"."""
    folder = tmp_path / "tiny"
    shutil.copytree(run[0], folder)
    table = costs.count(run[1])
    logits = np.eye(10, dtype="float32")[[1, 2, 3, 4]]
    share = training.write_answers(folder, logits, np.array([1, 2, 3, 9]))
    training.write_result(
        folder, TINY, int(table.macs.sum()), int(table.params.sum()),
        test_accuracy=share)
    check_record(folder, {"tiny": TINY})
    return folder


def test_record_without_a_recipe_fails(record):
    with pytest.raises(AssertionError, match="no recipe is called tiny"):
        check_record(record, training.RECIPES)


@pytest.mark.parametrize(("change", "words"), [
    ({"seed": 2}, "another recipe"), ({"epochs": 2}, "another recipe"),
    ({"network": {"alpha": 0.5, "body": ((64, 2),)}}, "another recipe")])
def test_record_of_a_recipe_changed_since_fails(record, change, words):
    with pytest.raises(AssertionError, match=words):
        check_record(record, {"tiny": {**TINY, **change}})


@pytest.mark.parametrize(("name", "value"), [
    ("macs", 1), ("params", 1), ("epochs", 2), ("seed", 7),
    ("test_accuracy", 0.76)])
def test_record_with_a_changed_result_fails(record, name, value):
    path = record / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, name: value}))
    words = "0.76 == " if name == "test_accuracy" else f"{name}s? differ"
    with pytest.raises(AssertionError, match=words):
        check_record(record, {"tiny": TINY})


def test_record_that_lost_an_epoch_or_its_result_fails(record):
    path = record / "history.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(AssertionError, match="an epoch is missing"):
        check_record(record, {"tiny": TINY})
    (record / "result.json").unlink()
    with pytest.raises(AssertionError, match="tiny has no result"):
        check_record(record, {"tiny": TINY})


def test_command_trains_and_records_once(tmp_path, monkeypatch, capsys):
    from mobilenet import __main__ as command
    images, labels = cifar10.generated_images(STEPS * 32 + 32)
    monkeypatch.setattr(
        cifar10, "load_cifar10",
        lambda: ((images, labels), (images[:60], labels[:60])))
    monkeypatch.setattr(training, "RECIPES", {"tiny": TINY})
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["mobilenet", "train", "tiny"])
    command.main()
    check_record(tmp_path / "tiny", {"tiny": TINY})
    first = (tmp_path / "tiny" / "history.csv").read_bytes()
    before = (tmp_path / "tiny" / "recipe.json").stat().st_mtime_ns
    capsys.readouterr()
    command.main()
    assert "recorded already; --again" in capsys.readouterr().out
    assert (tmp_path / "tiny" / "history.csv").read_bytes() == first
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--again"])
    command.main()
    assert (tmp_path / "tiny" / "recipe.json").stat().st_mtime_ns > before
    check_record(tmp_path / "tiny", {"tiny": TINY})


def test_run_starts_from_the_weights_that_its_recipe_names(
        run, tmp_path, monkeypatch):
    from mobilenet import __main__ as command
    images, labels = cifar10.generated_images(64)
    monkeypatch.setattr(
        cifar10, "load_cifar10",
        lambda: ((images, labels), (images, labels)))
    more = {**TINY, "start": "tiny"}
    monkeypatch.setattr(training, "RECIPES", {"tiny": TINY, "more": more})
    monkeypatch.setattr(command, "WEIGHTS", tmp_path)
    monkeypatch.setattr(command, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(sys, "argv", ["mobilenet", "train", "more"])
    with pytest.raises(SystemExit, match=r"FileNotFound.*train tiny --again"):
        command.main()
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    for path in ("runs/tiny/weights.npz", "tiny.npz"):
        training.save_weights(run[1], tmp_path / path)
        model = prepared(more)[0]
        (tmp_path / path).unlink()
        for trained, array in zip(
                run[1].get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(trained.astype("float16"), array)


def test_command_ends_with_one_line_where_the_folder_is_in_the_way(
        tmp_path, monkeypatch):
    from mobilenet import __main__ as command
    images, labels = cifar10.generated_images(64)
    monkeypatch.setattr(
        cifar10, "load_cifar10",
        lambda: ((images, labels), (images, labels)))
    monkeypatch.setattr(training, "RECIPES", {"tiny": TINY})
    (tmp_path / "tiny").write_text("in the way")
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["mobilenet", "train", "tiny"])
    with pytest.raises(SystemExit, match="cannot hold the run.*Nothing was"):
        command.main()
