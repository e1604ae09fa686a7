"""Commands of the book's code, run from book/: python -m mobilenet ..."""

import argparse
import base64
import csv
import functools
import gzip
import hashlib
import importlib.util
import json
import pathlib
import statistics
import sys
import time

import numpy as np

try:
    import keras
except (ImportError, ValueError) as error:  # of a backend that is not there
    sys.exit(
        f"Keras cannot be imported ({error}): this code needs its backend"
        " 'tensorflow', set in keras.json or KERAS_BACKEND")

from mobilenet import (
    batches,
    cifar10,
    costs,
    distillation,
    experiments,
    experiments_2,
    live,
    memory,
    micro,
    network,
    own,
    photograph,
    quantization,
    recipes,
    records,
    training,
    transfer,
)

RUNS = pathlib.Path(__file__).parent.parent / "runs"
WEIGHTS = RUNS.parent / "weights"
CLASSIFIER = "best-all"  # the run whose int8 network classify asks
IMAGENET_ALPHA = 0.5  # of the network that own takes with --imagenet
# Networks whose memory is measured: side, classes and what they are made of.
MICRO = {
    "small": (32, 10, recipes.RECIPES["small"]["network"]),
    "best-all": (32, 10, recipes.RECIPES["best-all"]["network"]),
    "late, 0.125": (32, 10, {
        "alpha": 0.125, "stem_stride": 1, "body": experiments.LATE}),
    "stem 1, 0.25": (32, 10, {"alpha": 0.25, "stem_stride": 1}),
    "stem 1, 0.25, 24 pixels": (24, 10, {"alpha": 0.25, "stem_stride": 1}),
    "stem 1, 0.5": (32, 10, {"alpha": 0.5, "stem_stride": 1}),
    "0.25, 32 pixels": (32, 10, {"alpha": 0.25}),
    "0.25, 64 pixels": (64, 10, {"alpha": 0.25}),
    "0.25, 96 pixels": (96, 2, {"alpha": 0.25}),
    "0.5, 97 pixels": (97, 10, {"alpha": 0.5}),
    "0.75, 96 pixels": (96, 10, {"alpha": 0.75}),
    "full, 0.25, 32 pixels": (32, 10, {"alpha": 0.25, "separable": False}),
    "1, 224 pixels": (224, 1000, {}),
}
# A run's folder, from RUNS, and its recipe.
EXPERIMENTS = {
    f"{folder}/{arm}-seed-{seed}": round_of.recipe(arm, seed)
    for folder, round_of in (
        ("experiments", experiments), ("experiments-2", experiments_2))
    for arm in round_of.ARMS for seed in round_of.SEEDS}

# Runs that chapter 14 goes on from.
TRANSFERRED = {"eight": transfer.EIGHT}


def trainable():
    """Return {name: recipe} of all that train trains."""
    return {**recipes.RECIPES, **EXPERIMENTS, **TRANSFERRED}


def weights_of(name):
    """Return the path of the weights of the run called name.

    Those of the book, or else those that a training left in runs/. Raises
    FileNotFoundError where there are neither.
    """
    for path in (WEIGHTS / f"{name}.npz", RUNS / name / "weights.npz"):
        if path.exists():
            return path
    raise FileNotFoundError(
        f"there are no weights of {name} to start from: first run"
        f" python -m mobilenet train {name} --again")


def built(recipe):
    """Return the untrained network that recipe names, of ten classes."""
    module, name = recipe["model"].rsplit(".", 1)
    build = getattr(importlib.import_module(f"mobilenet.{module}"), name)
    side = recipe.get("sides", (32,))[-1]
    return build((side, side, 3), 10, **recipe["network"])


def kept(name):
    """Return the trained network of a recipe whose weights the book keeps."""
    model = built(recipes.RECIPES[name])
    records.load_weights(model, WEIGHTS / f"{name}.npz")
    return model


def cost(recipe):
    """Return (multiply-adds, parameters) of recipe's network, for an image."""
    return built_cost(json.dumps(
        {k: recipe[k] for k in ("model", "network", "sides") if k in recipe}))


