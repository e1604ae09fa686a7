"""The page On your device: its network, its pictures, and what it measures.

Most tests open the page from the disk, as a reader does who built the site,
and load a network of three layers.
"""

import base64
import csv
import io
import json
import pathlib
import re

import device
import keras
import kernels
import numpy as np
import pages
import pytest
import skimage
from mobilenet import __main__ as command
from mobilenet import (
    batches,
    cifar10,
    costs,
    live,
    network,
    quantization,
    records,
    transfer,
)
from PIL import Image
from test_browser import opened as guarded
from tiny import RUNS, TINY

WEIGHTS = RUNS.parent / "weights"
SHIPPED = sorted(path.stem for path in WEIGHTS.glob("*.live"))
CLASSES = cifar10.CLASSES
NONE = "none of these"


def random_network(side=32, classes=10, **arguments):
    """Return a Keras network of chance whose logits depend on the image."""
    keras.utils.set_random_seed(5)
    model = network.mobilenet_v1((side, side, 3), classes, **arguments)
    chance = np.random.default_rng(6)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape
            layer.set_weights([
                chance.uniform(1, 2, count), chance.uniform(-1, 1, count),
                chance.uniform(-0.1, 0.1, count),
                chance.uniform(0.15, 0.4, count)])
    return model


def layers_of(model):
    """Return a Keras network's layers as the command page packs them."""
    kinds = costs.count(model).set_index("layer").kind
    layers = command.int8_layers(model)
    assert [layer.kind for layer in layers] == [
        kinds[layer.name] for layer in layers]
    return layers


def content_of(model, classes=CLASSES, name="three layers"):
    return live.packed(
        layers_of(model), classes, model.input_shape[1], name, "Untrained")


@pytest.fixture(scope="module")
def tiny():
    return random_network(**TINY["network"])


