"""The controlled experiments: what an arm changes, and what was recorded."""

import csv
import itertools
import json
import types

import keras
import numpy as np
import pytest
from mobilenet import __main__ as command
from mobilenet import (
    batches,
    cifar10,
    experiments,
    network,
    recipes,
    records,
    training,
)
from tiny import RUNS, called, check_record

ARMS = experiments.ARMS


def changed(arm):
    """Return the names of what an arm changes, within the network too."""
    found = set()
    for name, value in ARMS[arm].items():
        if name == "network":
            found |= {part for part in value if part != "alpha"
                      or value[part] != 0.25}
        else:
            found.add(name)
    return found


@pytest.mark.parametrize("arm", ARMS)
def test_arm_can_be_built_and_changes_what_its_name_says(arm):
    recipe = experiments.recipe(arm, 2)
    assert recipe["seed"] == 2
    kept = {**experiments.PROTOCOL, **ARMS[arm], "seed": 2}
    assert recipe == {k: v for k, v in kept.items() if v is not None}
    words = {
        "stem-1": "stem_stride", "late": "stem_stride body", "full":
        "separable", "shallow": "body", "stride-on": "stride_on", "side":
        "sides", "rate": "optimizer", "decay": "optimizer", "augmentation":
        "augment", "smoothing": "smoothing", "schedule": "warmup",
        "norm-momentum": "norm_momentum"}
    parts = " ".join(part for word, part in words.items() if word in arm)
    if "width" in arm and "0.25" not in arm:
        parts += " alpha"
    assert changed(arm) == set(parts.split())
    assert command.cost(recipe)[0] > 0
    # The optimiser does not depend on the network: a small one takes it.
    small = network.mobilenet_v1((32, 32, 3), 10, 0.25, body=((64, 2),))
    model = training.compiled(small, recipe)
    assert type(model.optimizer).__name__ == recipe["optimizer"]["class_name"]


def test_shallow_is_the_body_without_five_equal_blocks():
    rows = list(network.BODY)
    equal = [at for at, row in enumerate(rows) if row == (512, 1)]
    assert len(equal) == 5
    kept = [row for at, row in enumerate(rows) if at not in equal]
    assert list(experiments.SHALLOW) == kept


def test_late_differs_from_the_body_in_its_first_stride():
    rows = [(ours, theirs) for ours, theirs in zip(
        experiments.LATE, network.BODY, strict=True) if ours != theirs]
    assert rows == [((128, 1), (128, 2))] == [
        (experiments.LATE[1], network.BODY[1])]


def test_every_arm_answers_a_question_and_none_is_unknown():
    asked = [arm for arms in experiments.QUESTIONS.values() for arm in arms]
    assert set(asked) == set(ARMS)


@pytest.mark.parametrize(
    "question", [q for q in experiments.QUESTIONS if "multiply-adds" in q])
def test_arms_of_equal_cost_cost_the_same_within_a_sixth(question):
    found = [
        command.cost(experiments.recipe(arm, 1))[0] / 1e6
        for arm in experiments.QUESTIONS[question]]
    said = float(question.split(", ")[1].split()[0])
    assert max(found) < min(found) * 7 / 6
    assert all(abs(macs / said - 1) < 0.13 for macs in found), found


def test_each_optimiser_takes_more_seeds_at_its_best_rate_alone():
    first = [(arm, 1) for arm in ARMS]
    assert experiments.left({})[:len(first)] == first
    assert experiments.best_rates({}) == []
    reached = dict.fromkeys(first, 0.5)
    best = [f"{name}-rate-{rates[k]}" for k, (name, (_, rates)) in enumerate(
        experiments.OPTIMIZERS.items())]
    reached |= {(arm, 1): 0.6 for arm in best}
    assert experiments.best_rates(reached) == best
    others = [arm for arm in ARMS if "rate" not in arm]
    assert set(experiments.left(reached)) == {
        (arm, seed) for arm in others + best for seed in (2, 3)}
    reached |= dict.fromkeys(experiments.left(reached), 0.1)
    assert experiments.left(reached) == []


TINY = {"tiny": {"model": "network.mobilenet_v1",
                 "network": {"alpha": 0.25, "body": ((64, 2),)},
                 "epochs": 2, "warmup": 1, "batch": 32, "validation": 32,
                 "sides": (16,)}}


@pytest.fixture
def tiny_runs(tmp_path, monkeypatch):
    """Replace arms, images and place by small ones; return the place."""
    images, labels = batches.generated_images(130)
    monkeypatch.setattr(
        cifar10, "load_cifar10",
        lambda: ((images, labels), (images[:9] * 0, labels[:9])))
    monkeypatch.setattr(experiments, "ARMS", TINY)
    monkeypatch.setattr(experiments, "SEEDS", (1, 2))
    monkeypatch.setattr(recipes, "RECIPES", {})
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(command, "EXPERIMENTS", {
        f"experiments/tiny-seed-{seed}": experiments.recipe("tiny", seed)
        for seed in (1, 2)})
    return tmp_path


