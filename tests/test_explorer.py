"""The cost explorer in a browser: its counts against costs.py, its page.

The page is opened from the disk, as a reader does who built the site.
"""

import html
import itertools
import pathlib
import re
import urllib.parse

import keras
import pytest
from keras import layers
from mobilenet import costs, network

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def address(private):
    return (private / "book" / "explorer.html").as_uri()


@pytest.fixture
def opened(running, address):
    """Return a function that opens the page and gives it back."""
    contexts, errors = [], []

    def visit(query="", **settings):
        contexts.append(running.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(address + query)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not errors, errors


def grid():
    """Return more than 200 settings of the page, no two alike."""
    separable = itertools.product(
        (0.05, 0.35, 0.75, 1.3), (17, 32, 45, 224), (1, 2),
        ("depthwise", "pointwise"), (False, True), (True,))
    standard = itertools.product(
        (0.05, 0.35, 0.75, 1.3), (17, 32, 45, 96, 224), (1, 2), ("depthwise",),
        (False, True), (False,))
    names = (
        "alpha", "side", "stem_stride", "stride_on", "use_bias", "separable")
    return [
        {**dict(zip(names, values)), "classes": classes}
        for values, classes in zip(
            itertools.chain(separable, standard),
            itertools.cycle((1000, 10, 1)))]


def by_hand(setting):
    """Return the rows that count gives of a setting, without building it."""
    alpha, side, found = setting["alpha"], setting["side"], []

    def row(name, kind, channels, macs, params):
        found.append({"layer": name, "kind": kind, "macs": macs,
                      "params": params, "output": [side, side, channels]})

    def convolution(name, kind, kernel, channels, filters, stride):
        nonlocal side
        side = -(-side // stride)
        weights = kernel * kernel * channels * (
            1 if kind == "depthwise" else filters)
        row(name, kind, filters, side * side * weights,
            weights + filters * setting["use_bias"])
        row(f"{name}_bn", "batch norm", filters, 0, 4 * filters)
        row(f"{name}_relu", "activation", filters, 0, 0)
        return filters

    row("images", "other", 3, 0, 0)
    channels = convolution(
        "stem", "convolution", 3, 3, int(alpha * 32), setting["stem_stride"])
    for number, (filters, stride) in enumerate(network.BODY, start=1):
        name, filters = f"block{number}", int(alpha * filters)
        if not setting["separable"]:
            channels = convolution(
                f"{name}_conv", "convolution", 3, channels, filters, stride)
            continue
        first = setting["stride_on"] == "depthwise"
        convolution(f"{name}_depthwise", "depthwise", 3, channels, channels,
                    stride if first else 1)
        channels = convolution(
            f"{name}_pointwise", "pointwise", 1, channels, filters,
            1 if first else stride)
    found.append({"layer": "average", "kind": "pooling", "macs": 0,
                  "params": 0, "output": [channels]})
    classes = setting["classes"]
    found.append({"layer": "logits", "kind": "dense", "output": [classes],
                  "macs": channels * classes,
                  "params": (channels + 1) * classes})
    return found


def built(setting):
    """Return the Keras model of a setting of the page."""
    arguments = {
        name: value for name, value in setting.items() if name != "side"}
    return network.mobilenet_v1((setting["side"],) * 2 + (3,), **arguments)


def rows(table):
    """Return a counted table as the page's script returns its own."""
    return [
        {**row, "output": list(row["output"])}
        for row in table.to_dict("records")]


def ask(page, function, settings):
    return page.evaluate(
        "([name, settings]) => settings.map(costExplorer[name])",
        [function, settings])


def number(text):
    return int(text.replace(",", ""))


def cells(page, table):
    """Return the texts of a table's body, a list for each line."""
    return page.locator(f"{table} tbody tr").evaluate_all(
        "lines => lines.map(line => [...line.cells].map("
        "cell => cell.textContent))")


def query(page):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlparse(page.url).query))


