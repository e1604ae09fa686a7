"""The costs that the MobileNet paper prints, and whether a count gives them.

The tables of arXiv:1704.04861 and two later ones stand in book/paper/.
"""

import csv
import functools
import io
import math
from collections import Counter
from fractions import Fraction
from typing import NamedTuple

import keras
from keras import layers

UNITS = {"": 1, "%": Fraction(1, 100), "M": 10**6, "B": 10**9}


def fit(printed, value, unit="M", place=""):
    """Return how a printed text agrees with an exact value, or "".

    "rounded" or "truncated" where only rounding (halves up) or only cutting
    off gives the printed digits, "exact" where both do. place is the worth of
    the last digit that counts, in units; without it, of the last one printed.
    """
    digits = printed.rstrip("%")
    decimals = len(digits.partition(".")[2])
    step = Fraction(place) if place else Fraction(1, 10**decimals)
    steps = Fraction(value) / UNITS[unit] / step
    rounded = math.floor(steps + Fraction(1, 2)) * step == Fraction(digits)
    truncated = math.floor(steps) * step == Fraction(digits)
    if rounded and truncated:
        return "exact"
    return "rounded" if rounded else "truncated" if truncated else ""


class Cell(NamedTuple):
    """One printed cell; every field is text, and "" where it has none.

    network, part, alpha, side and classes say what the cell describes:
    without a network nothing can be counted, and without classes the head is
    not described. correct, verdict and convention are what we found.
    """

    table: str
    row: str
    column: str
    printed: str
    unit: str
    place: str
    network: str
    part: str
    alpha: str
    side: str
    classes: str
    correct: str
    verdict: str
    convention: str


def read_cells(table, text):
    """Return the cells of one table from the text of its CSV file."""
    return [Cell(table, **row) for row in csv.DictReader(io.StringIO(text))]


def source(cell):
    """Return whose cell it is: "paper", "tf_slim" or "keras"."""
    return "paper" if cell.table[-1].isdigit() else cell.table.split("-")[0]


def closed_form(body, alpha=1.0, side=224, classes=1000, separable=True):
    """Return (multiply-adds, weights) of a MobileNet, with no model built.

    body rows are (filters, stride). Every layer has positions times weights
    multiply-adds, and the classifier one position.
    """
    side, channels = math.ceil(side / 2), int(32 * alpha)
    weights = 9 * 3 * channels
    macs = side**2 * weights
    for filters, stride in body:
        side, filters = math.ceil(side / stride), int(filters * alpha)
        block = channels * (9 + filters if separable else 9 * filters)
        weights += block
        macs += side**2 * block
        channels = filters
    return macs + channels * classes, weights + channels * classes


class Counted(NamedTuple):
    """What one model costs: {part: number}, and numbers beside kernels."""

    macs: dict
    weights: dict
    norm: int
    bias: int


def tally(model, table):
    """Return the Counted of a model from its table of costs.

    Parts: the first convolution, the "classifier" (all dense layers), and the
    table's kinds for the rest. norm counts four numbers a channel.
    """
    kernels = {
        layer.name: sum(
            math.prod(w.shape) for w in layer.weights if "kernel" in w.name)
        for layer in model.layers}
    macs, weights = Counter(), Counter()
    for row in table[table.macs > 0].itertuples():
        part = "classifier" if row.kind == "dense" else row.kind
        if not macs:
            part = "first"
        macs[part] += int(row.macs)
        weights[part] += kernels[row.layer]
    norm = int(table.params[table.kind == "batch norm"].sum())
    bias = int(table.params.sum()) - norm - sum(weights.values())
    return Counted(dict(macs), dict(weights), norm, bias)


def conv(x, filters, kernel, stride=1, padding="same", groups=1):
    """Return a convolution with ReLU, as the older networks have it."""
    return layers.Conv2D(
        filters, kernel, stride, padding, groups=groups,
        activation="relu")(x)


def alexnet():
    """Return AlexNet: Krizhevsky et al. 2012, two groups, 227 pixels."""
    images = keras.Input((227, 227, 3))
    x = layers.MaxPooling2D(3, 2)(conv(images, 96, 11, 4, "valid"))
    x = layers.MaxPooling2D(3, 2)(conv(x, 256, 5, groups=2))
    x = conv(conv(x, 384, 3), 384, 3, groups=2)
    x = layers.MaxPooling2D(3, 2)(conv(x, 256, 3, groups=2))
    x = layers.Flatten()(x)
    for units in (4096, 4096, 1000):
        x = layers.Dense(units)(x)
    return keras.Model(images, x)


