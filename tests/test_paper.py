"""The paper's printed costs against the counter, one case a printed cell.

The verdicts that stand in book/paper/ are expected values; what is compared
with them is decided from Keras models that are built and counted here. Cells
that no count can reach are held by a fingerprint of what is printed.
"""

import collections
import csv
import hashlib
import math
import pathlib
from fractions import Fraction

import keras
import pytest
from keras import layers
from mobilenet import costs, network, paper

FOLDER = pathlib.Path(__file__).parent.parent / "book" / "paper"
TABLES = [
    *(f"table{number}" for number in range(2, 15)),
    "tf_slim", "keras-widths", "keras-resolutions"]


def text_of(name):
    return (FOLDER / f"{name}.csv").read_text(encoding="utf8")


CELLS = [
    cell for name in TABLES for cell in paper.read_cells(name, text_of(name))]
SHAPES = list(csv.DictReader(text_of("table1").splitlines()))
CLAIMS = paper.read_claims(text_of("claims"))
COST_CELLS = [
    cell for cell in CELLS if cell.column in ("mult_adds", "params")]


@pytest.fixture(scope="module")
def counted():
    """Return the counter of networks; joining maps costs nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(costs.FREE, layers.Concatenate, "other")
        yield paper.counter(
            network.mobilenet_v1, network.BODY, costs.count)


@pytest.fixture(scope="module")
def findings(counted):
    return {found.cell: found for found in paper.audit(CELLS, counted)}


def sentence(cell):
    place = f"{cell.table} prints {cell.printed} {cell.column} for {cell.row}"
    return f"{place}: {' '.join((cell.verdict, cell.convention)).strip()}"


@pytest.mark.parametrize("cell", CELLS, ids=sentence)
def test_printed(cell, findings):
    found = findings[cell]
    assert (found.verdict, found.convention) == (
        cell.verdict, cell.convention), (
        f"{cell.table} prints {cell.printed} {cell.column} for {cell.row!r};"
        f" by our convention the count is {found.value}")


def shape_sentence(cell):
    return (f"table1 row {cell['row']} prints {cell['column']}"
            f" {cell['printed']}: {cell['verdict']}")


@pytest.fixture(scope="module")
def shapes():
    rows = paper.shape_rows(network.mobilenet_v1())
    assert len(rows) * 3 == len(SHAPES)
    return {
        (str(number), column): text
        for number, row in enumerate(rows, start=1)
        for column, text in zip(
            ("type and stride", "filter shape", "input size"), row)}


@pytest.mark.parametrize("cell", SHAPES, ids=shape_sentence)
def test_shape(cell, shapes):
    built = shapes[cell["row"], cell["column"]]
    assert built == (cell["correct"] or cell["printed"])
    assert (cell["verdict"] == "misprint") == (built != cell["printed"])


@pytest.fixture(scope="module")
def claim_values(counted):
    return paper.claim_values(CELLS, counted)


@pytest.mark.parametrize(
    "claim", CLAIMS, ids=lambda claim: (
        f"section {claim.section} prints {claim.printed}{claim.unit}"
        f" {claim.words}: {claim.verdict}"))
def test_text(claim, claim_values):
    assert paper.claim_verdict(
        claim, claim_values[claim.name]) == claim.verdict


def test_every_claim_has_a_value_and_every_value_a_claim(claim_values):
    assert sorted(claim.name for claim in CLAIMS) == sorted(claim_values)


# Compare with the source before you renew one of these.
PRINTED = {
    "accuracies": "5913af9aaa25",
    "claims": "d6a8d98f08ca",
    "keras-resolutions": "b2e49345c40d",
    "keras-widths": "a7cd5ed35551",
    "table1": "3bdc776f00d6",
    "table10": "252c815c60c8",
    "table11": "2f4bb0848905",
    "table12": "bbbc2b345853",
    "table13": "18954c190356",
    "table14": "9167c8f2e3e3",
    "table2": "6c195a894f87",
    "table3": "b7e139b6ae58",
    "table4": "16269f57a2fc",
    "table5": "1cd679740685",
    "table6": "b8ed3ace237d",
    "table7": "abffee74961a",
    "table8": "9c360d9625a0",
    "table9": "8a43efab82b0",
    "tf_slim": "20c8fb5bad5e",
}


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.csv")),
    ids=lambda path: path.stem)
def test_file_prints_what_its_source_printed(path):
    rows = csv.DictReader(text_of(path.stem).splitlines())
    described = [
        [row.get(name) for name in (
            "row", "column", "printed", "unit", "source", "link", "top1",
            "top5", "name", "section", "words")] for row in rows]
    mark = hashlib.sha256(repr(described).encode()).hexdigest()[:12]
    assert mark == PRINTED.get(path.stem), (
        f"the printed text in {path.name} has changed")


def verdicts(whose, findings):
    return collections.Counter(
        findings[cell].verdict for cell in COST_CELLS
        if paper.source(cell) == whose)


def test_verdicts_on_the_paper_sum_to_its_104_cost_cells(findings):
    found = verdicts("paper", findings)
    assert found == {
        "exact": 33, "rounded": 26, "truncated": 1, "another convention": 10,
        "misprint": 2, "unexplained": 3, "not recomputable": 29}
    assert sum(found.values()) == 104


def test_verdicts_on_tf_slim_and_keras_sum_to_their_cost_cells(findings):
    assert verdicts("tf_slim", findings) == {
        "exact": 5, "rounded": 5, "another convention": 21, "misprint": 1}
    assert verdicts("keras", findings) == {
        "exact": 9, "rounded": 2, "misprint": 5}


def test_accuracies_are_quoted_and_never_verified():
    for cell in set(CELLS) - set(COST_CELLS):
        assert cell.verdict == "quoted" and not cell.network
    for row in csv.DictReader(text_of("accuracies").splitlines()):
        assert row["verdict"] == "quoted" and row["link"]


def test_no_two_cells_are_the_same():
    assert len(set(CELLS)) == len(CELLS)


@pytest.mark.parametrize(("kind", "alpha", "side"), [
    *(("MobileNet", alpha, side) for alpha in (1.0, 0.75, 0.5, 0.25)
      for side in (224, 192, 160, 128)),
    ("Conv MobileNet", 1.0, 224), ("Conv MobileNet", 0.5, 130),
    ("MobileNet", 0.3, 97)])
def test_closed_form_equals_the_model(kind, alpha, side, counted):
    model = counted(kind, alpha, side)
    assert paper.closed_form(
        network.BODY, alpha, side, separable=kind == "MobileNet") == (
        sum(model.macs.values()), sum(model.weights.values()))


def test_closed_form_equals_the_shallow_model(counted):
    model = counted("Shallow MobileNet")
    assert paper.closed_form(network.BODY[:6] + network.BODY[11:]) == (
        sum(model.macs.values()), sum(model.weights.values()))


@pytest.mark.parametrize(("alpha", "side", "macs", "weights"), [
    (1.0, 224, 567_716_352, 3_185_088), (0.75, 128, 106_002_432, 1_800_144)])
def test_body_has_the_totals_of_the_authors_own_code(
        alpha, side, macs, weights, counted):
    # The docstring of TF-slim's mobilenet_v1.py, which leaves the head out.
    model = counted("MobileNet", alpha, side)
    assert sum(model.macs.values()) - model.macs["classifier"] == macs
    assert sum(model.weights.values()) - model.weights["classifier"] == weights


def test_numbers_beside_the_kernels_are_those_of_keras(counted):
    model = network.mobilenet_v1()
    trained = sum(math.prod(w.shape) for w in model.trainable_weights)
    cell = next(
        cell for cell in CELLS if cell.table == "table4"
        and cell.row == "MobileNet" and cell.column == "params")
    ours = paper.ways(cell, counted("MobileNet"))
    assert ours[""] == 4_209_088
    assert ours["what is trained"] == trained == 4_231_976
    assert ours["all that is stored"] == model.count_params() == 4_253_864


@pytest.mark.parametrize(("name", "side", "macs", "bodied", "stored"), [
    # Parameters as Keras, Caffe's model zoo and the SqueezeNet paper's table
    # print them: 138,357,544, 60,965,224, 1,248,424 and 6,998,552.
    ("VGG-16", 224, 15_470_264_320, 15_346_630_656, 138_357_544),
    ("AlexNet", 227, 724_406_816, 665_784_864, 60_965_224),
    ("SqueezeNet", 227, 832_667_936, 832_667_936, 1_248_424),
    ("GoogLeNet", 224, 1_582_671_872, 1_581_647_872, 6_998_552)])
def test_compared_networks_cost_what_others_count(
        name, side, macs, bodied, stored, counted):
    model = counted(name, 1.0, side)
    assert sum(model.macs.values()) == macs
    assert macs - model.macs.get("classifier", 0) == bodied
    assert sum(model.weights.values()) + model.bias == stored


def test_two_cells_can_be_truncated_or_lack_the_classifier(counted):
    both = {
        (cell.table, cell.printed) for cell in COST_CELLS
        if {"": "truncated"}.items() <= (found := paper.readings(
            cell, paper.values_of(cell, counted))).items()
        and found.get("without the classifier") in ("exact", "rounded")}
    assert both == {("table7", "290"), ("table9", "76")}


def test_286_is_less_than_the_body_that_it_must_contain(counted):
    macs = counted("MobileNet", 1.0, 160).macs
    assert sum(macs.values()) - macs["classifier"] == 289_651_200


def test_as_many_conventions_as_the_data_names_are_tried(counted):
    tried = set().union(*(paper.values_of(c, counted) for c in COST_CELLS))
    used = {cell.convention for cell in COST_CELLS}
    assert used <= tried
    assert tried - used == {"all that is stored"}


@pytest.mark.parametrize(("printed", "value", "unit", "place", "how"), [
    ("569", 568_740_352, "M", "", "rounded"),
    ("568", 568_740_352, "M", "", "truncated"),
    ("567", 568_740_352, "M", "", ""), ("570", 568_740_352, "M", "", ""),
    ("462", 462_422_016, "M", "", "exact"),
    ("4.2", 4_209_088, "M", "", "exact"),
    ("4.20", 4_209_088, "M", "", "truncated"),
    ("2.5", 2_500_000, "M", "", "exact"), ("3", 2_500_000, "M", "", "rounded"),
    ("2", 2_500_000, "M", "", "truncated"),
    ("720", 724_406_816, "M", "10", "exact"),
    ("720", 724_406_816, "M", "", ""),
    ("1.2", 1_249_999_999, "B", "", "exact"),
    ("94.86%", Fraction(94857, 100_000), "%", "", "rounded"),
    ("7", 7, "", "", "exact")])
def test_fit(printed, value, unit, place, how):
    assert paper.fit(printed, value, unit, place) == how


def test_convention_is_believed_for_what_it_explains_most():
    first, second, third = (
        CELLS[0]._replace(row=row) for row in ("a", "b", "c"))
    other = CELLS[0]._replace(table="tf_slim")
    assert paper.most_shared({
        first: ["x", "y"], second: ["x", "z"], third: ["y", "x"],
        other: ["z", "x"]}) == {
        first: "x", second: "x", third: "x", other: "z"}
    assert paper.most_shared({first: []}) == {}


def test_one_more_or_less_in_the_last_digit_changes_a_verdict(counted):
    missed = [
        cell for cell in COST_CELLS if cell.network
        and cell.verdict in ("exact", "rounded")
        for step in [Fraction(cell.place or 1) if cell.place else Fraction(
            1, 10**len(cell.printed.rstrip("%").partition(".")[2]))]
        for shift in (-step, step)
        if shifted(cell, shift, counted) == cell.verdict]
    assert missed == []


def shifted(cell, shift, counted):
    digits = cell.printed.rstrip("%")
    decimals = len(digits.partition(".")[2])
    wrong = cell._replace(
        printed=f"{float(Fraction(digits) + shift):.{decimals}f}")
    return paper.readings(wrong, paper.values_of(wrong, counted)).get("", "")


def test_depth_multiplier_is_not_the_resolution_multiplier():
    # Keras's documentation says that it is.
    def weights(**changes):
        model = keras.applications.MobileNet(
            alpha=0.25, weights=None, **changes)
        return {
            layer.name: tuple(layer.kernel.shape)
            for layer in model.layers if hasattr(layer, "kernel")}

    full = weights()
    assert weights(input_shape=(128, 128, 3)) == full
    assert weights(depth_multiplier=2)["conv_dw_1"] == (3, 3, 8, 2)
    assert full["conv_dw_1"] == (3, 3, 8, 1)