@functools.cache
def built_cost(text):
    """Return cost of a recipe in JSON: many recipes share a network."""
    table = costs.count(built(json.loads(text)))
    return int(table.macs.sum()), int(table.params.sum())


def left_in(recipe, images, labels):
    """Return those images and labels that recipe does not leave out."""
    left_out = [cifar10.CLASSES.index(one) for one in recipe["without"]]
    keep = ~np.isin(labels, left_out)
    return images[keep], labels[keep]


def taught(recipe, epoch_data):
    """Return epoch_data with what the recipe's teacher says of each image."""
    teacher = kept(recipe["teacher"])
    temperature = recipe["loss"]["config"]["temperature"]
    return lambda epoch: distillation.taught_by(
        teacher, temperature, epoch_data(epoch))


def prepared(recipe):
    """Return what recipe trains: model, batches by epoch, validation, test.

    The model is seeded by the recipe, and untrained unless that names a run
    to start from; validation is None where the recipe sets no images aside;
    test is (images, labels).
    """
    keras.utils.set_random_seed(recipe["seed"])
    model = built(recipe)  # first, for what it refuses
    if "start" in recipe:
        records.load_weights(model, weights_of(recipe["start"]))
    (images, labels), test = cifar10.load_cifar10()
    (images, labels), aside = batches.validation_split(
        images, labels, recipe["validation"])
    if "without" in recipe:
        images, labels = left_in(recipe, images, labels)
        aside = left_in(recipe, *aside)
    epoch_data = batches.batches_of(recipe, images, labels)
    validation = batches.pipeline(
        *aside, 250, sides=recipe.get("sides", ())) if len(aside[0]) else None
    if "teacher" in recipe:
        epoch_data = taught(recipe, epoch_data)
        validation = distillation.in_rows(validation)
    return model, epoch_data, validation, test


def tested(model, folder, test):
    """Return the share of test images correct by the weights in folder."""
    # Tested as stored, in float16, and in Keras's own layers.
    records.load_weights(model, folder / "weights.npz")
    logits = model.predict(batches.pipeline(*test, 250), verbose=0)
    return records.write_answers(folder, logits, test[1])


def train(name, again=False):
    """Train the recipe called name on CIFAR-10 and record it in runs/."""
    recipe, folder = trainable()[name], RUNS / name
    run = records.Run(folder)
    if (folder / "result.json").exists() and not again:
        records.read_json(folder / "result.json")
        print(f"{folder} is recorded already; --again trains it anew")
        return
    if again:
        with run.held():  # not what another training writes
            for file in {*folder.glob("*")} - {folder / "lock"}:
                file.unlink()
    model, epoch_data, validation, test = prepared(recipe)
    trained, rows = training.train(
        recipe, model, epoch_data, run, validation)
    if name not in EXPERIMENTS:
        model.set_weights(trained.get_weights())
        records.save_weights(model, folder / "weights.npz")
    if name in {**EXPERIMENTS, **TRANSFERRED}:  # which see no test image
        reached = {"val_accuracy": float(rows[-1]["val_accuracy"])}
    else:
        reached = {"test_accuracy": tested(model, folder, test)}
    records.write_result(folder, recipe, *cost(recipe), **reached)
    print((folder / "result.json").read_text())


def results(names):
    """Return {name: result} of those runs that are recorded."""
    paths = {name: RUNS / name / "result.json" for name in names}
    return {name: records.read_json(path)
            for name, path in paths.items() if path.exists()}


def experiment():
    """Train, one after another, the experiments that are not recorded."""
    while True:
        reached = {
            tuple(name.removeprefix("experiments/").split("-seed-")): result
            for name, result in results(EXPERIMENTS).items()}
        left = experiments.left({
            (arm, int(seed)): result["val_accuracy"]
            for (arm, seed), result in reached.items()})
        if not left:
            break
        print(f"{len(left)} runs left: {left[0][0]}, seed {left[0][1]}")
        keras.backend.clear_session()
        train("experiments/{}-seed-{}".format(*left[0]))


