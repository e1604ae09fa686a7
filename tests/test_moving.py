"""The moving figures: their arithmetic, their controls, their still pictures.

The arithmetic is compared with the book's Python code; the rest is tried in
Chromium, Firefox and WebKit.
"""

import itertools

import nbformat
import notebooks
import numpy as np
import pages
import pytest
from bs4 import BeautifulSoup
from mobilenet import convolution, costs, network

# Where each moving figure is.
PLACES = {
    cell.metadata["moving"]: path.stem
    for path in sorted(notebooks.BOOK.glob("*.ipynb"))
    for cell in nbformat.read(path, as_version=4).cells
    if "moving" in cell.metadata}
LARGEST = 15_000  # bytes of a figure's script

OPEN = """
const place = document.querySelector(`.moving[data-moving="${given[0]}"]`);
const button = (label) => [...place.querySelectorAll("button")].find(
    (one) => one.textContent === label);
const text = () => place.querySelector(".moving-text").textContent;
const slider = () => place.querySelector("[type=range]");
place.querySelector(".moving-open").click();
"""


@pytest.fixture(scope="module")
def home(private):
    with pages.served(private, pages.LISTEN) as address:
        yield address + "book/"


@pytest.fixture(scope="module")
def window(engine, home):
    """A window of each engine, for all figures."""
    with engine.open(1280) as opened:
        yield opened


def test_every_figure_is_in_a_chapter_and_small():
    folder = notebooks.BOOK / "_static" / "moving"
    sizes = {path.stem: path.stat().st_size for path in folder.glob("*.js")}
    assert set(sizes) == set(PLACES)
    assert max(sizes.values()) < LARGEST
    assert (folder.parent / "moving.js").stat().st_size < LARGEST


@pytest.mark.parametrize("name", PLACES)
def test_the_page_itself_holds_the_still_picture(private, name):
    page = BeautifulSoup(
        (private / "book" / f"{PLACES[name]}.html").read_text("utf8"),
        "html.parser")
    place = page.find(class_="moving", attrs={"data-moving": name})
    assert not place.contents
    assert len(place.parent.find_all("img", alt=True)) == 1


def test_pages_without_a_moving_figure_load_no_script_of_one(private):
    for path in (private / "book").glob("*.html"):
        has = "moving.js" in path.read_text(encoding="utf8")
        assert has == (path.stem in PLACES.values()), path.stem


@pytest.mark.parametrize("name", PLACES)
def test_a_figure_asks_then_plays_pauses_and_steps(window, home, name):
    window.goto(f"{home}{PLACES[name]}.html")
    found = window.run(OPEN + """
        const picture = place.parentElement.querySelector("img");
        const asks = [picture.hidden, button("Play").offsetParent === null];
        place.querySelector(".moving-guess button").click();
        const verdict = place.querySelector("[role=status]").textContent;
        const texts = [text()];
        button("Step").click(), texts.push(text());
        button("Back").click(), texts.push(text());
        const last = Number(slider().max);
        slider().value = last;
        slider().dispatchEvent(new Event("input")), texts.push(text());
        button("Again").click(), texts.push(text());
        slider().value = last;
        slider().dispatchEvent(new Event("input"));
        button("Play").click();  // from the beginning
        const played = slider().value;
        while (slider().value === played)
            await new Promise((done) => setTimeout(done, 50));
        button("Pause").click();
        const paused = slider().value;
        await new Promise((done) => setTimeout(done, 1500));
        return {asks, verdict, texts, last, played,
                stood: slider().value === paused, wrong};""", name)
    first, second, back, end, again = found["texts"]
    assert found["asks"] == [False, True]  # the picture stays, for its prose
    assert found["verdict"].startswith(("Correct. ", "Not "))
    assert first == back == again and end not in (first, "")
    assert found["last"] > 2 and found["played"] == "0" and found["stood"]
    assert found["wrong"] == [] and second


def test_a_figure_does_not_play_for_those_who_want_less_motion(window, home):
    window.goto(f"{home}{PLACES['window']}.html")
    assert window.run("""
        const ask = window.matchMedia.bind(window);
        window.matchMedia = (query) => query.includes("reduced-motion")
            ? {matches: true, addEventListener() {}} : ask(query);
        """ + OPEN + """
        place.querySelector(".moving-guess button").click();
        button("Step").click();
        return [button("Play").hidden, slider().value];""",
        "window") == [True, "1"]