def test_commands_train_what_is_left_and_sum_it_up(
        tiny_runs, monkeypatch, capsys):
    called(monkeypatch, "train", "experiments/tiny-seed-2")
    before = (tiny_runs / "experiments/tiny-seed-2/result.json").read_text()
    # No test image was looked at: those are black, and would be named here.
    assert set(json.loads(before)) & {"test_accuracy", "val_accuracy"} == {
        "val_accuracy"}
    capsys.readouterr()
    called(monkeypatch, "experiment")
    assert "1 runs left: tiny, seed 1" in capsys.readouterr().out
    after = (tiny_runs / "experiments/tiny-seed-2/result.json").read_text()
    assert after == before
    called(monkeypatch, "summary")
    lines = (tiny_runs / "summary.csv").read_text().splitlines()
    assert lines[0].split(",")[:3] == ["run", "seed", "macs"]
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["tiny-seed-1", "1"], ["tiny-seed-2", "2"]]
    # At 16 pixels, as trained: 8 x 8 positions after the stem.
    macs = 64 * 27 * 8 + 16 * (9 * 8 + 8 * 16) + 16 * 10
    assert lines[1].split(",")[2] == str(macs)
    assert lines[1].endswith(",")  # no accuracy on test images


def test_race_trains_in_turn_to_the_goal_and_counts_who_missed_it(
        tiny_runs, monkeypatch, capsys):
    monkeypatch.setattr(experiments, "RACE", {
        name: {**experiments.PROTOCOL, **TINY["tiny"], "epochs": epochs}
        for name, epochs in (("note", 3), ("ours", 2))})
    asked = []

    def share(model, data, **_settings):
        asked.append(len(data))
        return {"accuracy": (0.1, 0.7, 0.1, 0.1, 0.8, 0.9)[len(asked) - 1]}

    monkeypatch.setattr(keras.Model, "evaluate", share)
    monkeypatch.setattr(experiments, "RACE_GOAL", 0.7)
    readings = itertools.count()  # a second between two looks at the clock
    monkeypatch.setattr(command, "time", types.SimpleNamespace(
        perf_counter=lambda: float(next(readings))))
    called(monkeypatch, "race")
    assert asked == [1] * 6  # the 32 images set aside, not the 9 for tests
    with (tiny_runs / "race.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["recipe"], row["seed"], row["epochs"], row["val_accuracy"])
            for row in rows] == [
        ("note", "1", "2", "0.7000"), ("ours", "1", "2", "0.1000"),
        ("note", "2", "1", "0.8000"), ("ours", "2", "1", "0.9000")]
    # Of each epoch the training counts, its check does not.
    assert [row["seconds"] for row in rows] == ["2.0", "2.0", "1.0", "1.0"]
    said = capsys.readouterr().out
    assert "1 of 4 ended before the goal of 70.0%" in said
    assert "or 1 to" in said


def test_recorded_race_ran_what_races_to_its_goal_in_turn():
    with (RUNS / "race.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["seed"]), row["recipe"]) for row in rows] == [
        (seed, name) for seed in experiments.SEEDS
        for name in experiments.RACE]
    for row in rows:
        recipe = experiments.RACE[row["recipe"]]
        assert row["optimizer"] == recipe["optimizer"]["class_name"]
        assert float(row["rate"]) == recipe["optimizer"]["learning_rate"]
        for name in ("batch", "norm_momentum"):
            assert float(row[name]) == recipe[name]
        assert float(row["seconds"]) > 0
        assert int(row["epochs"]) <= recipe["epochs"]
        assert float(row["val_accuracy"]) >= experiments.RACE_GOAL or (
            int(row["epochs"]) == recipe["epochs"])
    assert len({(row["machine"], row["tensorflow"]) for row in rows}) == 1


RECORDED = [
    path.parent for path in sorted(RUNS.glob("experiments*/*/recipe.json"))]


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_recorded_experiment_matches_its_arm(folder):
    check_record(folder, {
        name.split("/")[1]: recipe
        for name, recipe in command.EXPERIMENTS.items()
        if name.startswith(f"{folder.parent.name}/")}, "val_accuracy")
    result = json.loads((folder / "result.json").read_text())
    last = records.Run(folder).history()[-1]
    assert result["val_accuracy"] == pytest.approx(
        float(last["val_accuracy"]), abs=1e-4)


def test_full_width_trains_with_every_seed():
    reached = [json.loads(path.read_text())["val_accuracy"] for path in sorted(
        RUNS.glob("experiments-2/width-1.0-seed-*/result.json"))]
    assert len(reached) == 3 and max(reached) - min(reached) < 0.03


def test_summary_is_what_the_records_say(tmp_path, monkeypatch):
    committed = (RUNS / "summary.csv").read_bytes()
    written = []
    monkeypatch.setattr(
        records, "write_rows", lambda path, rows: written.append(rows))
    command.summary()
    monkeypatch.undo()
    records.write_rows(tmp_path / "summary.csv", written[0])
    assert (tmp_path / "summary.csv").read_bytes() == committed


def test_sides_resize_the_images_in_turn():
    images, labels = batches.generated_images(6)
    small, _ = next(iter(batches.pipeline(images, labels, sides=(16,))))
    back, _ = next(iter(batches.pipeline(images, labels, sides=(16, 32))))
    assert small.shape == (6, 16, 16, 3) and back.shape == (6, 32, 32, 3)
    # A constant stays itself; a single bright pixel spreads, and keeps its
    # mean through the shrinking.
    grey = np.full((1, 32, 32, 3), 51, np.uint8)
    grey[0, 8, 8] = 255
    small, _ = next(iter(batches.pipeline(grey, labels[:1], sides=(16,))))
    assert float(np.mean(small)) == pytest.approx(
        float(np.mean(grey / 127.5 - 1)), abs=1e-3)
    assert float(small[0, 15, 15, 0]) == pytest.approx(51 / 127.5 - 1)