def test_hand_counts_every_fifth_network_as_keras_does():
    """So that the page can be compared with many more than are built."""
    settings = grid()[::5]
    for name in ("alpha", "side", "stem_stride", "stride_on", "use_bias",
                 "separable", "classes"):
        assert {one[name] for one in settings} == {
            one[name] for one in grid()}, name
    # Weights have shapes here and no values: that halves the time.
    with keras.StatelessScope(initialize_variables=False):
        for setting in settings:
            assert by_hand(setting) == rows(costs.count(built(setting)))
    keras.utils.clear_session()


def test_every_layer_of_200_networks_is_equal_to_the_last_digit(opened):
    settings = grid()
    assert len(settings) >= 200
    for setting, answer in zip(
            settings, ask(opened(), "networkCost", settings)):
        assert answer == by_hand(setting), setting


def test_one_layer_is_equal_to_the_closed_forms(opened):
    names = ("map", "channels", "filters", "kernel", "stride")
    settings = [
        {**dict(zip(names, values)), "strided": "depthwise"}
        for values in itertools.product(
            (1, 5, 14, 256), (1, 3, 1024), (1, 7, 1024), (1, 2, 3, 11),
            (1, 2, 3, 4))]
    for setting, answer in zip(
            settings, ask(opened(), "layerCost", settings)):
        side, *others = (setting[name] for name in names)
        for kind, cost in (("standard", costs.conv_cost),
                           ("separable", costs.separable_cost)):
            expected = cost(side, side, *others)
            found = answer[kind]["params"], answer[kind]["macs"]
            assert found == expected, (setting, kind)


@pytest.mark.parametrize("strided", ["depthwise", "pointwise"])
def test_both_halves_of_a_separable_layer_are_those_of_keras(opened, strided):
    settings = [
        dict(zip(("map", "channels", "filters", "kernel", "stride"), values),
             strided=strided)
        for values in itertools.product(
            (7, 12), (3,), (4, 5), (2, 3), (1, 2, 3))]
    for setting, answer in zip(
            settings, ask(opened(), "layerCost", settings)):
        strides = {strided: setting["stride"]}
        images = keras.Input((setting["map"],) * 2 + (setting["channels"],))
        x = layers.DepthwiseConv2D(
            setting["kernel"], strides.get("depthwise", 1), padding="same",
            use_bias=False)(images)
        x = layers.Conv2D(
            setting["filters"], 1, strides.get("pointwise", 1),
            padding="same", use_bias=False)(x)
        table = costs.count(keras.Model(images, x)).iloc[1:]
        for _, row in table.iterrows():
            half = answer[row.kind]
            assert (half["params"], half["macs"]) == (row.params, row.macs)
            assert [half["side"]] * 2 == list(row.output[:2])
        both = answer["separable"]
        assert (both["params"], both["macs"]) == (
            table.params.sum(), table.macs.sum())


def test_the_table_of_six_networks_is_counted():
    source = (ROOT / "book" / "explorer.md").read_text(encoding="utf8")
    found = re.findall(
        r'href="explorer.html\?([^"#]*)#.*?<td>([\d,]+)</td>'
        r"<td>([\d,]+)</td>", source, re.S)
    assert len(found) == 6
    for address, macs, params in found:
        asked = dict(urllib.parse.parse_qsl(html.unescape(address)))
        setting = {
            "alpha": float(asked["alpha"]),
            "stride_on": asked["stride_on"],
            **{name: int(asked[name])
               for name in ("side", "stem_stride", "classes")},
            **{name: {"true": True, "false": False}[asked[name]]
               for name in ("separable", "use_bias")}}
        table = costs.count(built(setting))
        assert (number(macs), number(params)) == (
            table.macs.sum(), table.params.sum()), setting


