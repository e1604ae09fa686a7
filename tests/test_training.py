"""Training on generated images: what it records, and how it goes on.

No number that training reaches is compared, only its direction. The records
of the book's own runs are checked against the recipes that they name.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest
from mobilenet import (
    batches,
    cifar10,
    experiments_2,
    network,
    recipes,
    records,
    training,
)
from mobilenet.__main__ import prepared
from tiny import RUNS, STEPS, TINY, check_record, epochs, history, trained


def test_minutes_are_those_of_twenty_steps_and_cost_the_model_nothing(
        monkeypatch, capsys):
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    before = [array.copy() for array in model.get_weights()]
    data = batches.pipeline(*batches.generated_images(24 * 32), 32)
    readings = iter([7.0, 47.0])  # 20 steps in 40 s
    monkeypatch.setattr(training, "time", types.SimpleNamespace(
        perf_counter=lambda: next(readings)))
    minutes = training.minutes_for(TINY, model, data)
    assert minutes == pytest.approx(2 * 24 * TINY["epochs"] / 60)
    assert capsys.readouterr().out == ""
    for was, array in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, array)


def test_time_left_is_the_pace_so_far_for_the_steps_to_come(
        tmp_path, monkeypatch):
    readings = iter([0.0, 100.0, 160.0])
    monkeypatch.setattr(training, "time", types.SimpleNamespace(
        perf_counter=lambda: next(readings)))
    progress = training.Progress(records.Run(tmp_path), epochs=3, steps=50)
    steps = iter([11, 31])
    monkeypatch.setattr(training, "steps_done", lambda model: next(steps))
    progress.on_train_batch_end(0, {"loss": 1.0})  # waits for the graph
    # 20 steps in 60 s, and 150 - 31 to come: 357 s.
    assert progress.left() == "6 min left"


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
    images, labels = batches.generated_images(32 * STEPS + 32)
    aside = batches.validation_split(images, labels, 32)[1]
    loss = model.evaluate(
        batches.pipeline(*aside), verbose=0, return_dict=True)["loss"]
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


def cut(folder, name, length):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:length])


@pytest.mark.parametrize(("name", "length"), [
    ("recipe.json", 0), ("recipe.json", 40), ("checkpoint.keras", 0),
    ("checkpoint.keras", 300), ("checkpoint.keras", -300)])
def test_state_that_a_power_failure_cut_is_named_and_nothing_is_lost(
        name, length, run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run[0], folder)
    cut(folder, name, length)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=f"{name} cannot be read.*remove it"):
        trained(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / name).unlink()  # what the message advises
    model = records.Run(folder).resumed(TINY)
    if name == "checkpoint.keras":
        assert model is None
        return
    assert (folder / name).read_bytes() == (run[0] / name).read_bytes()
    for ours, theirs in zip(
            model.get_weights(), run[1].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_run_goes_on_where_its_clock_and_history_were_cut(
        run, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(run[0], folder)
    cut(folder, "clock", 0)
    cut(folder, "history.csv", -4)
    model, rows = trained(folder)
    assert [str(row["epoch"]) for row in rows] == ["1", "2"]
    assert int(model.optimizer.iterations) == 3 * STEPS
    said = capsys.readouterr().out
    assert "clock cannot be read" in said
    assert "history.csv can be read up to epoch 2 alone" in said


def test_second_training_of_a_folder_is_refused_before_its_first_step(
        run, tmp_path, monkeypatch):
    from mobilenet import __main__ as command
    folder = tmp_path / "tiny"
    shutil.copytree(run[0], folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": TINY})
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["mobilenet", "train", "tiny", "--again"])
    asked = []
    with records.Run(folder).held():
        with pytest.raises(RuntimeError, match="another training runs in"):
            trained(folder, {**TINY, "epochs": 4}, asked)
        # Nor does the command remove what the first one writes.
        with pytest.raises(SystemExit, match="another training runs in"):
            command.main()
        (folder / "lock").unlink()
    assert asked == []
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_loss_that_is_no_number_ends_the_training(tmp_path):
    keras.utils.set_random_seed(1)
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    images, labels = batches.generated_images(96)

    def epoch_data(epoch):
        data = batches.pipeline(images, labels, 32)
        return data if epoch == 0 else data.map(
            lambda x, y: (x * np.inf, y))

    with pytest.raises(FloatingPointError, match=(
            f"loss is nan after step 4: the training stops.*{tmp_path}")):
        training.train(TINY, model, epoch_data, records.Run(tmp_path))
    assert epochs(tmp_path) == ["1"]
    assert (tmp_path / "checkpoint.keras").exists()
    assert not (tmp_path / "lock").exists()


def test_labels_as_keras_loads_them_are_right_as_often():
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    images, labels = batches.generated_images(40)
    images = images.astype("float32")
    shares = [training.batch_accuracy(
        lambda x: model(x, training=True), model, [(images, given)])
        for given in (labels, labels[:, None])]
    assert shares[0] == shares[1] <= 1


def test_another_backend_is_refused_before_anything_is_written(
        tmp_path, monkeypatch):
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    data = batches.pipeline(*batches.generated_images(32), 32)
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="backend is 'jax'.*KERAS_BACKEND"):
        training.train(
            TINY, model, lambda epoch: data, records.Run(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_kill_while_a_row_is_written_leaves_the_old_history(
        tmp_path, monkeypatch):
    rows, path = [{"epoch": 1, "loss": "0.5"}], tmp_path / "history.csv"
    records.write_rows(path, rows)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        records.write_rows(path, [*rows, {"epoch": 2, "loss": "0.4"}])
    assert epochs(tmp_path) == ["1"]


SITTING = """
import sys
sys.path.insert(0, {book!r})
import keras
from mobilenet import batches, network, records, training
keras.utils.set_random_seed(1)
recipe = {recipe!r}
model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
images, labels = batches.generated_images(32 * 300)
training.Progress.every = 0.1
training.train(
    recipe, model, lambda epoch: batches.pipeline(
        images, labels, 32, (1, epoch)), records.Run({folder!r}))
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
    while not (tmp_path / "history.csv").exists() or (  # inside epoch 2
            float(clock.read_text() or 0)
            < float(history(tmp_path)[0]["seconds"]) + 0.3):
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
    assert not asked


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
    data = batches.batches_of(recipe, images, np.zeros(8, np.uint8))
    shapes = [next(iter(data(epoch)))[0].shape for epoch in range(3)]
    assert shapes == [(8, 24, 24, 3), (8, 24, 24, 3), (8, 32, 32, 3)]
    grey = np.array(next(iter(data(2)))[0]) < 0.5
    hidden = grey.all(axis=3).sum(axis=(1, 2))
    assert set(hidden) <= {high * wide for high in range(6, 13)
                           for wide in range(6, 13)}
    assert len(set(hidden)) > 1  # squares that the edge cuts are smaller
    again = np.array(next(iter(data(2)))[0]) < 0.5
    np.testing.assert_array_equal(grey, again)
    other = np.array(next(iter(batches.batches_of(
        {**recipe, "seed": 9}, images, np.zeros(8, np.uint8))(2)))[0]) < 0.5
    assert (grey != other).any()


