"""The record of a training: a folder with its recipe, history and result."""

import contextlib
import csv
import io
import itertools
import json
import math
import os
import pathlib
import platform
import sqlite3
import subprocess
import zipfile
import zlib

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


def write_whole(path, write):
    """Let write(file) fill path; a power failure leaves old or new, whole."""
    part = pathlib.Path(f"{path}.part")
    with part.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())  # on the disk before it takes the name
    os.replace(part, path)


def write_text(path, text):
    """Write text to path, whole or not at all."""
    write_whole(path, lambda file: file.write(text.encode("utf8")))


def write_rows(path, rows, names=()):
    """Write rows, dicts, to a CSV file, under names where there are none."""
    text = io.StringIO()
    table = csv.DictWriter(
        text, rows[0] if rows else names, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def write_json(path, values):
    """Write values to path as JSON that a person can read."""
    write_text(path, json.dumps(values, indent=1) + "\n")


def read_json(path):
    """Return what write_json wrote, or raise ValueError naming the file."""
    try:
        values = json.loads(path.read_bytes())
        if not isinstance(values, dict):
            raise ValueError(f"it holds {values!r}")
        return values
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read ({error}): put a copy there, or remove"
            " it and train again, which goes on from checkpoint.keras"
            ) from error


def is_whole(row):
    """Return whether a row of history.csv has a number in each column."""
    try:
        return "epoch" in row and bool([*map(float, row.values())])
    except (TypeError, ValueError):
        return False


def with_model(recipe):
    """Return a written recipe that names its network, MobileNet v1 if none."""
    return {"model": "network.mobilenet_v1", **recipe}


class Run:
    """The folder in which one training keeps its record, and goes on.

    recipe.json holds the recipe, history.csv a row an epoch, start.csv the
    running mean loss of the first 20 steps, in nats, clock the seconds of all
    sittings, checkpoint.keras the network and its optimiser. lock is there
    while a training runs.
    """

    def __init__(self, folder):
        """Name the folder; nothing is written yet."""
        self.folder = pathlib.Path(folder)
        self.checkpoint = self.folder / "checkpoint.keras"

    @contextlib.contextmanager
    def held(self):
        """Make the folder, and keep other trainings out of it for the block.

        Raises RuntimeError where one runs there, OSError where there can be
        no folder.
        """
        with self.room():
            self.folder.mkdir(parents=True, exist_ok=True)
        # SQLite's lock works on every system, and ends with its process.
        path = self.folder / "lock"
        lock = None
        try:
            lock = sqlite3.connect(path, timeout=0, isolation_level=None)
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY:
                lock.close()
                raise RuntimeError(
                    f"another training runs in {self.folder}: wait for its"
                    " end, or name another folder") from error
            # A disk without locks or room, which check_room speaks of.
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows removes no open file
                path.unlink()
            if lock:
                lock.close()

    def resumed(self, recipe):
        """Return the network of the checkpoint, or None where none is.

        Raises ValueError where the folder holds a run of another recipe, or
        a file that cannot be read.
        """
        if not self.checkpoint.exists():
            return None
        self.check_recipe(recipe)
        try:
            return keras.models.load_model(self.checkpoint)
        # What a broken file raises depends on where it is broken.
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{self.checkpoint} cannot be read ({reason[:200]}): put a"
                " copy there, or remove it, and train anew") from error

    def check_recipe(self, recipe):
        """Raise ValueError where recipe.json holds another, or none."""
        path = self.folder / "recipe.json"
        if not path.exists():  # removed because it could not be read
            return self.begin(recipe)
        before = with_model(read_json(path))
        now = with_model(json.loads(json.dumps(recipe)))  # lists for tuples
        # A schedule is laid out over all epochs; without one, more may come.
        free = () if "warmup" in recipe else ("epochs",)
        if changed := [
                k for k in now if k not in free and now[k] != before.get(k)]:
            raise ValueError(
                f"{self.folder} holds a run of another recipe (its"
                f" {changed[0]} differs): name another folder, or remove"
                " this one")

    @contextlib.contextmanager
    def room(self):
        """Raise OSError saying what to do where the block cannot write."""
        try:
            yield
        except OSError as error:
            raise OSError(
                f"{self.folder} cannot hold the run ({error}). Nothing was"
                " trained: free some space, or name another folder."
                ) from error

    def check_room(self, model):
        """Raise OSError where the folder cannot hold a run of model."""
        spare = [self.folder / f"room{number}.keras" for number in (1, 2)]
        try:
            with self.room():
                for path in spare:
                    model.save(path)
        finally:
            for path in spare:
                path.unlink(missing_ok=True)

    def begin(self, recipe):
        """Write the recipe and the versions it runs on."""
        write_json(self.folder / "recipe.json",
                   {**recipe, "versions": versions()})

    def seconds(self):
        """Return the seconds that earlier sittings took.

        Where clock cannot be read they are those of the history's epochs.
        """
        clock = self.folder / "clock"
        try:
            seconds = float(clock.read_bytes()) if clock.exists() else 0.0
        except ValueError:
            seconds = math.nan
        if math.isfinite(seconds):
            return seconds
        seconds = sum(float(row.get("seconds", 0)) for row in self.history())
        print(f"{clock} cannot be read: the epochs took {seconds:.1f} s")
        return seconds

    def write_seconds(self, seconds):
        """Keep the seconds of all sittings so far."""
        write_text(self.folder / "clock", f"{seconds:.1f}")

    def history(self, epochs=None):
        """Return the whole rows of history.csv, the first epochs of them."""
        path = self.folder / "history.csv"
        if not path.exists():
            return []
        text = path.read_text(encoding="utf8", errors="replace")
        lines = text.splitlines(keepends=True)
        whole = [*itertools.takewhile(is_whole, csv.DictReader(
            line for line in lines if line.endswith("\n")))]
        if len(whole) + 1 != len(lines) or not text.endswith("\n"):
            print(f"{path} can be read up to epoch {len(whole)} alone")
        return whole[:epochs]

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
        with part.open("rb+") as file:
            os.fsync(file.fileno())
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
    write_whole(path, lambda file: np.savez_compressed(file, **stored))


