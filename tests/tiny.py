"""A training of three layers on a few generated images, for many tests."""

import csv
import pathlib
import sys

import keras
from mobilenet import __main__ as command
from mobilenet import batches, network, records, training

RUNS = pathlib.Path(__file__).parent.parent / "book" / "runs"
TINY = {
    "about": "A network of three layers on a few generated images.",
    "model": "network.mobilenet_v1",
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
    images, labels = batches.generated_images(32 * STEPS + 32)
    (images, labels), aside = batches.validation_split(images, labels, 32)

    def epoch_data(epoch):
        if asked is not None:
            asked.append(epoch)
        return batches.pipeline(
            images, labels, recipe["batch"], (recipe["seed"], epoch))

    return training.train(
        recipe, model, epoch_data, records.Run(folder),
        batches.pipeline(*aside))


def called(monkeypatch, *words):
    """Run python -m mobilenet with these words."""
    monkeypatch.setattr(sys, "argv", ["mobilenet", *map(str, words)])
    command.main()


def check_record(folder, recipes, reached="test_accuracy"):
    """Fail unless a folder holds a whole record of the recipe it names."""
    assert folder.name in recipes, f"no recipe is called {folder.name}"
    recipe = recipes[folder.name]
    records.check_record(folder, recipe, *command.cost(recipe), reached)


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def epochs(folder):
    return [row["epoch"] for row in history(folder)]