def test_each_of_the_six_links_shows_the_costs_that_stand_beside_it(opened):
    page = opened("?filters=7")
    links = page.locator("#explorer-presets a")
    for index, (name, macs, params) in enumerate(
            cells(page, "#explorer-presets")):
        links.nth(index).click()
        assert page.text_content('[data-show="macs"]') == macs, name
        assert page.text_content('[data-show="params"]') == params, name
        assert page.locator(
            "#explorer-presets a[aria-current]").all_text_contents() == [name]
    assert page.input_value("#explorer-filters") == "7"


def test_without_a_script_the_page_shows_the_same_layer_and_no_control(
        opened):
    plain = opened(java_script_enabled=False)
    assert plain.locator(".explorer-form").count() == 2
    for form in plain.locator(".explorer-form").all():
        assert not form.is_visible()
    notice = plain.locator("noscript .explorer-notice")
    assert "JavaScript is off" in notice.text_content()
    assert notice.bounding_box()["height"] > 20
    assert plain.locator("#explorer-presets").is_visible()
    scripted = opened()
    for part in ("#explorer-layer-totals", "#explorer-layer-table",
                 "#explorer-verdict"):
        assert plain.locator(part).is_visible()
        assert plain.inner_text(part) == scripted.inner_text(part), part
    for part in ("depthwise", "pointwise"):
        widths = [
            page.locator(f".explorer-bars .explorer-{part}").bounding_box()
            for page in (plain, scripted)]
        assert abs(widths[0]["width"] - widths[1]["width"]) < 1


def test_moving_a_slider_changes_totals_table_and_address(opened):
    page = opened()
    before = cells(page, "#explorer-layers")
    page.get_by_label("Width multiplier α, slider").fill("0.5")
    table = costs.count(network.mobilenet_v1(alpha=0.5))
    assert number(page.text_content('[data-show="macs"]')) == table.macs.sum()
    after = cells(page, "#explorer-layers")
    assert after != before and len(after) == 28 + 1
    counted = table[table.macs > 0]
    for line, row in zip(after, counted.itertuples()):
        assert (line[0], line[1], number(line[2]), number(line[4])) == (
            row.layer, " × ".join(map(str, row.output)), row.macs,
            row.params)
    assert sum(number(line[2]) for line in after[:-1]) == table.macs.sum()
    assert [number(after[-1][4]) + number(after[-1][5])] == [
        table.params.sum()]
    page.wait_for_function("location.search.includes('alpha=0.5')")
    assert query(page)["side"] == "224"


def test_shares_add_up(opened):
    page = opened("?alpha=0.35&side=33&classes=10")
    for table, columns in (("#explorer-kinds", (2, 4)),
                           ("#explorer-layers", (3, 6))):
        lines = [line for line in cells(page, table) if line[0] != "total"]
        for column in columns:
            parts = [float(line[column].removesuffix(" %")) for line in lines]
            # Each is rounded by 0.05 at most.
            assert abs(sum(parts) - 100) <= 0.05 * len(parts) + 1e-9


def test_a_stride_on_the_pointwise_is_said_to_break_the_ratio(opened):
    page = opened("?stride=2")
    verdict = page.locator("#explorer-verdict")
    assert "exactly" in verdict.text_content()
    page.select_option("#explorer-strided", "pointwise")
    # 14 x 14 positions before the stride, 7 x 7 after it.
    assert "(196/49)/M + 1/k², not 1/M + 1/k²" in verdict.text_content()
    assert f": {4 / 512 + 1 / 9:.4f}. " in verdict.text_content()
    page.fill("#explorer-map", "1")
    assert "exactly" in verdict.text_content()


def test_a_separable_layer_that_costs_more_is_said_to(opened):
    page = opened("?filters=1")
    saving = page.locator('#explorer-layer-totals [data-show="saving"]')
    # (9 + 1) / 9
    assert saving.text_content() == "1.11 times more"
    page.fill("#explorer-filters", "2")
    # 18 / (9 + 2)
    assert saving.text_content() == "1.64 times fewer"


