"""Transfer learning: what each way changes, and how the record is made."""

import itertools

import keras
import numpy as np
import pytest
from mobilenet import __main__ as command
from mobilenet import (
    batches,
    cifar10,
    network,
    recipes,
    records,
    training,
    transfer,
)
from tiny import RUNS, TINY, called

EIGHT = {**transfer.EIGHT, **TINY, "about": "Eight of ten classes.",
         "epochs": 2, "warmup": 1, "validation": 200}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return training.with_fused_norm(
        network.mobilenet_v1((32, 32, 3), 10, **TINY["network"]), 0.9)


def test_the_base_is_smalls_network_on_eight_classes():
    small = recipes.RECIPES["small"]
    eight = transfer.EIGHT
    assert eight["network"] == small["network"]
    assert eight["optimizer"] == small["optimizer"]
    assert set(eight["without"]) == set(transfer.NEW) < set(cifar10.CLASSES)
    assert eight["validation"] == 5000


def test_the_new_classes_are_those_that_the_best_network_confuses_most():
    counts = np.loadtxt(RUNS / "best-all" / "confusion.csv", int,
                        delimiter=",", skiprows=1)[:, 1:]
    pairs = {(a, b): counts[a, b] + counts[b, a]
             for a, b in itertools.combinations(range(10), 2)}
    most = max(pairs, key=pairs.get)
    assert tuple(cifar10.CLASSES[i] for i in most) == transfer.NEW


def test_images_drawn_are_so_many_of_each_class_and_grow_with_the_count():
    labels = np.tile([0, 1, 1], 40)
    few, more = (transfer.drawn(labels, n, 3) for n in (5, 9))
    assert np.bincount(labels[few]).tolist() == [5, 5]
    assert set(few) < set(more) and len(set(more)) == 18
    assert set(transfer.drawn(labels, 5, 4)) != set(few)


def test_batches_go_on_over_epochs_and_are_whole():
    asked = []

    def epoch_data(epoch):
        asked.append(epoch)
        return [(np.full(n, epoch), np.zeros(n)) for n in (4, 4, 1)]

    found = [*transfer.batches_for(5, epoch_data)]
    assert [len(labels) for _, labels in found] == [4] * 5
    assert [inputs[0] for inputs, _ in found] == [0, 0, 1, 1, 2]
    assert asked == [0, 1, 2]


def test_a_new_head_shares_all_other_layers(model):
    images = batches.generated_images(6)[0]
    heir = transfer.with_new_head(model, 2)
    assert heir.output.shape == (None, 2)
    assert heir.layers[-2] is model.get_layer("average")
    features = transfer.outputs(transfer.feature_network(model), images, 4)
    kernel, bias = heir.layers[-1].get_weights()
    np.testing.assert_allclose(
        transfer.outputs(heir, images), features @ kernel + bias, atol=1e-5)


