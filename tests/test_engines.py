"""The site in Chromium, Firefox and WebKit: what engines do differently.

`python tools/pages.py engines` asks all pages what is asked of a few here:
those with the most formulas, the most headings and the most arithmetic.
"""

import numpy as np
import pages
import pytest
import test_live


@pytest.fixture(scope="module")
def home(private):
    with pages.served(private, pages.LISTEN) as address:
        yield address + "book/"


@pytest.mark.parametrize("width, name", [
    (1280, "11-deployment"), (360, "02-convolution")])
def test_a_chapter_is_whole_and_its_contents_lead_to_its_headings(
        engine, home, width, name):
    with engine.open(width) as window:
        assert pages.found_wrong(window, f"{home}{name}.html") == {
            "broken": [], "missed": [], "cut": [], "wrong": []}


def test_what_is_found_in_a_page_is_in_sight(engine, home):
    with engine.open(1280) as window:
        window.goto(home + "10-measured-speed.html")
        assert window.run("""
            const found = [];
            for (const words of ["Exercise 4", "Exercise 1"]) {
                getSelection().removeAllRanges();
                find(words, true, false, true);
                for (let frames = 0; frames < 30; frames++)
                    await new Promise(requestAnimationFrame);
                const {top, bottom} = getSelection().getRangeAt(
                    0).getBoundingClientRect();
                found.push([`${getSelection()}`,
                            top >= 0 && bottom <= innerHeight]);
            }
            return found;
            """) == [["Exercise 4", True], ["Exercise 1", True]]


def test_a_column_stretches_its_brackets(engine, home):
    with engine.open(1280) as window:
        window.goto(home + "02-convolution.html")
        assert window.run("""
            const cells = [...document.querySelectorAll("mtd")];
            return cells.length && cells.every(
                (cell) => cell.children.length < 2);""")


def test_the_explorer_counts(engine, home):
    with engine.open(1280) as window:
        window.goto(home + "explorer.html")
        assert window.run("""
            const set = (name, value) => {
                const field = document.getElementById("explorer-" + name);
                field.value = value;
                field.dispatchEvent(new Event("input", {bubbles: true}));
            };
            set("kernel", 5), set("channels", 64), set("filters", 100);
            return ["standard", "separable"].map((name) =>
                document.querySelector(`[data-show=${name}]`).innerText);
            """) == [f"{25 * 64 * 100 * 14 * 14:,}",
                     f"{(25 + 100) * 64 * 14 * 14:,}"]
        assert window.run("return wrong") == []


@pytest.mark.parametrize("width", [1280, 360])
def test_the_totals_of_the_explorer_cover_no_text(engine, home, width):
    with engine.open(width, 740) as window:
        window.goto(home + "explorer.html")
        assert window.run("""
            const texts = [...document.querySelectorAll(
                "article > section :is(h1, h2, p)")].filter(
                (one) => !one.closest("form, .explorer-totals"));
            const covered = texts.filter((one) => {
                const {left, top, bottom} = one.getBoundingClientRect();
                return document.elementFromPoint(
                    left + 3, (top + bottom) / 2)?.closest(
                    ".explorer-totals");
            });
            return [texts.length > 9, covered.map((one) => one.innerText)];
            """) == [True, []]


def test_a_search_finds_chapters_beside_its_magnifier(engine, home):
    with engine.open(1280) as window:
        window.goto(home + "../search.html?q=depthwise")
        assert window.run("""
            const found = () => [...document.querySelectorAll(
                "#search-results li a")].some(
                (one) => one.href.includes("/03-separable-convolution.html"));
            while (!found())
                await new Promise(requestAnimationFrame);
            return found();""")
        assert window.run("""
            const form = document.querySelector(".bd-search-container form");
            const field = form.querySelector("input");
            field.focus();
            const edge = (one) => one.getBoundingClientRect();
            const frames = [form, field].filter((one) => {
                const {outlineStyle, boxShadow} = getComputedStyle(one);
                return outlineStyle != "none" || boxShadow != "none";
            });
            return [edge(form.querySelector("i")).right
                    <= edge(field).left, frames.length];""") == [True, 1]
        assert window.run("return wrong") == []


def test_the_theme_switches_and_stays_switched(engine, home):
    dark = """
        const look = () => getComputedStyle(document.body).backgroundColor;
        const before = look();
        for (let clicks = 0; clicks < 3
             && document.documentElement.dataset.mode != MODE; clicks++)
            document.querySelector(".theme-switch-button").click();
        return [before, look()];"""
    with engine.open(1280) as window:
        window.goto(home + "notation.html")
        _, light = window.run(dark.replace("MODE", "'light'"))
        before, after = window.run(dark.replace("MODE", "'dark'"))
        assert before == light != after
        window.goto(home + "references.html")
        assert window.run(dark.replace("MODE", "'dark'"))[0] == after


def test_headings_and_tables_have_their_room(engine, home):
    with engine.open(1280) as window:
        for name in ("05-architecture", "10-measured-speed"):
            window.goto(f"{home}{name}.html")
            assert window.run("""
                document.head.append(Object.assign(
                    document.createElement("style"), {textContent:
                    "section {content-visibility: visible !important}"}));
                const all = (what) => [...document.querySelectorAll(what)];
                const cells = all("table.dataframe td");
                const narrow = cells.filter((cell) => parseFloat(
                    getComputedStyle(cell).paddingRight) < 4);
                const tall = all("article :is(h1, h2, h3)").filter((one) => {
                    const before = one.offsetHeight;
                    one.querySelector(".headerlink")?.remove();
                    return one.offsetHeight < before;
                });
                return [cells.length > 1, narrow.length,
                        tall.map((one) => one.innerText)];
                """) == [True, 0, []]


def test_on_your_device_makes_the_same_pictures_and_answers(engine, home):
    content = test_live.content_of(test_live.random_network(
        **test_live.TINY["network"]))
    images = test_live.pictures(8)
    expected = test_live.python_logits(content, images)
    given = [test_live.text(content), test_live.text(images.tobytes())]
    with engine.open(1280) as window:
        window.goto(home + "live.html")
        test_live.check_squares(window.run(test_live.SQUARES, *(
            test_live.text(content)
            for content, _ in test_live.ODD.values())))
        for path in ("simd", "plain"):
            np.testing.assert_allclose(
                window.run(test_live.LOGITS, *given, path), expected,
                rtol=0, atol=1e-3)
        assert window.run("""
            const find = (id) => document.getElementById(`live-${id}`);
            find("small").click();
            while (!live.network()) await new Promise(requestAnimationFrame);
            document.querySelector(".live-sample").click();
            while (find("asked").hidden)
                await new Promise(requestAnimationFrame);
            find("guesses").lastChild.click();
            return [find("verdict").textContent.split(".")[0],
                    find("shares").tBodies[0].rows.length,
                    find("maps").hidden, find("grid").width > 100];
            """) == ["You said none of these", 10, False, True]
        assert window.run("return wrong") == []