SETTING = {
    "kernel": "5", "channels": "31", "filters": "77", "map": "9",
    "stride": "3", "strided": "pointwise", "alpha": "0.35", "side": "97",
    "stem_stride": "1", "separable": "false", "stride_on": "pointwise",
    "use_bias": "true", "classes": "13"}


def shown(page):
    return page.locator(".explorer-form [name]").evaluate_all(
        "fields => Object.fromEntries(fields.map(f => [f.name, f.value]))")


def test_an_address_restores_every_setting(opened):
    page = opened()
    assert set(shown(page)) == set(SETTING)
    assert not set(shown(page).items()) & set(SETTING.items())
    page = opened(f"?{urllib.parse.urlencode(SETTING)}")
    assert shown(page) == SETTING
    for slider in page.locator("input[type=range]").all():
        assert slider.input_value() == slider.evaluate(
            "slider => slider.nextElementSibling.value")
    assert page.text_content("#explorer-notice") == ""
    table = costs.count(network.mobilenet_v1(
        (97, 97, 3), 13, 0.35, 1, "pointwise", True, separable=False))
    assert number(page.text_content('[data-show="macs"]')) == table.macs.sum()
    # The address that the page writes says the same.
    page.fill("#explorer-classes", "12")
    page.wait_for_function("location.search.includes('classes=12')")
    assert query(page) == {**SETTING, "classes": "12"}


@pytest.mark.parametrize("asked, name, mended, said", [
    ("alpha=9", "alpha", "2", "alpha must be at most 2, not “9”: 2 is"),
    ("alpha=-1", "alpha", "0.05", "alpha must be at least 0.05, not “-1”"),
    ("alpha=0.33", "alpha", "0.325", "alpha must be a multiple of 0.025"),
    ("side=32.4", "side", "32", "side must be a whole number, not “32.4”"),
    ("side=big", "side", "224", "side must be a number, not “big”: 224 is"),
    ("side=", "side", "224", "side must be a number"),
    ("classes=Infinity", "classes", "1000", "classes must be a number"),
    ("stride_on=both", "stride_on", "depthwise",
     "stride_on must be depthwise or pointwise, not “both”"),
    ("alhpa=0.5", "alpha", "1", "“alhpa” is no setting of this page"),
    ("classes=<b>1</b>", "classes", "1000", "not “<b>1</b>”"),
])
def test_an_address_with_a_bad_value_is_mended_and_that_is_said(
        opened, asked, name, mended, said):
    page = opened(f"?{asked}&filters=7")
    assert said in page.text_content("#explorer-notice")
    assert page.locator("#explorer-notice").is_visible()
    assert shown(page)[name] == mended
    assert shown(page)["filters"] == "7"
    assert query(page)[name] == mended
    page.locator("#explorer-presets a").first.click()
    assert page.text_content("#explorer-notice") == ""


def test_a_typed_value_is_mended_when_the_field_is_left(opened):
    page = opened()
    macs = page.locator('[data-show="macs"]')
    field = page.locator("#explorer-side")
    before = macs.text_content()
    field.fill("9999")
    assert field.get_attribute("aria-invalid") == "true"
    assert macs.text_content() == before
    field.press("Tab")
    assert field.input_value() == "512"
    assert field.get_attribute("aria-invalid") is None
    assert "side must be at most 512" in page.text_content(
        "#explorer-notice")
    assert macs.text_content() != before
    field.fill("")
    field.press("Tab")
    assert field.input_value() == "512"
    field.fill("64")
    assert page.text_content("#explorer-notice") == ""