def summary():
    """Write runs/summary.csv, a row for each recorded run but chapter 14's."""
    rows, second = [], "experiments-2/"  # which waits until it is whole
    for name, result in results(
            name for name in [*recipes.RECIPES, *EXPERIMENTS]
            if not name.startswith(second)).items():
        last = records.Run(RUNS / name).history()[-1]
        rows.append({
            "run": name.removeprefix("experiments/"), "seed": result["seed"],
            "macs": result["macs"], "params": result["params"],
            "epochs": result["epochs"],
            "minutes": f"{result['wall_seconds'] / 60:.1f}",
            "train_accuracy": f"{float(last['accuracy']):.4f}",
            "val_accuracy": last.get("val_accuracy", "")[:6],
            "test_accuracy": result.get("test_accuracy", "")})
    records.write_rows(RUNS / "summary.csv", rows)
    print(f"{len(rows)} runs in {RUNS / 'summary.csv'}")


def heat(recipe):
    """Return epochs, seconds of training and accuracy, at the race's goal.

    The seconds hold what training takes, the making of its graph too, and
    not the check of the images set aside after each epoch. A recipe that
    misses the goal ends with its last epoch, and its accuracy shows it.
    """
    model, epoch_data, validation, _ = prepared(recipe)
    model = training.compiled(model, recipe, len(epoch_data(0)))
    seconds = 0
    for epoch in range(recipe["epochs"]):
        start = time.perf_counter()
        model.fit(epoch_data(epoch), shuffle=False, verbose=0)
        seconds += time.perf_counter() - start
        share = model.evaluate(
            validation, verbose=0, return_dict=True)["accuracy"]
        if share >= experiments.RACE_GOAL:
            break
    return {"epochs": epoch + 1, "seconds": f"{seconds:.1f}",
            "val_accuracy": f"{share:.4f}"}


def race():
    """Race the note's optimiser and ours, in turn, and write runs/race.csv."""
    rows = []
    for seed in experiments.SEEDS:
        for name, recipe in experiments.RACE.items():
            keras.backend.clear_session()
            optimizer = recipe["optimizer"]
            rows.append({
                "recipe": name, "optimizer": optimizer["class_name"],
                "rate": optimizer["learning_rate"],
                "norm_momentum": recipe["norm_momentum"],
                "batch": recipe["batch"], "seed": seed,
                **heat({**recipe, "seed": seed}),
                "machine": records.machine(),
                "tensorflow": records.versions()["tensorflow"]})
            print(*rows[-1].values(), sep=", ", flush=True)
            records.write_rows(RUNS / "race.csv", rows)
    medians = {name: statistics.median(
        float(row["seconds"]) for row in rows if row["recipe"] == name)
        for name in experiments.RACE}
    print("medians: the note's {note:.0f} s, ours {ours:.0f} s".format(
        **medians), f"or 1 to {medians['note'] / medians['ours']:.1f}")
    if missed := sum(float(row["val_accuracy"]) < experiments.RACE_GOAL
                     for row in rows):
        print(f"{missed} of {len(rows)} ended before the goal of"
              f" {experiments.RACE_GOAL:.1%}")


def two_classes(images, labels):
    """Return images of the new classes, and labels 0 and 1 for them."""
    numbers = [cifar10.CLASSES.index(one) for one in transfer.NEW]
    keep = np.isin(labels, numbers)
    return images[keep], np.searchsorted(numbers, labels[keep])