def test_scheduled_run_goes_on_but_not_over_other_epochs(tmp_path):
    class StopError(Exception):
        pass

    def stopping(recipe):
        keras.utils.set_random_seed(1)
        model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
        images, labels = batches.generated_images(96)

        def epoch_data(epoch):
            if epoch == 1 and not (tmp_path / "again").exists():
                raise StopError
            return batches.pipeline(images, labels, 32, (1, epoch))

        return training.train(
            recipe, model, epoch_data, records.Run(tmp_path))

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
    images, labels = batches.generated_images(40)
    share = training.batch_accuracy(
        lambda x: model(x, training=True), model,
        batches.pipeline(images, labels, 20))
    scaled = images.astype("float32") / 127.5 - 1
    for ours, theirs in zip(before, model.get_weights()):
        np.testing.assert_array_equal(ours, theirs)
    right = sum(
        int(np.argmax(row) == label) for part in (slice(20), slice(20, 40))
        for row, label in zip(
            np.array(model(scaled[part], training=True)), labels[part]))
    assert share == right / 40


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipe_can_be_built_and_compiled(name):
    recipe = recipes.RECIPES[name]
    assert set(TINY) <= set(recipe) <= set(TINY) | {
        "warmup", "smoothing", "augment", "norm_momentum", "cutout", "small",
        "start"}
    start = recipes.RECIPES[recipe.get("start", name)]
    # Images that a start was trained on would not judge its heir.
    assert recipe["validation"] in (0, start["validation"])
    assert min(recipe["batch"], recipe["epochs"]) >= 1
    model = training.compiled(
        network.mobilenet_v1((32, 32, 3), 10, **recipe["network"]), recipe)
    assert type(model.optimizer).__name__ == recipe["optimizer"]["class_name"]


