"""Training by recipe: data in, a network and a record of how it got there."""

import csv
import json
import os
import pathlib
import platform
import time

import keras
import numpy as np
import tensorflow as tf

# Each recipe holds what may differ from run to run. network: arguments of
# mobilenet_v1 beside the shape and the ten classes. validation: how many
# training images are set aside and never trained on.
RECIPES = {
    "note-nadam": {
        "about": "The note's network and optimiser, all 50,000 images.",
        "network": {"stride_on": "pointwise", "use_bias": True},
        "optimizer": {"class_name": "Nadam", "learning_rate": 0.01},
        "batch": 128, "epochs": 12, "validation": 0, "seed": 1,
    },
    "note-nadam-validation": {
        "about": "The same, 5,000 of the training images set aside.",
        "network": {"stride_on": "pointwise", "use_bias": True},
        "optimizer": {"class_name": "Nadam", "learning_rate": 0.01},
        "batch": 128, "epochs": 12, "validation": 5000, "seed": 1,
    },
}


def compiled(model, recipe):
    """Return model, compiled with the recipe's optimizer for its logits."""
    settings = dict(recipe["optimizer"])
    optimizer = keras.optimizers.get(
        {"class_name": settings.pop("class_name"), "config": settings})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def versions():
    """Return {name: version} of what a run's result depends on."""
    return {
        "python": platform.python_version(), "tensorflow": tf.__version__,
        "keras": keras.__version__, "numpy": np.__version__}


def machine():
    """Return one line that names the processor, its cores and its GPUs."""
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [row.split(":")[1] for row in lines if "model name" in row]
        name = names[0].strip() if names else name
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"{name}, {os.cpu_count()} cores, {gpus} GPUs"


def read_history(folder, epochs=None):
    """Return the rows of folder/history.csv, the first epochs of them."""
    path = pathlib.Path(folder) / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))[:epochs]


def write_history(folder, rows):
    """Write rows, one an epoch, so that a kill leaves old or new, whole."""
    path = pathlib.Path(folder) / "history.csv"
    with open(f"{path}.part", "w", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    os.replace(f"{path}.part", path)


def write_json(path, values):
    """Write values to path as JSON that a person can read."""
    pathlib.Path(path).write_text(json.dumps(values, indent=1) + "\n")


def train(recipe, model, epoch_data, folder, validation=None):
    """Train model by recipe and return it with its history, a row an epoch.

    epoch_data(epoch) gives the shuffled batches of epoch 0, 1, ...; after
    each epoch folder gets a row in history.csv (epoch, loss, accuracy,
    val_loss and val_accuracy on the batches of validation, seconds) and a
    checkpoint, from which a later call goes on. Losses are in nats.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.keras"
    if checkpoint.exists():
        before = json.loads((folder / "recipe.json").read_text())
        now = json.loads(json.dumps(recipe))  # with lists for tuples
        if changed := [
                k for k in now if k != "epochs" and now[k] != before.get(k)]:
            raise ValueError(
                f"{folder} holds a run of another recipe (its {changed[0]}"
                " differs): name another folder, or remove this one")
    write_json(folder / "recipe.json", {**recipe, "versions": versions()})
    if checkpoint.exists():
        model = keras.models.load_model(checkpoint)
    else:
        model = compiled(model, recipe)
    done = int(model.optimizer.iterations) // len(epoch_data(0))
    rows = read_history(folder, done)
    for epoch in range(done, recipe["epochs"]):
        start = time.perf_counter()
        fit = model.fit(
            epoch_data(epoch), validation_data=validation, shuffle=False,
            verbose=0)
        rows.append({
            "epoch": epoch + 1,
            **{name: f"{value[0]:.5f}" for name, value in fit.history.items()},
            "seconds": f"{time.perf_counter() - start:.1f}"})
        write_history(folder, rows)
        # Written last: a row without a checkpoint is dropped on resuming.
        model.save(folder / "part.keras")
        os.replace(folder / "part.keras", checkpoint)
        print(", ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
    return model, rows


def write_result(folder, recipe, rows, test_accuracy, macs, params):
    """Write folder/result.json: what the run reached, at what cost, where.

    test_accuracy is a share of 1, measured once, after the last epoch; macs
    and params are of one image's forward pass.
    """
    write_json(pathlib.Path(folder) / "result.json", {
        "test_accuracy": test_accuracy, "epochs": len(rows),
        "wall_seconds": round(sum(float(row["seconds"]) for row in rows), 1),
        "macs": macs, "params": params, "seed": recipe["seed"],
        "machine": machine(), "versions": versions()})