def test_the_slider_follows_the_keyboard(running, home):
    page = running.new_page()
    page.goto(f"{home}{PLACES['window']}.html")
    page.click(".moving-open")
    page.press(".moving-guess button", "Enter")
    page.focus(".moving [type=range]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.input_value(".moving [type=range]") == "2"
    page.close()


def arithmetic(window, home, name, script, *given):
    window.goto(f"{home}{PLACES[name]}.html")
    return window.run(
        f'const figure = movingFigures["{name}"]; {script}', *given)


def test_the_window_computes_what_conv2d_computes(window, home):
    rng = np.random.default_rng(1)
    cases = [(rng.integers(-9, 9, (side, side)), rng.integers(-9, 9, (k, k)),
              stride, padding)
             for side, k, stride, padding in itertools.product(
                 (5, 6), (2, 3), (1, 2), ("valid", "same", 1))]
    found = arithmetic(window, home, "window", """
        return given[0].map((one) => figure.convolve(...one));""", [
            [image.tolist(), kernel.tolist(), *rest]
            for image, kernel, *rest in cases])
    for (image, kernel, *rest), output in zip(cases, found, strict=True):
        np.testing.assert_array_equal(output, convolution.conv2d(
            image[..., None], kernel[..., None, None], *rest)[..., 0])


LAYERS = {
    "standard": lambda image: convolution.conv2d(
        image, np.ones((3, 3, image.shape[2], 4)), padding="valid"),
    "depthwise": lambda image: convolution.depthwise_conv2d(
        image, np.ones((3, 3, image.shape[2])), padding="valid"),
    "pointwise": lambda image: convolution.pointwise_conv2d(
        image, np.ones((image.shape[2], 4))),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_an_output_reads_what_the_layer_reads(window, home, layer):
    y, x, m, channels = 1, 2, 2, 3
    found = arithmetic(window, home, "three-layers", """
        return figure.reads(...given);""", layer, y, x, m, channels)
    reads = []
    for place in np.ndindex(5, 5, channels):
        image = np.zeros((5, 5, channels))
        image[place] = 1  # where it changes the output, it is read
        if LAYERS[layer](image)[y, x, m]:
            reads.append(list(place))
    assert sorted(found) == reads


def test_three_layers_cost_what_the_closed_forms_say(window, home):
    found = arithmetic(window, home, "three-layers", """
        return ["standard", "depthwise", "pointwise"].map(
            (name) => figure.cost(name, 5, 3, 4).all);""")
    assert found[0] == costs.conv_cost(3, 3, 3, 4).macs
    assert sum(found[1:]) == costs.separable_cost(3, 3, 3, 4).macs


def test_the_network_costs_what_count_says(window, home):
    side, classes, alpha, stem = 64, 10, 0.5, 1
    found = arithmetic(window, home, "network", """
        const [side, classes, alpha, stem_stride] = given;
        return figure.weighted({side, classes, alpha, stem_stride}).map(
            ({layer, macs, params, norm}) => [layer, macs, params, norm]);""",
        side, classes, alpha, stem)
    table = costs.count(network.mobilenet_v1(
        (side, side, 3), classes, alpha, stem_stride=stem))
    norms = dict(zip(table.layer, table.params))
    assert found == [
        [row.layer, row.macs, row.params, norms.get(f"{row.layer}_bn", 0)]
        for row in table.itertuples() if row.macs]


def test_the_classifier_gains_most_where_the_image_shrinks():
    shares = []
    for side in (224, 32):
        table = costs.count(network.mobilenet_v1((side, side, 3), 1000))
        macs = table.groupby("kind").macs.sum()
        shares.append(macs / macs.sum())
    assert (shares[1] - shares[0]).idxmax() == "dense"


@pytest.mark.parametrize("filters", (1, 64))
def test_the_saving_is_that_of_the_closed_forms(window, home, filters):
    kernel, channels, side = 5, 64, 7
    found = arithmetic(window, home, "saving", """
        const [kernel, channels, map, filters] = given;
        return figure.costs({kernel, channels, map}, filters).saving;""",
        kernel, channels, side, filters)
    standard, pair = (
        cost(side, side, channels, filters, kernel).macs
        for cost in (costs.conv_cost, costs.separable_cost))
    assert found == pytest.approx(standard / pair, rel=1e-12)