class Transfer:
    """What the ways of chapter 14 start from, learn from and are judged by.

    pool and aside are (images, labels) of the two new classes, old those of
    the eight; pool may be learned from, the others are set aside.
    """

    def __init__(self):
        """Load the images, and the network of eight classes."""
        recipe, (data, _) = transfer.EIGHT, cifar10.load_cifar10()
        pool, aside = batches.validation_split(*data, recipe["validation"])
        self.pool, self.aside = two_classes(*pool), two_classes(*aside)
        self.old, path = left_in(recipe, *aside), weights_of("eight")
        self.plain = built(recipe)
        records.load_weights(self.plain, path)
        self.weights = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        self.features = transfer.outputs(
            transfer.feature_network(self.plain), self.pool[0])

    def judges(self, places, seed):
        """Return (images, labels) to judge by: not seed 0's, but other."""
        if seed:
            return self.aside
        rest = np.setdiff1d(np.arange(len(self.pool[1])), places)
        rest = rest[transfer.drawn(
            self.pool[1][rest], transfer.SEARCH_IMAGES, 0)]
        return self.pool[0][rest], self.pool[1][rest]

    def network(self, way, places, seed, rate):
        """Return a network with fused norms before it learns, and its heir.

        The heir has a new last layer: trained on stored features, except
        from scratch.
        """
        keras.utils.set_random_seed(seed)
        new = way in transfer.UNTRAINED
        base = built(transfer.EIGHT) if new else self.plain
        base = training.with_fused_norm(
            base, transfer.EIGHT["norm_momentum"])
        heir = transfer.with_new_head(base, len(transfer.NEW))
        if not new:
            heir.layers[-1].set_weights(transfer.trained_head(
                self.features[places], self.pool[1][places],
                len(transfer.NEW), transfer.STEPS["frozen"][
                    len(places) // len(transfer.NEW)], rate, seed))
        return base, heir

    def row(self, way, count, seed, rate, head_rate):
        """Return what one way reaches with count images per class."""
        start, places = time.perf_counter(), transfer.drawn(
            self.pool[1], count, seed)
        base, heir = self.network(way, places, seed, head_rate)
        if way != "frozen":
            epoch_data = batches.batches_of(
                {"batch": min(64, len(places)), "seed": seed,
                 "augment": True}, *(part[places] for part in self.pool))
            steps = transfer.STEPS[way][count]
            transfer.learn(
                heir, transfer.batches_for(steps, epoch_data), steps, rate,
                moving=way != "tuned")
        seconds = time.perf_counter() - start
        images, labels = self.judges(places, seed)
        share, old = transfer.share_correct(
            transfer.outputs(heir, images), labels), ""
        # The old last layer is put back where others have changed.
        if seed and way not in (*transfer.UNTRAINED, "frozen"):
            old = "{:.4f}".format(transfer.share_correct(
                transfer.outputs(base, self.old[0]), self.old[1]))
        return {
            "way": way, "count": count, "seed": seed, "rate": rate,
            "accuracy": f"{share:.4f}", "eight": old,
            "seconds": f"{seconds:.1f}", "weights": self.weights,
            "machine": records.machine(),
            "tensorflow": records.versions()["tensorflow"]}


def csv_rows(path):
    """Return the rows of a CSV file, none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def transfer_curve():
    """Teach two new classes in six ways: go on with runs/transfer.csv."""
    path, task = RUNS / "transfer.csv", Transfer()
    rows = csv_rows(path)
    if any(row["weights"] != task.weights for row in rows):
        raise ValueError(
            f"{path} is of other weights than runs/eight has: remove it")
    while todo := transfer.left(rows):
        way, count, seed, rate = todo[0]
        keras.backend.clear_session()
        head_rate = rate if way in (*transfer.UNTRAINED, "frozen") else (
            transfer.best_rate(rows, "frozen"))
        rows.append(task.row(way, count, seed, rate, head_rate))
        records.write_rows(path, rows)
        print(f"{len(todo) - 1} left:", *list(rows[-1].values())[:7],
              flush=True)


def quantize(name):
    """Make the int8 network of the recipe called name: weights/NAME.tflite.

    Its weights are those in weights/NAME.npz; the ranges of its maps are
    taken from 500 of the images that the recipe trains on.
    """
    path, model = WEIGHTS / f"{name}.tflite", kept(name)
    train_images, _ = cifar10.load_cifar10()
    (images, _), _ = batches.validation_split(
        *train_images, recipes.RECIPES[name]["validation"])
    content = quantization.converted(model, "int8", images[:500])
    records.write_whole(path, lambda file: file.write(content))
    print(f"{path}: {path.stat().st_size:,} bytes")


def noise(side, count=8):
    """Return count images of noise, from which an int8 file can be made."""
    return np.random.default_rng(0).integers(
        0, 256, (count, side, side, 3), np.uint8)


def micro_file(name):
    """Return the int8 file of a network of MICRO: trained where it is kept.

    Where weights/ has no NAME.tflite, it is made from the first weights,
    which take as much memory as trained ones.
    """
    path = WEIGHTS / f"{name}.tflite"
    if path.exists():
        return path.read_bytes()
    side, classes, settings = MICRO[name]
    keras.utils.set_random_seed(1)
    model = network.mobilenet_v1((side, side, 3), classes, **settings)
    return quantization.converted(model, "int8", noise(side))


def micro_row(name):
    """Return what the interpreter for small chips says of one network.

    A trained one has its correct answers of 10,000 too, by the kernels that
    the small chips' interpreter agrees with to one step of int8.
    """
    if not importlib.util.find_spec("tflite_micro"):
        raise ValueError(
            "no tflite-micro, which has the interpreter for small chips: on"
            " Linux with an x86-64 processor, pip install tflite-micro")
    content, (side, classes, settings) = micro_file(name), MICRO[name]
    images, correct = noise(side), ""
    if (WEIGHTS / f"{name}.tflite").exists():
        _, (images, labels) = cifar10.load_cifar10()
        answers = micro.litert_steps(content, images).argmax(axis=1)
        correct = int(np.sum(answers == labels))
    some = images[:50]
    ours = micro.micro_logits(content, some)
    head, tail = micro.arena_parts(content)
    return {
        "name": name, "side": side, "classes": classes,
        "network": json.dumps(settings), "flash": len(content),
        "head": head, "tail": tail, "smallest": micro.smallest_arena(content),
        **{key: np.abs(micro.litert_steps(content, some, fast) - ours).max()
           for key, fast in (("steps", False), ("steps_xnnpack", True))},
        "correct": correct, "tflite_micro": micro.version()}


def micro_rows():
    """Return {name: row} of runs/microcontroller.csv, empty without it."""
    return {row["name"]: row
            for row in csv_rows(RUNS / "microcontroller.csv")}


def microcontroller(names):
    """Measure the memory of networks: write runs/microcontroller.csv."""
    if unknown := set(names) - set(MICRO):
        raise ValueError(f"no network is called {', '.join(unknown)}")
    rows = micro_rows()
    for name in names or MICRO:
        keras.backend.clear_session()
        rows[name] = micro_row(name)
        print(*rows[name].values(), sep=", ", flush=True)
        records.write_rows(RUNS / "microcontroller.csv", [
            rows[one] for one in MICRO if one in rows])


def export(name):
    """Write NAME.h into this folder: an int8 network and its sizes, as C."""
    row, content = micro_rows()[name], micro_file(name)
    arena = int(row["head"]) + int(row["tail"])
    path = pathlib.Path(f"{name}.h")
    path.write_text(memory.c_array(
        content, name.replace("-", "_"), side=row["side"],
        classes=row["classes"], arena=arena), encoding="utf8")
    print(f"{path}: {len(content):,} bytes of flash, and of RAM an arena of"
          f" {arena:,} bytes")


def first_block():
    """Write weights/first-block.txt, the first layers of the best network."""
    layers = quantization.folded_layers(kept(CLASSIFIER))
    text = photograph.as_text({
        name: (np.squeeze(layer.kernel), layer.bias)
        for name, layer in zip(photograph.SHAPES, layers)})
    path = WEIGHTS / "first-block.txt"
    records.write_whole(path, lambda file: file.write(text.encode()))
    print(f"{path}: {path.stat().st_size:,} bytes")


def int8_layers(model):
    """Return a Keras model's layers as live.Layers, int8 per channel."""
    return [live.rounded(layer, quantization.kernel_scales(layer.kernel))
            for layer in quantization.folded_layers(model)]


def page(name):
    """Write the network that the page On your device loads.

    It is weights/NAME.live, made of the weights in weights/NAME.npz.
    """
    path, model = WEIGHTS / f"{name}.live", kept(name)
    reached = records.read_json(RUNS / name / "result.json")["test_accuracy"]
    content = live.packed(
        int8_layers(model), cifar10.CLASSES, model.input_shape[1], name,
        f"MobileNet v1, {100 * reached:.2f} % of the test images correct in"
        " float32")
    records.write_whole(path, lambda file: file.write(content))
    print(f"{path}: {path.stat().st_size:,} bytes")
    records.write_rows(RUNS / "live-networks.csv", network_rows())


def network_rows():
    """Return what the page says of its networks, a row each."""
    files = sorted(WEIGHTS.glob("*.live"), key=lambda one: one.stat().st_size)
    rows = []
    for path in files:
        content = path.read_bytes()
        # As the site carries it: base64, in a script.
        letters = base64.b64encode(gzip.compress(content, 9))
        result = records.read_json(RUNS / path.stem / "result.json")
        rows.append({
            "network": path.stem,
            "parameters": f"{result['params']:,}",
            "multiply-adds": f"{result['macs']:,}",
            "accuracy": f"{100 * result['test_accuracy']:.2f} %",
            "MB to load": f"{len(letters) / 1e6:.1f}"})
    return rows


def printable(text):
    """Return text with escapes for what no terminal should be sent."""
    return "".join(
        letter if letter.isprintable()
        else letter.encode("unicode_escape").decode() for letter in str(text))


def start_for_own(imagenet):
    """Return (network, name) that learns a reader's classes."""
    if imagenet:
        model = network.mobilenet_v1(
            (160, 160, 3), 1, IMAGENET_ALPHA, activation="relu6")
        transfer.set_imagenet_weights(model, IMAGENET_ALPHA)
        return model, "Keras's MobileNet"
    return kept(CLASSIFIER), f"the book's {CLASSIFIER}"


def say_answers(pictures, places, guesses):
    """Print how many answers are correct, and which are not."""
    labels, names = pictures.labels[places], pictures.classes
    likely = np.bincount(labels).max()
    print(f"{np.sum(guesses == labels)} of {len(labels)} pictures set aside"
          f" are correct; always the same answer would be {likely}")
    print("true class (row) and answer (column):", ", ".join(names))
    for name, row in zip(names, own.confusion(labels, guesses, len(names))):
        print(*(f"{count:5}" for count in row), f" {name}")
    for place, guess in zip(places, guesses):
        if guess != pictures.labels[place]:
            print(f"{printable(pictures.files[place])}: {names[guess]}")


def write_own(name, start, heir, pictures, learned, aside):
    """Write a taught network as NAME.tflite and NAME.live."""
    content = quantization.converted(heir, "int8", own.with_extremes(
        pictures.images[learned][::-(-len(learned) // 500)]))
    right = np.sum(pictures.labels[aside] == quantization.litert_logits(
        content, pictures.images[aside]).argmax(axis=1))
    print(f"as int8 {right} of {len(aside)} are correct")
    about = (f"{start}, taught {len(pictures.classes)} classes by"
             f" {len(learned)} pictures; {right} of {len(aside)} others"
             " correct as int8")
    for kind, data in (
            ("tflite", content),
            ("live", live.packed(
                int8_layers(heir), pictures.classes, heir.input_shape[1],
                pathlib.Path(name).name, about))):
        path = pathlib.Path(f"{name}.{kind}")
        path.write_bytes(data)
        print(f"{printable(path)}: {len(data):,} bytes")


def own_classes(folder, name="own", imagenet=False, near=10):
    """Teach the classes of your own pictures, a folder for each.

    Writes NAME.live, for the page On your device and classify, and
    NAME.tflite, an int8 network. near is own.near_copies's.
    """
    begun = time.perf_counter()
    if not pathlib.Path(name).absolute().parent.is_dir():
        raise ValueError(f"there is no folder to write {name}.live to")
    pictures = own.own_images(folder, functools.partial(
        quantization.picture, side=160 if imagenet else 32))
    for line in pictures.refused:
        print("left out:", printable(line), file=sys.stderr)
    copies = own.near_copies(pictures.images, near)
    learned, aside = own.split(pictures.labels, pictures.classes, copies)
    print(f"{len(set(copies))} of {len(copies)} pictures differ")
    model, start = start_for_own(imagenet)
    heir = transfer.with_taught_head(
        model, pictures.images[learned], pictures.labels[learned],
        len(pictures.classes))
    say_answers(pictures, aside, transfer.outputs(
        heir, pictures.images[aside]).argmax(axis=1))
    write_own(name, start, heir, pictures, learned, aside)
    print(f"{time.perf_counter() - begun:.0f} s in all")


def folded(layers):
    """Return live.Layers as Folded layers, which NumPy runs in float32."""
    return [quantization.Folded(
        one.name, live.float_kernel(one), one.bias, one.stride, one.low,
        one.high) for one in layers]


def asked(path=None):
    """Return (side, classes, logits_of) of the network that is asked.

    It is that of a .live file, computed in NumPy, or without a path the int8
    network of the book. Raises ValueError naming a file that is none.
    """
    if path is None:
        content = (WEIGHTS / f"{CLASSIFIER}.tflite").read_bytes()
        return 32, cifar10.CLASSES, functools.partial(
            quantization.litert_logits, content)
    try:
        header, layers = live.unpacked(pathlib.Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no network's file: {error}") from error
    ready = folded(layers)
    return header["side"], header["classes"], lambda images: (
        quantization.run(ready, quantization.scaled(images)))


def classify(files, network=None):
    """Name what image files show, by the int8 network, a line each.

    A file that is no image has its line too; after all, SystemExit.
    """
    side, classes, logits_of = asked(network)
    refused = False
    for file in files:
        try:
            images = quantization.picture(file, side)[None]
        except ValueError as error:
            print(printable(error), file=sys.stderr)
            refused = True
            continue
        logits = logits_of(images)[0]
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        best = np.argsort(-shares)[:3]
        print(f"{printable(file)}: " + ", ".join(
            f"{printable(classes[i])} {100 * shares[i]:.0f} %"
            for i in best))
    if refused:
        sys.exit(1)


def main():
    """Read the command line and run what it asks for."""
    # A name that the terminal's encoding lacks is printed with escapes.
    sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(prog="python -m mobilenet")
    commands = parser.add_subparsers(required=True)

    def command(function, name=None):
        added = commands.add_parser(
            name or function.__name__, help=function.__doc__)
        added.set_defaults(function=function)
        return added

    one = command(train)
    one.add_argument("name", metavar="NAME", choices=trainable(),
                     help="of a recipe, or of an experiment")
    one.add_argument("--again", action="store_true")
    command(experiment)
    command(summary)
    command(race)
    command(transfer_curve, "transfer")
    one = command(quantize)
    one.add_argument("name", choices=recipes.RECIPES, metavar="NAME")
    one = command(microcontroller)
    one.add_argument("names", nargs="*", metavar="NAME",
                     help="of MICRO; without one, all")
    one = command(export)
    one.add_argument("name", choices=("small", CLASSIFIER), metavar="NAME",
                     help="small, or " + CLASSIFIER)
    command(first_block)
    one = command(page)
    one.add_argument("name", choices=recipes.RECIPES, metavar="NAME")
    one = command(classify)
    one.add_argument("files", nargs="+", metavar="IMAGE")
    one.add_argument("--network", metavar="FILE",
                     help="a .live file that own wrote")
    one = command(own_classes, "own")
    one.add_argument("folder", metavar="FOLDER",
                     help="with a folder of pictures for each class")
    one.add_argument("--name", default="own", help="of the files written")
    one.add_argument("--near", type=float, default=10, metavar="LEVELS",
                     help="by which near-copies differ at most, of 255")
    one.add_argument("--imagenet", action="store_true",
                     help="go on from Keras's MobileNet at 160 pixels, which"
                     " is fetched; else from the book's best network")
    arguments = vars(parser.parse_args())
    try:
        arguments.pop("function")(**arguments)
    except (ArithmeticError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {printable(error)}")


if __name__ == "__main__":
    main()
