"""Commands of the book's code, run from book/: python -m mobilenet ..."""

import argparse
import pathlib
import sys

import keras
import numpy as np

from mobilenet import cifar10, costs, network, quantization, training

RUNS = pathlib.Path(__file__).parent.parent / "runs"
WEIGHTS = RUNS.parent / "weights"
CLASSIFIER = "better-stem-1"  # the run whose int8 network classify asks


def prepared(recipe):
    """Return what recipe trains: model, batches by epoch, validation, test.

    The model is untrained, seeded by the recipe; validation is None where
    the recipe sets no images aside; test is (images, labels).
    """
    (images, labels), test = cifar10.load_cifar10()
    keras.utils.set_random_seed(recipe["seed"])
    model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
    (images, labels), aside = cifar10.validation_split(
        images, labels, recipe["validation"])

    small = recipe.get("small", {"epochs": 0, "side": None})

    def epoch_data(epoch):
        return cifar10.pipeline(
            images, labels, recipe["batch"], seed=(recipe["seed"], epoch),
            augment=recipe.get("augment", False),
            cutout=recipe.get("cutout", 0),
            side=small["side"] if epoch < small["epochs"] else None)

    validation = cifar10.pipeline(*aside, 250) if len(aside[0]) else None
    return model, epoch_data, validation, test


def train(name, again):
    """Train the recipe called name on CIFAR-10 and record it in runs/."""
    recipe, folder = training.RECIPES[name], RUNS / name
    if (folder / "result.json").exists() and not again:
        print(f"{folder} is recorded already; --again trains it anew")
        return
    if again:
        for file in folder.glob("*"):
            file.unlink()
    model, epoch_data, validation, test = prepared(recipe)
    trained, _ = training.train(recipe, model, epoch_data, folder, validation)
    # Tested as stored, in float16, and in Keras's own layers.
    model.set_weights(trained.get_weights())
    training.save_weights(model, folder / "weights.npz")
    training.load_weights(model, folder / "weights.npz")
    table = costs.count(model)
    logits = model.predict(cifar10.pipeline(*test, 250), verbose=0)
    training.write_result(
        folder, recipe, logits, test[1],
        int(table.macs.sum()), int(table.params.sum()))
    print((folder / "result.json").read_text())


def quantize(name):
    """Make the int8 network of the recipe called name: weights/NAME.tflite.

    Its weights are those in weights/NAME.npz; the ranges of its maps are
    taken from 500 of the images that the recipe trains on.
    """
    recipe, path = training.RECIPES[name], WEIGHTS / f"{name}.tflite"
    model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
    training.load_weights(model, path.with_suffix(".npz"))
    train_images, _ = cifar10.load_cifar10()
    (images, _), _ = cifar10.validation_split(
        *train_images, recipe["validation"])
    path.write_bytes(quantization.converted(model, "int8", images[:500]))
    print(f"{path}: {path.stat().st_size:,} bytes")


def classify(files):
    """Name what image files show, by the int8 network, a line each.

    A file that is no image has its line too; after all, SystemExit.
    """
    content = (WEIGHTS / f"{CLASSIFIER}.tflite").read_bytes()
    refused = False
    for file in files:
        try:
            images = quantization.picture(file)[None]
        except ValueError as error:
            print(error, file=sys.stderr)
            refused = True
            continue
        logits = quantization.litert_logits(content, images)[0]
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        best = np.argsort(-shares)[:3]
        print(f"{file}: " + ", ".join(
            f"{cifar10.CLASSES[i]} {100 * shares[i]:.0f} %" for i in best))
    if refused:
        sys.exit(1)


def main():
    """Read the command line and run what it asks for."""
    parser = argparse.ArgumentParser(prog="python -m mobilenet")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train", help=train.__doc__)
    command.add_argument("name", choices=training.RECIPES)
    command.add_argument("--again", action="store_true")
    command = commands.add_parser("quantize", help=quantize.__doc__)
    command.add_argument("name", choices=training.RECIPES)
    command = commands.add_parser("classify", help=classify.__doc__)
    command.add_argument("files", nargs="+", metavar="IMAGE")
    arguments = vars(parser.parse_args())
    action = {"train": train, "quantize": quantize, "classify": classify}
    try:
        action[arguments.pop("command")](**arguments)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