@pytest.fixture(scope="module")
def tiny_file(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "tiny.live"
    path.write_bytes(content_of(tiny))
    return path


def folded(content):
    return command.folded(live.unpacked(content)[1])


def python_logits(content, images):
    return quantization.run(folded(content), quantization.scaled(images))


# The file.


def test_a_file_comes_back_as_it_was_packed(tiny):
    layers = layers_of(tiny)
    header, found = live.unpacked(live.packed(
        layers, CLASSES, 32, "a name", "caf\u00e9"))
    assert header["classes"] == list(CLASSES) and header["side"] == 32
    assert (header["name"], header["about"]) == ("a name", "caf\u00e9")
    for ours, theirs in zip(layers, found, strict=True):
        assert ours[:5] == theirs[:5]
        for one, other in zip(ours[5:], theirs[5:]):
            np.testing.assert_array_equal(one.astype(other.dtype), other)


def test_a_file_says_which_layers_end_with_a_relu(tiny):
    header, layers = live.unpacked(content_of(tiny))
    assert [row.get("low") for row in header["layers"]] == [0, 0, 0, None]
    assert [layer.high for layer in layers] == [np.inf] * 4
    six = random_network(activation="relu6", **TINY["network"])
    header, _ = live.unpacked(content_of(six))
    assert [row.get("high") for row in header["layers"]] == [6, 6, 6, None]


@pytest.mark.parametrize("cut, match", [
    (slice(1, None), "begins with"), (slice(None, -4), "buffer is smaller"),
    (slice(0, 30), "Unterminated|Expecting")])
def test_a_file_that_was_cut_is_refused(tiny, cut, match):
    with pytest.raises(ValueError, match=match):
        live.unpacked(content_of(tiny)[cut])
    with pytest.raises(ValueError, match="bytes, not"):
        live.unpacked(content_of(tiny) + b"\0\0\0\0")


def test_what_the_page_cannot_compute_is_refused(tiny):
    with pytest.raises(ValueError, match="9 names for 10 classes"):
        content_of(tiny, CLASSES[1:])
    strided = random_network(stride_on="pointwise", **TINY["network"])
    with pytest.raises(ValueError, match="block1_pointwise.* stride 2"):
        content_of(strided)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_books_networks_are_the_books_weights(name, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "WEIGHTS", tmp_path)
    written = []
    monkeypatch.setattr(records, "write_rows", lambda path, rows: (
        written.append(path.name)))
    (tmp_path / f"{name}.npz").write_bytes(
        (WEIGHTS / f"{name}.npz").read_bytes())
    command.page(name)
    assert written == ["live-networks.csv"]
    ours, theirs = (live.unpacked((folder / f"{name}.live").read_bytes())
                    for folder in (WEIGHTS, tmp_path))
    assert ours[0] == theirs[0] and ours[0]["name"] == name
    for one, other in zip(ours[1], theirs[1], strict=True):
        # Another machine may round a sum of the folding the other way.
        assert np.abs(one.kernel.astype(int) - other.kernel).max() <= 1
        np.testing.assert_allclose(one.scales, other.scales, rtol=1e-5)
        np.testing.assert_allclose(one.bias, other.bias, atol=1e-4)


def test_the_table_of_networks_is_that_of_the_records():
    with (RUNS / "live-networks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == command.network_rows()
    for row in rows:
        script = device.script(WEIGHTS / f"{row['network']}.live")
        assert abs(len(script) / 1e6 - float(row["MB to load"])) < 0.06


def test_the_default_network_is_small_and_good_enough(private):
    assert SHIPPED == ["best-all", "small"]
    script = private / "_static" / "live" / "small.js"
    assert script.stat().st_size <= 300_000
    result = json.loads((RUNS / "small" / "result.json").read_text())
    assert result["test_accuracy"] >= 0.86


def test_the_kernels_are_their_text_assembled():
    written = (kernels.STATIC / "live-kernels.js").read_text(encoding="utf8")
    assert written == kernels.assembled()


# The network in a browser.


@pytest.fixture(scope="module")
def address(private):
    return (private / "book" / "live.html").as_uri()


@pytest.fixture
def opened(running, address):
    """Return a function that opens the page and gives it back."""
    contexts, errors = [], []

    def visit(script="", **settings):
        contexts.append(running.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(error))
        if script:
            page.add_init_script(script)
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not errors, errors


def text(content):
    return base64.b64encode(content).decode()


LOGITS = """
    const [file, pictures, path] = given;
    const {read, run, decoded} = liveNetwork;
    const network = read(SHIPPED.includes(file)
        ? await live.fileOf(file) : decoded(file));
    const engine = liveNetwork[path](network);
    const [all, size] = [decoded(pictures), 3 * network.side ** 2];
    const found = [];
    for (let at = 0; at < all.length; at += size)
        found.push([...run(network, engine, all.subarray(at, at + size))]);
    return found;""".replace("SHIPPED", json.dumps(SHIPPED))


def asked(page, script, *given):
    return page.evaluate(
        f"given => (async () => {{{script}}})()", list(given))


def pictures(count, side=32):
    """Return count pictures, half of them noise."""
    images = batches.generated_images(count)[0][:, :side, :side]
    if side > 32:
        images = np.resize(images, (count, side, side, 3))
    noise = np.random.default_rng(3).integers(
        0, 256, images.shape, np.uint8)
    return np.where(np.arange(count)[:, None, None, None] % 2, noise, images)


@pytest.fixture(scope="module")
def shown(running, address):
    """The page, for tests that only call its functions."""
    page = running.new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    yield page
    page.close()


@pytest.mark.parametrize("name, count", [("small", 200), ("best-all", 20)])
def test_the_page_computes_what_python_computes(shown, name, count):
    images = pictures(count)
    expected = python_logits((WEIGHTS / f"{name}.live").read_bytes(), images)
    assert expected.std() > 0.5
    for path in ("simd", "plain"):
        found = np.array(asked(
            shown, LOGITS, name, text(images.tobytes()), path))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("arguments", [
    {"side": 33, "alpha": 0.35, "classes": 7, "activation": "relu6"},
    {"side": 37, "stem_stride": 1, "use_bias": True},
    {"separable": False, "alpha": 0.35}])
def test_odd_networks_are_computed_too(shown, arguments):
    model = random_network(**{
        "body": ((64, 2), (128, 1), (128, 2)), "alpha": 0.25, **arguments})
    content = content_of(model, CLASSES[:arguments.get("classes", 10)])
    images = pictures(6, arguments.get("side", 32))
    expected = python_logits(content, images)
    assert np.ptp(expected, axis=0).max() > 0.01
    for path in ("simd", "plain"):
        found = asked(
            shown, LOGITS, text(content), text(images.tobytes()), path)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_the_page_asks_for_what_chapters_1_and_4_say():
    script = (kernels.STATIC / "live-cost.js").read_text(encoding="utf8")
    (paper,) = re.findall(r"PAPER = ([\d_]+);", script)
    assert int(paper) == costs.count(network.mobilenet_v1()).macs.sum()
    chapter = (RUNS.parent / "01-why-small.ipynb").read_text(encoding="utf8")
    row = re.search(r"\| images a second \|([^\n]*?)\|\\n", chapter)[1]
    # Of a car a camera counts, since each has a core: "20 from each of 8".
    wanted = [re.search(r"\d+", cell)[0] for cell in row.split("|")]
    assert re.findall(r'"([^"]+)": (\d+)', re.search(
        r"WANTED = {(.*?)}", script, re.DOTALL)[1]) == list(zip((
            "one camera of the car", "the phone", "the drone",
            "the microcontroller"), wanted))


AGENTS = {
    "Chrome 131": "Chrome/131.0.0.0 Safari/537.36",
    "Edge 131": "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Edge 130": "Chrome/130.0.0.0 Mobile Safari/537.36 EdgA/130.0.0.0",
    "Samsung Internet 27":
        "SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
    "Opera 115": "Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0",
    "Firefox 133": "Gecko/20100101 Firefox/133.0",
    "Firefox 132": "FxiOS/132.0 Mobile/15E148 Safari/605.1.15",
    "Chrome 129": "CriOS/129.0.6668.69 Mobile/15E148 Safari/604.1",
    "Safari 17": "Version/17.5 Mobile/15E148 Safari/604.1",
    "?": "a browser",
}


def test_a_browser_is_called_by_its_own_name(shown):
    head = "Mozilla/5.0 (Linux; Android 14; K) "
    found = shown.evaluate(
        "agents => agents.map(userAgent => liveCost.browser({userAgent}))",
        [head + agent for agent in AGENTS.values()])
    assert found == [[name, "Android 14"] for name in AGENTS]
    assert shown.evaluate(
        "liveCost.browser({userAgent: '', platform: 'a system'})") == [
            "?", "a system"]


def test_what_the_page_says_of_the_rocket_and_the_maps_is_so():
    content = (WEIGHTS / "best-all.live").read_bytes()
    folder = pathlib.Path(skimage.__file__).parent / "data"
    cat, rocket = (
        quantization.picture(io.BytesIO(device.thumbnail(folder / name)))
        for name in ("chelsea.png", "rocket.jpg"))
    (logits,) = python_logits(content, rocket[None])
    assert CLASSES[logits.argmax()] == "ship"
    *layers, _ = folded(content)
    x, dark = quantization.scaled(cat[None]), []
    for layer in layers:
        x = np.clip(quantization.convolve(x, layer.kernel, layer.stride)
                    + layer.bias, layer.low, layer.high)
        dark.append((x < x.max() / 10).mean())
    assert min(dark[-6:]) > 0.8 and (x == 0).mean() > 0.6


# Pictures.


def photograph(width, height, mode="RGB"):
    """Return smooth colours with a few hard edges."""
    y, x = np.mgrid[:height, :width]
    values = np.stack([
        128 + 100 * np.sin(x / 9 + k) * np.cos(y / (7 + k))
        for k in range(3)], axis=-1)
    values[height // 3:height // 2, width // 4:width // 2] = (250, 20, 90)
    image = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    if mode == "RGBA":
        image.putalpha(Image.fromarray(
            (255 * x / max(width - 1, 1)).astype(np.uint8)))
    return image.convert(mode)


def file_of(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def turned(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    return file_of(photograph(60, 90), "JPEG", quality=95, exif=exif)


# (content, how far a byte may be from Python's): two for a PNG, since a
# browser mixes what is half transparent in its own way; more for a JPEG,
# which every decoder rounds, and which Python reads at a smaller size.
ODD = {
    "plain": (file_of(photograph(32, 32), "PNG"), 0),
    "transparent": (file_of(photograph(70, 70, "RGBA"), "PNG"), 2),
    "all transparent": (
        file_of(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG"), 0),
    "grey": (file_of(photograph(50, 40, "L"), "PNG"), 1),
    "palette": (file_of(photograph(50, 40, "P"), "PNG"), 1),
    "panorama": (file_of(photograph(1500, 120), "PNG"), 1),
    "tower": (file_of(photograph(33, 700), "PNG"), 1),
    "one pixel": (file_of(photograph(1, 1), "PNG"), 0),
    "two pixels": (file_of(photograph(2, 1), "PNG"), 1),
    "large": (file_of(photograph(1101, 1203), "PNG"), 1),
    "larger than a tile": (file_of(photograph(2600, 513), "PNG"), 1),
    **{f"turned {turn}": (turned(turn), 4) for turn in range(1, 9)},
    "photograph": (
        file_of(photograph(1300, 900), "JPEG", quality=90), 8),
}
SQUARES = """
    const found = [];
    for (const one of given) {
        const image = await livePicture.imageOf(
            new Blob([liveNetwork.decoded(one)]));
        found.push([...livePicture.square(
            image, image.naturalWidth, image.naturalHeight, 32)]);
    }
    return found;"""


def check_squares(found):
    """Fail where a picture is farther from Python's than ODD allows.

    tests/test_engines.py asks every engine.
    """
    for (name, (content, bound)), square in zip(ODD.items(), found):
        expected = quantization.picture(io.BytesIO(content))
        gap = np.abs(np.reshape(square, (32, 32, 3)) - expected.astype(int))
        assert gap.max() <= bound and gap.mean() <= bound / 4, (
            name, gap.max(), gap.mean())


# What a reader does.


def loaded(page, path):
    """Load a network from a file, as a reader does; returns the page."""
    page.set_input_files("#live-network", path)
    page.wait_for_function("live.network()")
    return page


def answered(page, guess=NONE, sample=0):
    """Choose one of the page's pictures, and answer."""
    page.locator(".live-sample").nth(sample).click()
    page.locator("#live-asked").wait_for()
    page.get_by_role("button", name=guess, exact=True).click()
    page.locator("#live-answer").wait_for()
    return page


def chosen(page, content, name="a.png"):
    page.set_input_files("#live-file", {
        "name": name, "mimeType": "image/png", "buffer": content})


def pixels(page, canvas):
    """Return what a canvas shows, (height, width, 4)."""
    width, height, data = page.evaluate("""name => {
        const canvas = document.getElementById(name);
        const {width, height} = canvas;
        return [width, height, [...canvas.getContext("2d").getImageData(
            0, 0, width, height).data]];}""", canvas)
    return np.reshape(data, (height, width, 4))


def test_the_reader_answers_before_the_network(opened, tiny_file):
    page = loaded(opened(), tiny_file)
    assert "three layers" in page.inner_text("#live-loaded")
    page.locator(".live-sample").first.click()
    page.locator("#live-asked").wait_for()
    assert page.locator("#live-guesses button").all_inner_texts() == [
        *CLASSES, NONE]
    assert not page.locator("#live-answer").is_visible()
    assert not page.locator("#live-maps").is_visible()
    assert page.evaluate("document.activeElement.id") == "live-question"
    page.get_by_role("button", name="dog", exact=True).click()
    seen = pixels(page, "live-seen")[..., :3].astype(np.uint8)
    (logits,) = python_logits(tiny_file.read_bytes(), seen[None])
    shares = np.exp(logits) / np.exp(logits).sum()
    order = np.argsort(-shares)
    rows = page.locator("#live-shares tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == [CLASSES[k] for k in order]
    for row, share in zip(rows, shares[order]):
        assert abs(float(row.split()[1]) - 100 * share) < 0.06
    assert page.inner_text("#live-verdict").startswith(
        f"You said dog. The network says {CLASSES[order[0]]}, ")
    assert page.inner_text("#live-verdict").endswith("It is a cat.")
    assert page.locator("#live-maps").is_visible()
    page.locator(".live-sample").nth(1).click()
    for place in ("#live-answer", "#live-maps"):
        page.locator(place).wait_for(state="hidden")


def test_classes_of_ones_own_are_asked_for_and_answered(
        opened, tiny, tmp_path):
    names = ["blue <b>mug</b>", "머그잔", "none"]
    heir = transfer.with_new_head(tiny, 3)
    (tmp_path / "own.live").write_bytes(content_of(heir, names))
    page, picture = opened(), file_of(photograph(64, 48), "PNG")
    chosen(loaded(page, tmp_path / "own.live"), picture)
    page.locator("#live-asked").wait_for()
    assert page.locator("#live-guesses button").all_inner_texts() == [
        *names, NONE]
    page.get_by_role("button", name=names[1], exact=True).click()
    page.locator("#live-answer").wait_for()
    (logits,) = python_logits(
        (tmp_path / "own.live").read_bytes(),
        quantization.picture(io.BytesIO(picture))[None])
    rows = page.locator("#live-shares tbody tr").all_inner_texts()
    assert [row.split("\t")[0].strip() for row in rows] == [
        names[k] for k in np.argsort(-logits)]


def test_a_picture_of_no_class_is_said_to_be_one(opened, tiny_file):
    page = loaded(opened(), tiny_file)
    truths = page.locator(".live-sample").evaluate_all(
        "all => all.map(one => one.dataset.truth)")
    assert truths == ["cat", "horse", "rocket", "cup of coffee", "astronaut"]
    for sample, (truth, said) in enumerate(zip(truths, (
            "It is a cat.", "It is a horse.", "The picture shows a rocket, ",
            "shows a cup of coffee, and no class of this network has that",
            "The picture shows an astronaut, "))):
        answered(page, "ship", sample)
        assert said in page.inner_text("#live-verdict")
        assert (truth in CLASSES) != ("The network cannot say" in (
            page.inner_text("#live-verdict")))
    chosen(page, file_of(photograph(40, 40), "PNG"))
    page.locator("#live-answer").wait_for(state="hidden")
    assert page.inner_text("#live-verdict") == ""
    page.get_by_role("button", name="dog", exact=True).click()
    assert page.inner_text("#live-verdict").endswith(" %.")
    page.get_by_role("button", name=NONE, exact=True).click()
    assert "cannot say “none of these”" in page.inner_text("#live-verdict")


def handed(page, content):
    """Give the page a network's file; return the line that it says."""
    page.evaluate("document.getElementById('live-loaded').textContent = ''")
    page.set_input_files("#live-network", {
        "name": "a.live", "mimeType": "", "buffer": content})
    page.wait_for_function(
        "!['', 'Loading …'].includes("
        "document.getElementById('live-loaded').textContent)")
    return page.text_content("#live-loaded")  # it may be out of sight


def test_a_network_without_the_pictures_class_is_not_said_to_misfit(
        opened, tiny):
    page = opened()
    names = ["tabby" if name == "cat" else name for name in CLASSES]
    handed(page, content_of(tiny, names))
    answered(page, "tabby")
    assert "shows a cat, and no class of this network has that name" in (
        page.inner_text("#live-verdict"))


def test_many_classes_are_offered_in_a_list(opened):
    names = [f"class {number}" for number in range(30)]
    page = opened()
    handed(page, content_of(
        random_network(**{**TINY["network"], "classes": 30}), names))
    page.locator(".live-sample").first.click()
    assert page.get_by_label("My answer").locator(
        "option").all_inner_texts() == [*names, NONE]
    page.get_by_label("My answer").select_option("class 29")
    page.get_by_role("button", name="Answer", exact=True).click()
    assert page.inner_text("#live-verdict").startswith("You said class 29.")
    assert len(page.locator("#live-shares tbody tr").all()) == 10


DAMAGED = "This file is damaged or cut, so the page cannot read it."
FOREIGN = "This is not a network file of this book."


def test_a_file_that_is_no_network_gets_one_line(opened, tiny):
    whole = content_of(tiny)
    page = opened()
    for content, said in (
            (b"", FOREIGN), (b"\x89PNG and more", FOREIGN), (b"MNv1", DAMAGED),
            (b"MNv1\xff\xff\xff\xff", DAMAGED), (whole[:-8], DAMAGED),
            (whole[:-10], DAMAGED), (whole + b"\0" * 4, DAMAGED),
            (whole.replace(b'"bird",', b'"bird" '), DAMAGED)):
        assert handed(page, content) == said
        assert page.evaluate("live.network()") is None


def changed(content, change):
    """Return a file's bytes, its header after a function changed it."""
    start = 8 + int.from_bytes(content[4:8], "little")
    header = json.loads(content[8:start])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return b"MNv1" + len(text).to_bytes(4, "little") + text + content[start:]


def set_layer(place, **values):
    return lambda header: header["layers"][place].update(values)


UNFIT = (
    (lambda header: header.update(layers=[], classes=list("abc")),
     "its last layer is not dense"),
    (lambda header: header["layers"].pop(), "its last layer is not dense"),
    (lambda header: header.pop("layers"), "its header is incomplete"),
    (lambda header: header.pop("name"), "its header is incomplete"),
    (lambda header: header.update(about=5), "its header is incomplete"),
    (lambda header: header.update(side=32.5), "of its pictures is not 1 to"),
    (lambda header: header.update(side=513), "of its pictures is not 1 to"),
    (lambda header: header.update(classes="abcdefghij"), "one name each"),
    (lambda header: header.update(classes=[1] * 10), "one name each"),
    (lambda header: header["classes"].pop(), "one name each"),
    (set_layer(0, shape=[3, 3, 3.5, 8]), "layer stem has an unknown shape"),
    (set_layer(0, kind="toString"), "layer stem has an unknown shape"),
    (set_layer(0, shape=[3, 5, 3, 8]), "stem has a window of unequal sides"),
    (set_layer(1, shape=[3, 5, 8]), "has a window of unequal sides"),
    (set_layer(1, shape=[3, 3, 9]), "has 9 input channels instead of 8"),
    (set_layer(1, low="0"), "has an unknown ReLU"),
    (set_layer(2, stride=2), "has a stride"),
    (lambda header: (header.update(side=512), set_layer(
        0, shape=[3, 3, 3, 9999])(header), set_layer(
            1, shape=[3, 3, 9999])(header), set_layer(
                2, shape=[9999, 16])(header)), "its maps are too large"),
)


READ = """
    try {
        return liveNetwork.read(liveNetwork.decoded(given[0])).name;
    } catch (error) {
        return error.message;
    }"""


def test_a_header_that_describes_no_network_is_named(shown, tiny):
    content = content_of(tiny)
    for change, said in UNFIT:
        found = asked(shown, READ, text(changed(content, change)))
        assert found.startswith("The page cannot use this network: ")
        assert said in found
    assert asked(shown, READ, text(changed(content, lambda header: None))) == (
        "three layers")


def test_the_network_asked_for_last_is_the_one_that_loads(opened, tiny):
    page = opened("""
        const read = Blob.prototype.arrayBuffer;
        Blob.prototype.arrayBuffer = async function () {
            Blob.prototype.arrayBuffer = read;
            await new Promise((done) => { window.release = done; });
            return read.call(this);
        };""")
    for name in ("slow", "fast"):
        page.set_input_files("#live-network", {
            "name": "a.live", "mimeType": "",
            "buffer": content_of(tiny, name=name)})
    page.wait_for_function("live.network()")
    page.evaluate("release()")
    page.wait_for_timeout(300)
    assert page.evaluate("live.network().name") == "fast"
    assert "“fast”" in page.inner_text("#live-loaded")


def test_a_network_without_memory_leaves_the_other_as_it_was(
        opened, tiny, tiny_file):
    page = answered(loaded(opened(), tiny_file))
    before = page.inner_text("#live-shares")
    page.evaluate("() => { WebAssembly.Memory.prototype.grow = () => {"
                  " throw new RangeError('no room'); }; }")
    assert "no room" in handed(page, content_of(tiny, name="other"))
    assert page.evaluate("live.network().name") == "three layers"
    assert answered(page).inner_text("#live-shares") == before
    page.get_by_label("plain JavaScript").check()
    page.get_by_label("WebAssembly SIMD").check()
    page.locator("#live-engine-said", has_text="no room").wait_for()


def test_a_file_that_is_no_picture_gets_one_line(opened, tiny_file):
    page = loaded(opened(), tiny_file)
    for content in (b"", b"text", b"%PDF-1.7",
                    file_of(photograph(9, 9), "PNG")[:40]):
        page.evaluate("document.getElementById('live-said').textContent = ''")
        chosen(page, content, "<b>my</b> file.png")
        page.wait_for_function(
            "document.getElementById('live-said').textContent")
        assert page.inner_text("#live-said") == (
            "This browser cannot read <b>my</b> file.png as a picture.")
        assert not page.locator("#live-asked").is_visible()
    chosen(page, file_of(photograph(40, 40), "PNG"))
    page.locator("#live-asked").wait_for()
    assert page.inner_text("#live-said") == ""


def test_a_picture_before_a_network_gets_one_line_and_is_kept(
        opened, tiny_file):
    page = opened()
    page.locator(".live-sample").first.click()
    page.wait_for_function("document.getElementById('live-said').textContent")
    assert page.inner_text("#live-said") == (
        "Load a network first; your picture is kept.")
    page.fill("#live-guess", "5")
    page.get_by_role("button", name="Measure").click()
    page.get_by_text("Load a network and choose a picture first.").wait_for()
    page.focus("#live-network")
    loaded(page, tiny_file)
    page.locator("#live-asked").wait_for()
    assert page.evaluate("document.activeElement.id") == "live-network"
    page.get_by_role("button", name="cat", exact=True).click()
    assert page.inner_text("#live-verdict").endswith("It is a cat.")


HANDED = """async ([content, kind, where]) => {
    const files = new DataTransfer();
    files.items.add(new File(["text"], "a.txt", {type: "text/plain"}));
    files.items.add(new File(
        [liveNetwork.decoded(content)], "a.png", {type: "image/png"}));
    const event = kind === "paste"
        ? new ClipboardEvent(kind, {clipboardData: files, bubbles: true})
        : new DragEvent(kind, {
            dataTransfer: files, bubbles: true, cancelable: true});
    document.querySelector(where).dispatchEvent(event);
    return event.defaultPrevented;
}"""


def test_a_picture_is_dropped_or_pasted(opened, tiny_file):
    page = loaded(opened(), tiny_file)
    for side, kind, where in (
            (80, "drop", "h1"), (60, "paste", "body")):
        content = file_of(photograph(side, 50), "PNG")
        expected = quantization.picture(io.BytesIO(content)).astype(int)
        page.evaluate("document.getElementById('live-asked').hidden = true")
        assert page.evaluate(HANDED, [text(content), kind, where]) == (
            kind == "drop")
        page.locator("#live-asked").wait_for()
        assert np.abs(
            pixels(page, "live-seen")[..., :3] - expected).max() <= 1
    for kind, where, ours in (
            ("dragover", "h1", True), ("drop", "#live-network", False)):
        assert page.evaluate(HANDED, [text(content), kind, where]) == ours


def test_a_drawing_is_what_was_drawn(opened, tiny_file):
    page = loaded(opened(), tiny_file)
    page.locator("#live-pictures summary").click()
    page.select_option("#live-colour", "red")
    box = page.locator("#live-drawing").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 97)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 97, steps=4)
    page.mouse.up()
    page.mouse.move(box["x"] + 150, box["y"] + 20)
    page.get_by_role("button", name="Use the drawing").click()
    seen = pixels(page, "live-seen")[..., :3]
    assert (seen[16, 10:22] == (255, 0, 0)).all()
    assert (seen[:10] == 255).all() and (seen[24:] == 255).all()
    page.get_by_role("button", name="Clear", exact=True).click()
    page.get_by_role("button", name="Use the drawing").click()
    assert (pixels(page, "live-seen") == 255).all()


def test_a_stroke_around_the_canvas_draws_no_line_across_it(
        opened, tiny_file):
    page = loaded(opened(), tiny_file)
    page.locator("#live-pictures summary").click()
    box = page.locator("#live-drawing").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 20)
    page.mouse.down()
    for x, y in ((-30, 20), (-30, 170), (40, 170)):
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()
    page.get_by_role("button", name="Use the drawing").click()
    seen = pixels(page, "live-seen")[..., 0]
    assert (seen[[3, 28], 3:6] == 0).all() and (seen[8:24] == 255).all()


CAMERA = """
    window.asks = 0;
    window.streams = [];
    const still = document.createElement("canvas");
    [still.width, still.height] = [64, 48];
    const context = still.getContext("2d");
    Object.defineProperty(navigator, "mediaDevices", {value: {
        async getUserMedia() {
            asks++;
            if (window.refused) throw new DOMException("", refused);
            setInterval(() => {
                context.fillStyle = "blue";
                context.fillRect(0, 0, 64, 48);
            }, 20);
            const stream = still.captureStream();
            streams.push(stream);
            await new Promise((done) => setTimeout(done, 50));
            return stream;
        }}});"""
STATES = "streams.map((stream) => stream.getTracks()[0].readyState)"


def test_the_camera_is_asked_for_on_a_click_alone(opened, tiny_file):
    page = loaded(opened(CAMERA), tiny_file)
    assert page.evaluate("asks") == 0
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the picture").click()
    page.locator("#live-asked").wait_for()
    assert page.evaluate("asks") == 1
    assert page.evaluate(STATES) == ["ended"]
    assert not page.locator("#live-camera-box").is_visible()
    red, green, blue = pixels(page, "live-seen")[16, 16, :3]
    assert blue > 200 and red < 40 and green < 40
    for name, said in (
            ("NotAllowedError", "does not let this page use the camera"),
            ("NotFoundError", "This device has no camera."),
            ("AbortError", "The camera cannot be opened.")):
        page.evaluate("name => { window.refused = name; }", name)
        page.get_by_role("button", name="Use the camera").click()
        page.get_by_text(said).wait_for()


def test_no_camera_stays_on_that_is_not_shown(opened, tiny_file):
    page = loaded(opened(CAMERA), tiny_file)
    camera = page.get_by_role("button", name="Use the camera")
    camera.dblclick()
    page.locator("#live-camera-box").wait_for()
    page.wait_for_function(f"{STATES}.join() === 'ended,live'")
    camera.click()
    page.wait_for_function(f"{STATES}.join() === 'ended,ended,live'")
    page.get_by_role("button", name="Close the camera").click()
    assert page.evaluate(STATES) == ["ended"] * 3
    assert page.evaluate("document.activeElement.id") == "live-camera"


def test_a_browser_without_a_camera_says_so(opened):
    page = opened(
        "Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_text("gives this page no camera").wait_for()


def test_the_maps_are_those_of_the_layer_chosen(opened, tiny_file):
    page = answered(loaded(opened(), tiny_file))
    layers = folded(tiny_file.read_bytes())
    assert page.get_attribute("#live-layer", "max") == str(len(layers) - 2)
    seen = pixels(page, "live-seen")[..., :3].astype(np.uint8)
    x = quantization.scaled(seen[None])
    for place, layer in enumerate(layers[:-1]):
        x = np.clip(quantization.convolve(x, layer.kernel, layer.stride)
                    + layer.bias, layer.low, layer.high)
        page.locator("#live-layer").fill(str(place))
        side = x.shape[1]
        assert f"{layer.name}: {side} × {side} × {x.shape[3]}" in (
            page.inner_text("#live-layer-name"))
        grid = pixels(page, "live-grid")[..., 0]
        tile = grid[:side, side + 1:2 * side + 1]
        np.testing.assert_allclose(
            tile, 255 * x[0, :, :, 1] / x.max(), atol=0.6)
        page.locator("#live-channel").fill("3")
        np.testing.assert_allclose(
            pixels(page, "live-one")[..., 0], 255 * x[0, :, :, 3] / x.max(),
            atol=0.6)
        assert f"above 0 at {int((x[0, :, :, 3] > 0).sum())} of" in (
            page.inner_text("#live-channel-name"))
    page.locator("#live-layer").fill("0")
    box = page.locator("#live-grid").bounding_box()
    page.mouse.click(box["x"] + 5.5 / 8 * box["width"], box["y"] + 5)
    assert page.input_value("#live-channel") == "5"


def measured(page, guess="40"):
    page.fill("#live-guess", guess)
    page.get_by_role("button", name="Measure").click()
    page.locator("#live-measured").wait_for()
    return page.evaluate("live.found()")


@pytest.fixture(scope="module")
def counted(tiny):
    return costs.count(tiny).query("macs > 0")


def test_it_measures_what_chapter_4_counts(
        opened, tiny, tiny_file, counted):
    page = answered(loaded(opened(), tiny_file))
    page.get_by_role("button", name="Measure").click()
    assert not page.locator("#live-measured").is_visible()
    found = measured(page)
    assert found["macs"] == counted.macs.sum()
    assert [row["name"] for row in found["layers"]] == list(counted.layer)
    assert [row["macs"] for row in found["layers"]] == list(counted.macs)
    side, channels = 16, 8
    block = found["layers"][1]  # stride 2: 16 x 16 in, 8 x 8 out
    assert block["bytes"] == 4 * (
        side**2 * channels + 9 * channels + channels
        + (side // 2)**2 * channels)
    assert found["engine"] == "WebAssembly SIMD"
    for shares in found["shares"].values():
        assert abs(sum(shares.values()) - 1) < 1e-9
    assert found["shares"]["macs"]["depthwise"] == pytest.approx(
        counted[counted.kind == "depthwise"].macs.sum() / found["macs"])
    image = found["image"]
    assert 0 < image["low"] <= image["median"] <= image["high"]
    assert found["best"] > 1e6 and 0 < found["step"] < 200
    said = page.inner_text("#live-sentences")
    assert "You predicted 40 %" in said and "gain a factor of" in said
    assert "rate that chapter 1 asks of one camera of the car, the" in said
    rows = page.locator("#live-layers tbody tr").all_inner_texts()
    assert len(rows) == 4 and rows[0].startswith("stem\t55,296\t")
    assert not re.search("NaN|undefined|Infinity", said + "".join(rows))
    assert page.inner_text("#live-progress") == "Measured."
    assert page.inner_text("#live-step") == ""
    handed(page, content_of(tiny, name="other"))
    page.locator("#live-measured").wait_for(state="hidden")
    assert page.inner_text("#live-progress") == ""


def test_a_row_for_a_class_is_copied(opened, tiny_file):
    page = answered(loaded(opened(permissions=[
        "clipboard-read", "clipboard-write"]), tiny_file))
    found = measured(page, "7")
    page.fill("#live-device", "my\told phone")
    copied = []
    for name in ("Copy the header", "Copy the row", "Copy as text"):
        page.get_by_role("button", name=name).click()
        page.get_by_text("Copied.").wait_for()
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    header, row = (line.split("\t") for line in copied[:2])
    assert len(header) == len(row)
    row = dict(zip(header, row))
    assert row["device"] == "my old phone" and row["predicted %"] == "7"
    assert row["browser"].startswith("Chrome ") and row["system"]
    assert row["engine"] == "WebAssembly SIMD"
    assert float(row["ms"]) == pytest.approx(
        found["image"]["median"], rel=0.01)
    assert float(row["depthwise %"]) == pytest.approx(
        100 * found["shares"]["ms"]["depthwise"], abs=0.06)
    assert copied[2].startswith(f"{row['ms']} ms per image")
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    page.get_by_role("button", name="Copy the row").click()
    page.get_by_text("forbids copying").wait_for()
    assert page.evaluate(
        "document.activeElement.selectionEnd - document.activeElement"
        ".selectionStart") > 100


# A clock of 1 ms, and a program that takes 50 ms of every ninth look at it.
DISTURBED = """
    const now = performance.now.bind(performance);
    let looks = 0, lost = 0;
    performance.now = () => {
        if (++looks % 9 === 0) lost += 50;
        return Math.floor(now() + lost);
    };"""


def test_a_network_loaded_meanwhile_gets_no_times_of_another(
        opened, tiny, tiny_file):
    page = answered(loaded(opened("""
        const now = performance.now.bind(performance);
        performance.now = () => 2 * Math.floor(now() / 2);"""), tiny_file))
    page.fill("#live-guess", "5")
    page.get_by_role("button", name="Measure").click()
    page.get_by_text("Measuring …").wait_for()
    assert "“other”" in handed(page, content_of(tiny, name="other"))
    page.get_by_text("Another network was loaded meanwhile").wait_for()
    assert page.evaluate("live.found()") is None
    assert not page.locator("#live-measured").is_visible()
    page.get_by_role("button", name="Measure").click()
    page.locator("#live-measured").wait_for()
    assert page.evaluate("live.found().network") == "other"


def test_a_disturbed_clock_gives_no_layer_a_time_of_zero(opened, tiny_file):
    found = measured(answered(loaded(opened(DISTURBED), tiny_file)))
    assert all(row["ms"] > 0 for row in found["layers"])
    assert found["image"]["low"] > 0 and np.isfinite(found["best"])


def test_without_simd_the_network_runs_in_plain_javascript(
        opened, tiny_file):
    page = opened("WebAssembly.validate = () => false")
    assert "has no SIMD" in page.inner_text("#live-loaded")
    assert page.locator("[name=live-engine][value=simd]").is_disabled()
    answered(loaded(page, tiny_file))
    found = measured(page)
    assert found["engine"] == "plain JavaScript" and not found["other"]


def test_both_engines_can_be_chosen(opened, tiny_file):
    page = loaded(opened(), tiny_file)
    page.get_by_label("plain JavaScript").check()
    plain = answered(page).inner_text("#live-shares")
    assert measured(page)["engine"] == "plain JavaScript"
    page.get_by_label("WebAssembly SIMD").check()
    assert answered(page).inner_text("#live-shares") == plain


def test_the_default_network_loads_from_the_disk_and_answers(opened):
    page = opened()
    page.get_by_role("button", name="Load the small network").click()
    page.get_by_text("Loaded: the network “small”").wait_for()
    answered(page, "cat")
    assert len(page.locator("#live-shares tbody tr").all()) == 10


def test_what_does_not_load_is_said(opened, running, private):
    page = opened("delete window.DecompressionStream")
    page.get_by_role("button", name="Load the best network").click()
    page.get_by_text("too old to unpack").wait_for()
    with (pages.served(private) as home,
          guarded(running, home) as page):
        page.goto(home + "book/live.html")
        page.route("**/live/*.js", lambda route: route.abort())
        page.get_by_role("button", name="Load the best network").click()
        page.get_by_text("could not be loaded").wait_for()


def test_nothing_loads_before_the_click_and_nothing_from_outside(
        running, private):
    with pages.served(private) as home:
        whole, *_ = pages.loaded(running, home + "book/live.html")
        assert 50_000 < whole <= 150_000
        with guarded(running, home) as page:
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(home + "book/live.html")
            assert not [one for one in asked if "/live/" in one]
            page.get_by_role("button", name="Load the best network").click()
            page.wait_for_function("live.network()")
            answered(page, "ship", 2)
            assert [one for one in asked if "/live/" in one] == [
                home + "_static/live/best-all.js"]
            assert not page.outside and not page.wrong


def test_without_a_script_no_control_is_offered(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("noscript .live-notice").is_visible()
    assert not [one for one in page.locator(".live-scripted").all()
                if one.is_visible()]
    for name in ("The code", "Times in three browsers"):
        assert page.get_by_role("heading", name=name).is_visible()


# What axe-core finds in what the scripts show; test_browser.py asks the page.
BROKEN = """async (options) => (await axe.run(
    {include: [".live-scripted"]},
    {resultTypes: ["violations"], ...options})).violations.map(
        (one) => [one.id, one.nodes[0].html])"""


def test_everything_that_appears_is_accessible_on_a_phone(
        opened, tiny_file):
    page = answered(loaded(opened(
        viewport={"width": 360, "height": 740}, is_mobile=True,
        has_touch=True, reduced_motion="reduce"), tiny_file))
    measured(page)
    page.locator("#live-pictures summary").click()
    page.evaluate("document.getElementById('live-camera-box').hidden = false")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    boxes = page.locator(
        ".live-controls :is(button, input:not([type=radio]), select),"
        " .live-controls label:has(input), .live-sample").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().toJSON())")
    assert len(boxes) > 25
    for box in boxes:
        assert box["height"] >= 44 and box["x"] >= 0, box
        assert box["x"] + box["width"] <= 360, box
    # The theme's button, half transparent while it comes and goes.
    page.evaluate("scrollTo(0, 0)")
    page.locator("#pst-back-to-top").wait_for(state="hidden")
    page.evaluate(pages.axe())
    assert page.evaluate(BROKEN, {}) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(BROKEN, {"runOnly": ["color-contrast"]}) == []


def test_it_works_by_keyboard_alone(opened, tiny_file):
    page = loaded(opened(), tiny_file)
    page.locator(".live-sample").nth(1).press("Enter")
    page.wait_for_function("document.activeElement.id === 'live-question'")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#live-answer").wait_for()
    assert page.inner_text("#live-verdict").startswith("You said airplane.")
    page.focus("#live-layer")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#live-layer", "aria-valuetext") == (
        "block1_depthwise")
    page.focus("#live-guess")
    page.keyboard.type("12")
    page.keyboard.press("Enter")
    page.locator("#live-measured").wait_for()


def test_the_measured_table_is_complete():
    with (RUNS / "live.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * len(SHIPPED)
    assert {row["network"] for row in rows} == {*SHIPPED}
    for row in rows:
        assert float(row["lower quartile"]) <= float(row["ms"]) <= float(
            row["upper quartile"])
        shares = [float(row[name]) for name in (
            "depthwise, % of time", "pointwise, %", "rest, %")]
        assert abs(sum(shares) - 100) < 0.2