def learnt(model, rate, moving):
    """Return which weights of a copy of model change while an heir learns."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    heir = transfer.with_new_head(copy, 2)
    images, labels = batches.generated_images(32)
    data = [*batches.pipeline(images, labels % 2, 32)] * 3
    transfer.learn(heir, data, 3, rate, moving)
    return {variable.path for variable, before in zip(
        copy.weights, model.get_weights(), strict=True)
        if not np.array_equal(variable.numpy(), before)}


def test_what_moves_and_what_learns_is_what_the_way_says(model):
    paths = {variable.path for variable in model.weights}
    statistics = {path for path in paths if "moving" in path}
    head = {path for path in paths if path.startswith("logits")}
    assert len(statistics) == 6 and len(head) == 2
    assert learnt(model, 0.01, False) == paths - statistics - head
    assert learnt(model, 0.01, True) == paths - head
    assert learnt(model, 0.0, True) == statistics
    assert learnt(model, 0.0, False) == set()


def test_a_head_learns_classes_that_features_tell_apart():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = rng.normal(0, 0.3, (90, 8)).astype("float32")
    features[np.arange(90), labels] += 2
    kernel, bias = transfer.trained_head(features, labels, 3, 100, 0.03)
    assert transfer.share_correct(features @ kernel + bias, labels) == 1
    other, _ = transfer.trained_head(features, labels[::-1], 3, 100, 0.03)
    assert transfer.share_correct(features @ other, labels) < 1


def test_the_best_rate_is_that_of_seed_0_alone_and_the_least_of_equals():
    rows = [{"way": "tuned", "seed": seed, "rate": rate, "accuracy": share}
            for seed, rate, share in (
                ("0", "0.01", "0.7"), ("0", "0.001", "0.7"),
                ("0", "0.1", "0.6"), ("1", "0.1", "0.9"))]
    rows.append({"way": "frozen", "seed": 0, "rate": 1, "accuracy": 1})
    assert transfer.best_rate(rows, "tuned") == 0.001


def test_nothing_is_done_twice_and_rates_come_first():
    rows = []
    while todo := transfer.left(rows):
        way, count, seed, rate = todo[0]
        rows.append({"way": way, "count": str(count), "seed": str(seed),
                     "rate": str(rate), "accuracy": str(0.5 + rate % 0.007)})
    tried = sum(map(len, transfer.RATES.values()))
    assert {row["seed"] for row in rows[:tried]} == {"0"}
    assert len(rows) == tried + len(transfer.SEEDS) * sum(
        map(len, transfer.STEPS.values()))
    chosen = {row["way"]: float(row["rate"]) for row in rows[tried:]}
    assert chosen["moving"] == chosen["tuned"] == transfer.best_rate(
        rows, "tuned")
    assert chosen["statistics"] == 0


@pytest.fixture
def small_task(tmp_path, monkeypatch):
    """Replace images, network and plan by small ones; return the place."""
    images, labels = batches.generated_images(900)
    monkeypatch.setattr(
        cifar10, "load_cifar10", lambda: ((images, labels), None))
    for name, value in {
            "EIGHT": EIGHT, "SEEDS": (1,), "SEARCH_COUNT": 4,
            "SEARCH_IMAGES": 20, "RATES": {
                "scratch": (0.01,), "frozen": (0.01, 0.03),
                "tuned": (0.001,)},
            "STEPS": {way: {4: 3} for way in transfer.STEPS}}.items():
        monkeypatch.setattr(transfer, name, value)
    monkeypatch.setattr(command, "TRANSFERRED", {"eight": EIGHT})
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(command, "WEIGHTS", tmp_path / "weights")
    return tmp_path


def test_the_commands_train_and_write_each_row_once(
        small_task, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="train eight --again"):
        called(monkeypatch, "transfer")
    called(monkeypatch, "train", "eight")
    records.check_record(
        small_task / "eight", EIGHT, *command.cost(EIGHT), "val_accuracy")
    called(monkeypatch, "transfer")
    path = small_task / "transfer.csv"
    whole = path.read_bytes()
    rows = command.csv_rows(path)
    assert [row["way"] for row in rows] == [
        "scratch", "frozen", "frozen", "tuned", *transfer.STEPS]
    assert {row["way"] for row in rows if row["eight"]} == {
        "tuned", "moving", "statistics"}
    # What is there is kept, and what was lost is done again.
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    capsys.readouterr()
    called(monkeypatch, "transfer")
    assert capsys.readouterr().out.count("left:") == 1
    again = command.csv_rows(path)
    assert again[:-1] == rows[:-1]
    assert again[-1]["accuracy"] == rows[-1]["accuracy"]
    path.write_text(whole.decode().replace(rows[0]["weights"], "0" * 12))
    with pytest.raises(SystemExit, match="other weights"):
        called(monkeypatch, "transfer")


def test_no_image_is_learned_from_and_judged_by(small_task, monkeypatch):
    (images, labels), _ = cifar10.load_cifar10()
    model, epoch_data, validation, _ = command.prepared(EIGHT)
    left_out = {cifar10.CLASSES.index(one) for one in transfer.NEW}
    for data in (epoch_data(0), validation):
        found = {int(label) for _, some in data for label in some}
        assert found == set(range(10)) - left_out
    (small_task / "eight").mkdir()
    records.save_weights(model, small_task / "eight" / "weights.npz")
    task = command.Transfer()
    assert set(task.aside[1]) == set(task.pool[1]) == {0, 1}
    places = transfer.drawn(task.pool[1], 4, 0)
    learned = {image.tobytes() for image in task.pool[0][places]}
    searched = {image.tobytes() for image in task.judges(places, 0)[0]}
    asides = {image.tobytes() for image in task.judges(places, 1)[0]}
    assert len(searched) == 2 * transfer.SEARCH_IMAGES
    assert not (learned & searched or searched & asides
                or {one.tobytes() for one in task.pool[0]} & asides)
    total = len(task.aside[0]) + len(task.old[0])
    assert total == EIGHT["validation"]