def test_the_small_network_has_the_late_strides_of_the_experiments():
    small = recipes.RECIPES["small"]["network"]
    late = experiments_2.recipe("late-width-0.25", 1)["network"]
    assert {**small, "body": tuple(small["body"])} == late
    assert recipes.RECIPES["small"]["validation"] == 5000


def test_command_trains_and_records_once(tmp_path, monkeypatch, capsys):
    from mobilenet import __main__ as command
    images, labels = batches.generated_images(STEPS * 32 + 32)
    monkeypatch.setattr(
        cifar10, "load_cifar10",
        lambda: ((images, labels), (images[:60], labels[:60])))
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": TINY})
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


@pytest.mark.parametrize("content", [b"", b'{"test_accuracy": 0.', b"null"])
def test_result_that_was_cut_is_named_and_not_taken_for_a_record(
        content, tmp_path, monkeypatch):
    from mobilenet import __main__ as command
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": TINY})
    monkeypatch.setattr(command, "RUNS", tmp_path)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "result.json").write_bytes(content)
    for words in (["train", "tiny"], ["summary"]):
        monkeypatch.setattr(sys, "argv", ["mobilenet", *words])
        with pytest.raises(
                SystemExit, match=r"result\.json cannot be read.*remove it"):
            command.main()


def test_run_starts_from_the_weights_that_its_recipe_names(
        run, tmp_path, monkeypatch):
    from mobilenet import __main__ as command
    images, labels = batches.generated_images(64)
    monkeypatch.setattr(
        cifar10, "load_cifar10",
        lambda: ((images, labels), (images, labels)))
    more = {**TINY, "start": "tiny"}
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": TINY, "more": more})
    monkeypatch.setattr(command, "WEIGHTS", tmp_path)
    monkeypatch.setattr(command, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(sys, "argv", ["mobilenet", "train", "more"])
    with pytest.raises(SystemExit, match=r"FileNotFound.*train tiny --again"):
        command.main()
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    for path in ("runs/tiny/weights.npz", "tiny.npz"):
        records.save_weights(run[1], tmp_path / path)
        model = prepared(more)[0]
        (tmp_path / path).unlink()
        for ours, array in zip(
                run[1].get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(ours.astype("float16"), array)


def test_command_ends_with_one_line_where_the_folder_is_in_the_way(
        tmp_path, monkeypatch):
    from mobilenet import __main__ as command
    images, labels = batches.generated_images(64)
    monkeypatch.setattr(
        cifar10, "load_cifar10",
        lambda: ((images, labels), (images, labels)))
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": TINY})
    (tmp_path / "tiny").write_text("in the way")
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["mobilenet", "train", "tiny"])
    with pytest.raises(SystemExit, match="cannot hold the run.*Nothing was"):
        command.main()
