"""Training on generated images: what it records, and how it goes on.

No number that training reaches is compared, only its direction. The records
of the book's own runs are checked against the recipes that they name.
"""

import csv
import json
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest
from mobilenet import cifar10, costs, network, training

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


def test_history_has_one_whole_row_an_epoch(run):
    folder, _, rows = run
    found = history(folder)
    assert found == [{k: str(v) for k, v in row.items()} for row in rows]
    assert epochs(folder) == ["1", "2", "3"]
    for row in found:
        assert set(row) == {
            "epoch", "loss", "accuracy", "val_loss", "val_accuracy",
            "seconds"}
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
        "checkpoint.keras", "history.csv", "recipe.json"]


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
    rows = [{"epoch": 1, "loss": "0.5"}]
    training.write_history(tmp_path, rows)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        training.write_history(tmp_path, [*rows, {"epoch": 2, "loss": "0.4"}])
    assert epochs(tmp_path) == ["1"]


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


def test_result_holds_what_it_was_given(tmp_path):
    rows = [{"seconds": "1.52"}, {"seconds": "2.22"}]
    training.write_result(tmp_path, TINY, rows, 0.625, 1234, 56)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result.pop("machine") and result.pop("versions")["tensorflow"]
    assert result == {
        "test_accuracy": 0.625, "epochs": 2, "wall_seconds": 3.7,
        "macs": 1234, "params": 56, "seed": 1}


@pytest.mark.parametrize("name", training.RECIPES)
def test_recipe_can_be_built_and_compiled(name):
    recipe = training.RECIPES[name]
    assert set(recipe) == set(TINY)
    assert min(recipe["batch"], recipe["epochs"]) >= 1
    model = training.compiled(
        network.mobilenet_v1((32, 32, 3), 10, **recipe["network"]), recipe)
    assert type(model.optimizer).__name__ == recipe["optimizer"]["class_name"]


def check_record(folder, recipes):
    """Fail unless a folder holds a whole record of the recipe it names."""
    assert folder.name in recipes, f"no recipe is called {folder.name}"
    recipe = recipes[folder.name]
    written = json.loads((folder / "recipe.json").read_text())
    versions = written.pop("versions")
    assert written == json.loads(json.dumps(recipe)), "another recipe"
    path = folder / "result.json"
    assert path.exists(), f"{folder.name} has no result: is it still running?"
    result = json.loads(path.read_text())
    assert set(result) == {
        "test_accuracy", "epochs", "wall_seconds", "macs", "params", "seed",
        "machine", "versions"}
    assert set(result["versions"]) == set(versions)
    rows = history(folder)
    assert [int(row["epoch"]) for row in rows] == list(
        range(1, recipe["epochs"] + 1)), "an epoch is missing"
    assert ("val_loss" in rows[0]) == bool(recipe["validation"])
    assert result["epochs"] == recipe["epochs"], "epochs differ"
    assert result["seed"] == recipe["seed"], "seeds differ"
    assert result["wall_seconds"] == pytest.approx(
        sum(float(row["seconds"]) for row in rows), abs=0.1)
    assert 0 < result["test_accuracy"] < 1
    table = costs.count(
        network.mobilenet_v1((32, 32, 3), 10, **recipe["network"]))
    assert result["macs"] == table.macs.sum(), "macs differ"
    assert result["params"] == table.params.sum(), "params differ"


@pytest.mark.parametrize(
    "folder", [path for path in sorted(RUNS.glob("*")) if path.is_dir()],
    ids=lambda folder: folder.name)
def test_record_matches_its_recipe(folder):
    check_record(folder, training.RECIPES)


@pytest.fixture
def record(run, tmp_path):
    """Return a folder with a whole record, of the recipe "tiny"."""
    folder = tmp_path / "tiny"
    shutil.copytree(run[0], folder)
    table = costs.count(run[1])
    training.write_result(
        folder, TINY, history(folder), 0.5, int(table.macs.sum()),
        int(table.params.sum()))
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
    ("macs", 1), ("params", 1), ("epochs", 2), ("seed", 7)])
def test_record_with_a_changed_result_fails(record, name, value):
    path = record / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, name: value}))
    with pytest.raises(AssertionError, match=f"{name}s? differ"):
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