def squeezenet():
    """Return SqueezeNet 1.0: arXiv:1602.07360, table 1.

    The first map there is 111 x 111: 227 pixels, not the 224 it prints.
    """
    images = keras.Input((227, 227, 3))
    x = layers.MaxPooling2D(3, 2)(conv(images, 96, 7, 2, "valid"))
    for squeeze, expand, pool in (
            (16, 64, False), (16, 64, False), (32, 128, True),
            (32, 128, False), (48, 192, False), (48, 192, False),
            (64, 256, True), (64, 256, False)):
        x = conv(x, squeeze, 1)
        x = layers.Concatenate()([conv(x, expand, 1), conv(x, expand, 3)])
        if pool:
            x = layers.MaxPooling2D(3, 2)(x)
    x = layers.GlobalAveragePooling2D()(conv(x, 1000, 1))
    return keras.Model(images, x)


def googlenet():
    """Return GoogLeNet without side heads: arXiv:1409.4842, table 1."""
    images = keras.Input((224, 224, 3))
    x = layers.MaxPooling2D(3, 2, "same")(conv(images, 64, 7, 2))
    x = conv(conv(x, 64, 1), 192, 3)
    for one, narrow3, three, narrow5, five, pooled in (
            (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64),
            (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64),
            (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64),
            (256, 160, 320, 32, 128, 128), (256, 160, 320, 32, 128, 128),
            (384, 192, 384, 48, 128, 128)):
        # Three inceptions come right after a pooling: 3a, 4a and 5a.
        if x.shape[-1] in (192, 480) or (x.shape[-1], x.shape[1]) == (832, 14):
            x = layers.MaxPooling2D(3, 2, "same")(x)
        x = layers.Concatenate()([
            conv(x, one, 1), conv(conv(x, narrow3, 1), three, 3),
            conv(conv(x, narrow5, 1), five, 5),
            conv(layers.MaxPooling2D(3, 1, "same")(x), pooled, 1)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(1000)(x))


def one_layer(alpha, side, separable):
    """Return the layer of the paper's table 3 as a model of its own."""
    channels = int(512 * alpha)
    images = x = keras.Input((side, side, channels))
    if separable:
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.Conv2D(
        channels, 1 if separable else 3, padding="same", use_bias=False)(x)
    return keras.Model(images, x)


def counter(mobilenet_v1, body, count):
    """Return a function (network, alpha, side, classes) -> Counted, cached.

    It builds the Keras model and counts it with count(model). The network
    "at least 16 channels" is MobileNet with 16 for 8 in its first layer.
    """
    def mobilenet(alpha, side, classes, **changes):
        return mobilenet_v1((side, side, 3), classes, alpha, **changes)

    half = tuple((filters // 2, stride) for filters, stride in body)
    build = {
        "MobileNet": mobilenet,
        "Conv MobileNet": functools.partial(mobilenet, separable=False),
        "Shallow MobileNet": functools.partial(
            mobilenet, body=body[:6] + body[11:]),
        "at least 16 channels": lambda alpha, side, classes: mobilenet(
            2 * alpha, side, classes, body=half),
        "standard layer": lambda a, side, _: one_layer(a, side, False),
        "separable layer": lambda a, side, _: one_layer(a, side, True),
        "VGG-16": lambda *_: keras.applications.VGG16(weights=None),
        "AlexNet": lambda *_: alexnet(),
        "SqueezeNet": lambda *_: squeezenet(),
        "GoogLeNet": lambda *_: googlenet(),
    }

    @functools.cache
    def counted(network, alpha=1.0, side=224, classes=1000):
        model = build[network](alpha, side, classes)
        return tally(model, count(model))

    return counted


def ways(cell, counted):
    """Return {convention: value} of one network, the book's own, "", first.

    The book's own: multiply-adds of all layers, and kernels' weights alone;
    a head that the paper does not describe is left out.
    """
    parts = counted.macs if cell.column == "mult_adds" else counted.weights
    head = parts.get("classifier", 0)
    bodied = sum(parts.values()) - head
    own = bodied + (head if cell.classes else 0)
    if cell.part:
        part = parts[cell.part]
        return {"": Fraction(part, own),
                "without the classifier": Fraction(part, bodied)}
    values = {"": own, "without the classifier": bodied}
    if cell.column == "mult_adds":
        values["without the first convolution"] = own - parts["first"]
        values["FLOPs"] = 2 * own
        return values
    own += counted.bias if cell.classes else 0
    for name, numbers in (
            ("what is trained", 2), ("3 batch-norm numbers a channel", 3),
            ("all that is stored", 4)):
        values[name] = own + counted.norm * numbers // 4
    return values


def values_of(cell, counted):
    """Return {convention: value} of a cost cell, {} without a network."""
    if not cell.network:
        return {}
    alpha, side = float(cell.alpha or 1), int(cell.side or 224)
    classes = int(cell.classes or 1000)
    values = ways(cell, counted(cell.network, alpha, side, classes))
    if classes != 1000:
        values["1000 classes"] = ways(
            cell, counted(cell.network, alpha, side, 1000))[""]
    if cell.network == "MobileNet" and alpha * 32 < 16:
        values["at least 16 channels"] = ways(
            cell, counted("at least 16 channels", alpha, side, classes))[""]
    return values


def readings(cell, values):
    """Return {convention: fit} of all conventions that give the cell."""
    fits = {
        name: fit(cell.printed, value, cell.unit, cell.place)
        for name, value in values.items()}
    return {name: how for name, how in fits.items() if how}


def most_shared(fitting):
    """Return {cell: convention}: each time the one that explains most cells.

    fitting is {cell: conventions that give it}. A convention is believed for
    what it explains, not for one cell, and for each source anew.
    """
    found = {}
    while True:
        votes = Counter(
            (source(cell), name) for cell, names in fitting.items()
            for name in names if cell not in found)
        if not votes:
            return found
        (whose, best), _ = votes.most_common(1)[0]
        found |= {
            cell: best for cell, names in fitting.items()
            if cell not in found and source(cell) == whose and best in names}


def corrected(cell, counted):
    """Return whether cell.correct, "text" or "text@side", fits its network."""
    text, _, side = cell.correct.partition("@")
    if not text:
        return False
    meant = cell._replace(printed=text, side=side or cell.side)
    return readings(meant, values_of(meant, counted)).get("") in (
        "exact", "rounded")


class Finding(NamedTuple):
    """What the audit makes of one cell; value is by the book's convention."""

    cell: Cell
    value: object
    verdict: str
    convention: str


def judged(cell, own, fits, convention, counted):
    """Return the verdict on a cell from what fits it; own is its count."""
    if cell.column not in ("mult_adds", "params"):
        return "quoted"
    if own is None:
        return "not recomputable"
    if convention:
        return "another convention"
    if "" in fits:
        return fits[""]
    if corrected(cell, counted):
        return "misprint"
    # A head that is not described can add what is missing, not take away.
    if not cell.classes and Fraction(cell.printed) * UNITS[cell.unit] > own:
        return "not recomputable"
    return "unexplained"


def audit(cells, counted):
    """Return a Finding for each cell, decided by the count alone.

    Belief goes in this order: our own convention, rounded; another, rounded;
    our own, truncated; another, truncated. judged takes what is left.
    """
    values = {cell: values_of(cell, counted) for cell in cells}
    fits = {cell: readings(cell, values[cell]) for cell in cells}
    rounding = ("exact", "rounded")
    others = most_shared({
        cell: [name for name, how in found.items() if how in rounding]
        for cell, found in fits.items() if found.get("") not in rounding})
    others |= most_shared({
        cell: list(found) for cell, found in fits.items()
        if "" not in found and cell not in others})
    return [
        Finding(
            cell, own := values[cell].get(""),
            judged(cell, own, fits[cell], others.get(cell, ""), counted),
            others.get(cell, ""))
        for cell in cells]


def shape_row(layer):
    """Return (type / stride, filter shape, input size) as table 1 prints."""
    size = "x".join(map(str, layer.input.shape[1:]))
    if isinstance(layer, layers.GlobalAveragePooling2D):
        pool = "x".join(map(str, layer.input.shape[1:3]))
        return "Avg Pool / s1", f"Pool {pool}", size
    kernel = "x".join(map(str, layer.kernel.shape))
    if isinstance(layer, layers.Dense):
        return "FC / s1", kernel, f"1x1x{size}"
    if isinstance(layer, layers.DepthwiseConv2D):
        return f"Conv dw / s{layer.strides[0]}", f"{kernel[:-2]} dw", size
    return f"Conv / s{layer.strides[0]}", kernel, size


def shape_rows(model):
    """Return the rows of the paper's table 1 that a MobileNet model has.

    Two layers that come n times over stand once, with "nx" before each.
    """
    rows = [
        shape_row(layer) for layer in model.layers
        if hasattr(layer, "kernel")
        or isinstance(layer, layers.GlobalAveragePooling2D)]
    rows.append(("Softmax / s1", "Classifier", f"1x1x{model.output.shape[1]}"))
    merged = []
    while rows:
        times = 1
        while rows[:2] == rows[2 * times:2 * times + 2]:
            times += 1
        if times == 1:
            merged.append(rows.pop(0))
            continue
        merged += [(f"{times}x {kind}", *rest) for kind, *rest in rows[:2]]
        rows = rows[2 * times:]
    return merged


class Claim(NamedTuple):
    """A number in the paper's running text; every field is text."""

    name: str
    section: str
    words: str
    printed: str
    unit: str
    correct: str
    verdict: str
    remark: str


def read_claims(text):
    """Return the claims of the text of a CSV file."""
    return [Claim(**row) for row in csv.DictReader(io.StringIO(text))]


def claim_values(cells, counted):
    """Return {name of a claim: its value}, from the printed cells and counts.

    Where the paper's tables print what a sentence is about, they are used as
    printed: the question is whether the text follows from them.
    """
    printed = {
        (cell.table, cell.row, cell.column): Fraction(cell.printed.rstrip("%"))
        for cell in cells}

    def number(table, row, column="mult_adds"):
        return printed[f"table{table}", row, column]

    def ratio(table, row, other, column="mult_adds"):
        return number(table, row, column) / number(table, other, column)

    def points(table, row, other):
        return (number(table, row, "accuracy")
                - number(table, other, "accuracy"))

    small, full = "0.50 MobileNet-160", "1.0 MobileNet-224"
    macs, weights, *_ = counted("MobileNet")
    body = sum(macs.values()) - macs["classifier"]
    return {
        "least saving": Fraction(9 * 64, 9 + 64),
        "most saving": Fraction(9 * 1024, 9 + 1024),
        "pointwise work": Fraction(macs["pointwise"], sum(macs.values())),
        "pointwise weights": Fraction(
            weights["pointwise"], sum(weights.values())),
        "rho": Fraction(160, 224),
        "separable costs": points(4, "Conv MobileNet", "MobileNet"),
        "thin over shallow": points(5, "0.75 MobileNet", "Shallow MobileNet"),
        "smaller than VGG": ratio(8, "VGG 16", full, "params"),
        "less than VGG": ratio(8, "VGG 16", full),
        "less than GoogleNet": ratio(8, "GoogleNet", full),
        "better than AlexNet": points(9, small, "AlexNet"),
        "smaller than AlexNet": ratio(9, "AlexNet", small, "params"),
        "less than AlexNet": ratio(9, "AlexNet", small),
        "better than SqueezeNet": points(9, small, "Squeezenet"),
        "less than SqueezeNet": ratio(9, "Squeezenet", small),
        "PlaNet's body": sum(weights.values()) - weights["classifier"],
        "PlaNet's parameters": (3 + 10) * UNITS["M"],
        "PlaNet's work": body + 10 * UNITS["M"],
        "face classifier": number(12, "Baseline", "params") * UNITS["M"],
        "face work": ratio(12, "0.25 MobileNet-128", "Baseline"),
    }


def claim_verdict(claim, value):
    """Return how a claim stands to its value.

    As fit does; "holds" for "more than"; "misprint" where the correction, a
    number with or without its unit, fits and the claim does not.
    """
    if claim.printed.startswith(">"):
        return "holds" if value > Fraction(claim.printed[1:]) else (
            "unexplained")
    text = claim.correct.rstrip("MB")
    unit = claim.correct[len(text):] or claim.unit
    return fit(claim.printed, value, claim.unit) or (
        "misprint" if text and fit(text, value, unit) else "unexplained")