def load_weights(model, path):
    """Set model's weights to those in path, written by save_weights.

    Raises ValueError where they are another network's, or cannot be read.
    """
    try:
        with np.load(path) as file:
            halves = dict(file)
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): put a copy there") from error
    ours = {v.path: tuple(v.shape) for v in model.weights}
    theirs = {name: half.shape for name, half in halves.items()}
    if ours != theirs:
        odd = sorted(set(ours.items()) ^ set(theirs.items()))[0][0]
        raise ValueError(
            f"{path} holds another network's weights ({odd} differs)")
    for variable in model.weights:
        variable.assign(halves[variable.path].astype("float32"))


def write_answers(folder, logits, labels):
    """Return the share of right answers; write confusion.csv, mistakes.csv.

    logits (n, 10) are the trained network's for the test images, computed
    once, after the last epoch; labels (n,) or (n, 1). confusion.csv counts
    images by true class (rows) and answer; mistakes.csv names the 24 wrong
    answers held surest. Raises ValueError for logits that are no numbers.
    """
    labels = np.reshape(labels, -1)
    if len(labels) != len(logits) or not np.isfinite(logits).all():
        raise ValueError(
            f"{len(logits)} rows of numbers, one a label, make answers, not"
            f" {len(labels)} labels, or logits that are nan")
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
        for i in wrong[np.argsort(-sure[wrong])][:24]],
        ("image", "label", "answer", "probability"))
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
    written = read_json(run.folder / "recipe.json")
    written.pop("versions", None)
    faults = []
    if with_model(written) != with_model(json.loads(json.dumps(recipe))):
        faults.append("it is of another recipe")
    path = run.folder / "result.json"
    if not path.exists():
        faults.append("it has no result: is it still running?")
    else:
        result = read_json(path)
        faults += result_faults(run.folder, result, {
            "epochs": recipe["epochs"], "seed": recipe["seed"],
            "macs": macs, "params": params}, reached)
        faults += history_faults(
            run, recipe, result.get("wall_seconds", 0))
    if faults:
        raise ValueError(f"{run.folder.name}: {'; '.join(faults)}")
