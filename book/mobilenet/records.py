"""The record of a training: a folder with its recipe, history and result."""

import csv
import json
import os
import pathlib
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf


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


def commit():
    """Return the Git commit of the code that runs here, or "unknown".

    One with changes that are not committed ends in "-dirty".
    """
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*",
             "--abbrev=40"],
            capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no Git, or no tree
        return "unknown"


def write_rows(path, rows):
    """Write rows to a CSV file so that a kill leaves old or new, whole."""
    with open(f"{path}.part", "w", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    os.replace(f"{path}.part", path)


def write_json(path, values):
    """Write values to path as JSON that a person can read."""
    pathlib.Path(path).write_text(json.dumps(values, indent=1) + "\n")


def with_model(recipe):
    """Return a written recipe that names its network, MobileNet v1 if none."""
    return {"model": "network.mobilenet_v1", **recipe}


class Run:
    """The folder in which one training keeps its record, and goes on.

    recipe.json holds the recipe, history.csv a row an epoch, start.csv the
    running mean loss of the first 20 steps, in nats, clock the seconds of all
    sittings, checkpoint.keras the network and its optimiser.
    """

    def __init__(self, folder):
        """Name the folder; nothing is written yet."""
        self.folder = pathlib.Path(folder)
        self.checkpoint = self.folder / "checkpoint.keras"

    def resumed(self, recipe):
        """Return the network of the checkpoint, or None where none is.

        Raises ValueError where the folder holds a run of another recipe.
        """
        if not self.checkpoint.exists():
            return None
        before = with_model(
            json.loads((self.folder / "recipe.json").read_text()))
        now = with_model(json.loads(json.dumps(recipe)))  # lists for tuples
        # A schedule is laid out over all epochs; without one, more may come.
        free = () if "warmup" in recipe else ("epochs",)
        if changed := [
                k for k in now if k not in free and now[k] != before.get(k)]:
            raise ValueError(
                f"{self.folder} holds a run of another recipe (its"
                f" {changed[0]} differs): name another folder, or remove"
                " this one")
        return keras.models.load_model(self.checkpoint)

    def check_room(self, model):
        """Raise OSError where the folder cannot hold a run of model."""
        spare = [self.folder / f"room{number}.keras" for number in (1, 2)]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in spare:
                model.save(path)
        except OSError as error:
            raise OSError(
                f"{self.folder} cannot hold the run ({error}). Nothing was"
                " trained: free some space, or name another folder."
                ) from error
        finally:
            for path in spare:
                if path.exists():
                    path.unlink()

    def begin(self, recipe):
        """Write the recipe and the versions it runs on."""
        write_json(self.folder / "recipe.json",
                   {**recipe, "versions": versions()})

    def seconds(self):
        """Return the seconds that earlier sittings took."""
        clock = self.folder / "clock"
        return float(clock.read_text()) if clock.exists() else 0.0

    def write_seconds(self, seconds):
        """Keep the seconds of all sittings so far."""
        (self.folder / "clock").write_text(f"{seconds:.1f}")

    def history(self, epochs=None):
        """Return the rows of history.csv, the first epochs of them."""
        path = self.folder / "history.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return list(csv.DictReader(file))[:epochs]

    def write_start(self, losses):
        """Keep the running mean losses, in nats, of the first 20 steps."""
        write_rows(self.folder / "start.csv", [
            {"step": step, "mean_loss": f"{loss:.5f}"}
            for step, loss in enumerate(losses[:20], start=1)])

    def keep(self, model, rows):
        """Write the history's rows, one an epoch, and the checkpoint."""
        write_rows(self.folder / "history.csv", rows)
        # Written last: a row without a checkpoint is dropped on resuming.
        part = self.folder / "part.keras"
        model.save(part)
        os.replace(part, self.checkpoint)


def save_weights(model, path):
    """Write model's weights to path (.npz) as float16, by variable name.

    One that float16 cannot hold (beyond 65,504) stays float32.
    """
    stored = {}
    for variable in model.weights:
        whole = keras.ops.convert_to_numpy(variable)
        with np.errstate(over="ignore"):
            half = whole.astype("float16")
        stored[variable.path] = half if np.isfinite(half).all() else whole
    np.savez_compressed(path, **stored)


def load_weights(model, path):
    """Set model's weights to those in path, written by save_weights.

    Raises ValueError where they are another network's.
    """
    with np.load(path) as halves:
        ours = {v.path: tuple(v.shape) for v in model.weights}
        theirs = {name: halves[name].shape for name in halves.files}
        if ours != theirs:
            odd = sorted(set(ours.items()) ^ set(theirs.items()))[0][0]
            raise ValueError(
                f"{path} holds another network's weights ({odd} differs)")
        for variable in model.weights:
            variable.assign(halves[variable.path].astype("float32"))


def write_answers(folder, logits, labels):
    """Return the share of right answers; write confusion.csv, mistakes.csv.

    logits (n, 10) are the trained network's for the test images, computed
    once, after the last epoch; labels (n,). confusion.csv counts images by
    true class (rows) and answer; mistakes.csv names the 24 wrong answers
    held surest.
    """
    folder, guesses = pathlib.Path(folder), logits.argmax(axis=1)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, guesses), 1)
    write_rows(folder / "confusion.csv", [
        {"label": label, **dict(enumerate(row))}
        for label, row in enumerate(counts.tolist())])
    sure = tf.nn.softmax(logits).numpy().max(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    write_rows(folder / "mistakes.csv", [
        {"image": int(i), "label": int(labels[i]), "answer": int(guesses[i]),
         "probability": f"{sure[i]:.3f}"}
        for i in wrong[np.argsort(-sure[wrong])][:24]])
    return float(np.mean(guesses == labels))


def write_result(folder, recipe, macs, params, **reached):
    """Record in result.json what the run reached, test_accuracy or another.

    macs and params are of one image's forward pass.
    """
    write_json(pathlib.Path(folder) / "result.json", {
        **{name: round(share, 4) for name, share in reached.items()},
        "epochs": recipe["epochs"], "wall_seconds": Run(folder).seconds(),
        "macs": macs, "params": params, "seed": recipe["seed"],
        "machine": machine(), "versions": versions(), "commit": commit()})


def history_faults(run, recipe, seconds):
    """Yield what is wrong with a record's history of so many seconds."""
    rows = run.history()
    if [int(row["epoch"]) for row in rows] != list(
            range(1, recipe["epochs"] + 1)):
        yield "an epoch is missing"
    if rows and ("val_loss" in rows[0]) != bool(recipe["validation"]):
        yield "a validation that the recipe does not ask for, or none"
    # Epochs that a kill cut short are in the one and not in the other.
    if seconds < sum(float(row["seconds"]) for row in rows) - 0.2:
        yield "fewer seconds than its epochs took"
    if not (run.folder / "start.csv").exists():
        yield "no start.csv"


def result_faults(folder, result, expected, reached):
    """Yield what is wrong with a result, which must hold what is expected."""
    parts = {reached, "wall_seconds", "machine", "versions", *expected}
    if set(result) - {"commit"} != parts:  # older records name no commit
        yield f"its parts are {', '.join(result)}"
    for name, value in expected.items():
        if result.get(name) != value:
            yield f"{name} is {result.get(name)}, not {value}"
    share = result.get(reached, 0)
    if not 0 < share < 1:
        yield f"{reached} is {share}"
    confusion = folder / "confusion.csv"
    if confusion.exists():
        counts = np.loadtxt(
            confusion, int, delimiter=",", skiprows=1)[:, 1:]
        if abs(np.trace(counts) / counts.sum() - share) > 5e-5:
            yield f"{reached} {share} is not that of confusion.csv"


def check_record(folder, recipe, macs, params, reached="test_accuracy"):
    """Raise ValueError unless folder holds a whole record of recipe.

    macs and params are those of the network that recipe names; reached is
    the accuracy that the record gives.
    """
    run = Run(folder)
    written = json.loads((run.folder / "recipe.json").read_text())
    written.pop("versions", None)
    faults = []
    if with_model(written) != with_model(json.loads(json.dumps(recipe))):
        faults.append("it is of another recipe")
    path = run.folder / "result.json"
    if not path.exists():
        faults.append("it has no result: is it still running?")
    else:
        result = json.loads(path.read_text())
        faults += result_faults(run.folder, result, {
            "epochs": recipe["epochs"], "seed": recipe["seed"],
            "macs": macs, "params": params}, reached)
        faults += history_faults(
            run, recipe, result.get("wall_seconds", 0))
    if faults:
        raise ValueError(f"{run.folder.name}: {'; '.join(faults)}")