def test_everything_works_with_the_keyboard_alone(opened):
    page = opened(
        "?map=10", permissions=["clipboard-read", "clipboard-write"])
    page.evaluate("document.querySelector('#explorer-notice').tabIndex = -1")
    page.focus("#explorer-notice")
    reached = []
    while "Copy link to this network" not in reached:
        assert len(reached) < 60, reached
        page.keyboard.press("Tab")
        reached.append(page.evaluate(
            "document.activeElement.textContent.replace(/\\s+/g, ' ')"
            " && (document.activeElement.name"
            " || document.activeElement.textContent.replace(/\\s+/g, ' '))"
            " || document.activeElement.name"
            " || document.activeElement.getAttribute('aria-label')"))
    assert set(SETTING) <= set(reached)
    assert "Kernel size k, slider" in reached
    page.keyboard.press("Enter")
    page.get_by_text("Link copied.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.url and "map=10" in copied
    assert copied.endswith("#the-whole-network")
    page.focus("#explorer-kernel")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert shown(page)["kernel"] == "4"
    page.focus("#explorer-stride")
    page.keyboard.press("ArrowDown")
    assert shown(page)["stride"] == "2"
    assert page.text_content("#explorer-layer-caption").endswith("stride 2")
    page.locator("#explorer-presets a").last.press("Enter")
    assert shown(page)["stem_stride"] == "1"


def test_a_browser_that_forbids_copying_is_said_to(opened):
    page = opened()
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    page.get_by_role("button", name="Copy link to this layer").click()
    page.get_by_text("take the link from the address bar").wait_for()
    assert page.url.endswith("#one-layer") and query(page)["kernel"] == "3"


def test_a_link_to_the_network_opens_at_the_network(opened):
    page = opened("?side=32#the-whole-network")
    top = page.locator("#the-whole-network h2").bounding_box()["y"]
    assert 0 <= top < page.viewport_size["height"] / 2


def test_totals_are_announced_once_after_a_pause(opened):
    page = opened()
    page.evaluate("""() => {
        window.said = [];
        const place = document.querySelector("#explorer-announcement");
        new MutationObserver(() => said.push(place.textContent)).observe(
            place, {childList: true});
    }""")
    assert page.get_attribute("#explorer-announcement", "role") == "status"
    for side in ("96", "64", "32"):
        page.fill("#explorer-side", side)
    page.wait_for_function("said.length")
    page.wait_for_timeout(600)
    macs = page.text_content('[data-show="macs"]')
    assert page.evaluate("said.length") == 1
    assert page.evaluate("said[0]").startswith(f"{macs} multiply-adds")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(opened, scheme):
    page = opened(
        "?side=511&separable=false&alpha=2&stem_stride=1",
        viewport={"width": 360, "height": 740}, is_mobile=True,
        has_touch=True, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    targets = page.locator(
        ".explorer-form input, .explorer-form select, .explorer-copy button,"
        " #explorer-presets a")
    assert targets.count() == 7 + 13 + 2 + 6
    for target in targets.all():
        box = target.bounding_box()
        assert box["height"] >= 44, target
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    page.locator("#explorer-side").scroll_into_view_if_needed()
    totals = page.locator("#explorer-network-totals").bounding_box()
    assert totals["y"] + totals["height"] <= 740
    assert page.locator('[data-show="macs"]').is_visible()


def test_every_control_has_a_label_and_every_scrolled_box_a_name(opened):
    page = opened()
    for control in page.locator(
            ".explorer-form input, .explorer-form select").all():
        name = control.evaluate(
            "field => field.ariaLabel || field.labels[0]?.textContent")
        assert name and len(name) > 3
    boxes = page.locator(".explorer-scroll")
    assert boxes.count() == 4
    for box in boxes.all():
        named = box.get_attribute("aria-labelledby")
        assert page.text_content(f"#{named}")
        assert box.get_attribute("tabindex") == "0"


def test_one_global_name_is_left(opened):
    page = opened("?side=32")
    assert page.evaluate("Object.keys(costExplorer)") == [
        "layerCost", "networkCost"]
    for name in ("BODY", "state", "layerCost", "fields"):
        assert page.evaluate(f"typeof {name}") == "undefined"
