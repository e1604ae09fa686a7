"""The slides: what nbconvert makes of each chapter, in a browser too.

A deck is made when a test first asks for it, so that a chapter that cannot be
one fails under its own name.
"""

import re

import decks
import nbformat
import notebooks
import pytest
import teaching
from bs4 import BeautifulSoup

CHAPTERS = {path.stem: path for path in sorted(notebooks.BOOK.glob("*.ipynb"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the decks lie, each in a folder of its own."""
    return tmp_path_factory.mktemp("decks")


def deck_folder(folder, name):
    """Return the folder with a chapter's deck, written if it is not."""
    place = folder / name
    if not (place / f"{name}.slides.html").exists():
        decks.write([CHAPTERS[name]], place)
    return place


def deck(folder, name):
    """Return a deck as parsed, and its slides."""
    place = deck_folder(folder, name)
    text = (place / f"{name}.slides.html").read_text(encoding="utf8")
    page = BeautifulSoup(text, "html.parser")
    return page, page.select("section > section")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_deck_goes_from_the_title_to_the_key_points(name, folder):
    page, shown = deck(folder, name)
    notebook = nbformat.read(CHAPTERS[name], as_version=4)
    title = notebook.cells[0].source.partition("\n")[0].strip("# ")
    assert page.title.text == shown[0].h1.text == title
    assert "You will be able to" in shown[0].text
    assert len(page.select(".slides > section")) in range(12, 21)
    heads = [one.h2.text for one in shown if one.h2]
    assert heads[-2:] == ["Check yourself", "Key points"]
    # Every question that the chapter has, each on a slide of its own.
    answers = [len(one.select(".fragment.answer")) for one in shown]
    assert sum(answers) == teaching.census(notebook)["questions"]
    assert max(answers) == 1


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_deck_has_figures_formulas_and_notes_and_no_code_of_a_figure(
        name, folder):
    page, shown = deck(folder, name)
    assert page.select("img") and page.select("math")
    assert all(len(one["alt"]) >= 20 for one in page.select("img"))
    assert "plt." not in "".join(one.text for one in shown)
    assert not re.search(
        r"\$\$|\\frac|\\sum|\\tag|</?details", page.text + str(page.body))
    notes = shown[0].aside.text
    for word in ("You need", "Show.", "Ask.", "Wrong answers.", "Skip."):
        assert word in notes
        assert word not in shown[0].text.replace(notes, "")
    assert sum(bool(one.aside) for one in shown) >= 6
    for one in page.select("pre, code, script"):
        one.decompose()
    assert "$" not in page.text


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_deck_loads_nothing_but_what_lies_beside_it(name, folder):
    page, _ = deck(folder, name)
    wanted = [one.get("src") or one["href"] for one in page.select(
        "script[src], link[href], img, iframe, source, video, audio")]
    wanted += re.findall(r"""url\(["']?(.*?)["']?\)""", str(page.head))
    files = [one for one in wanted if not one.startswith("data:image/")]
    assert len(files) >= 6
    assert all((folder / name / one).is_file() for one in files), files
    # A page of the book is not there to be followed.
    assert all("//" in one["href"] for one in page.select("section a"))


# What a deck says of its slides, with all that a key makes appear. Sizes are
# those of a screen of 1280 x 720.
LOOK = """async () => {
    await document.fonts.ready;
    const found = {small: [], over: [], figures: [], formulas: 0};
    for (const slide of Reveal.getSlides()) {
        const {h, v} = Reveal.getIndices(slide), name = `${h + 1}.${v + 1}`;
        Reveal.slide(h, v, 99);
        const page = slide.querySelector(".page");
        const box = page.getBoundingClientRect();
        const all = [...page.querySelectorAll("*")].filter(
            one => !one.closest("aside") && !one.parentNode.closest("math"));
        const figures = all.filter(one => one.localName == "img");
        for (const one of all) {
            const own = one.getBoundingClientRect();
            if (own.bottom > box.bottom + 1 || own.right > box.right + 1)
                found.over.push([name, one.outerHTML.slice(0, 80)]);
            const text = [...one.childNodes].some(
                node => node.nodeType == 3 && node.data.trim());
            if (text && parseFloat(getComputedStyle(one).fontSize) < 24)
                found.small.push([name, one.outerHTML.slice(0, 80)]);
            if (one.localName == "math" && own.height > 4)
                found.formulas += 1;
            if (one.localName == "img")
                found.figures.push(Math.min(
                    one.clientWidth, one.clientHeight, one.naturalWidth));
        }
        // Text beside or above a figure does not run into it.
        for (const figure of figures)
            for (const one of all) {
                const own = one.getBoundingClientRect();
                const it = figure.getBoundingClientRect();
                if (!one.contains(figure) && own.width && own.height
                        && own.right > it.left + 1 && own.left < it.right - 1
                        && own.bottom > it.top + 1 && own.top < it.bottom - 1)
                    found.over.push([name, one.outerHTML.slice(0, 80)]);
            }
    }
    return found;
}"""


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_slide_overflows_and_all_can_be_read_from_afar(
        running, folder, name):
    context = running.new_context(viewport={"width": 1280, "height": 720})
    page, wrong = context.new_page(), []
    page.on("console", lambda message: message.type in ("error", "warning")
            and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: request.url.startswith(
        ("data:", "file:")) or wrong.append(request.url))
    page.goto((
        deck_folder(folder, name) / f"{name}.slides.html").as_uri())
    page.wait_for_function("Reveal.isReady()")
    found = page.evaluate(LOOK)
    assert not wrong and not found["over"] and not found["small"]
    assert min(found["figures"]) > 200 and found["formulas"] > 0
    assert page.evaluate(
        "document.fonts.check('20px \"Book Mathematics\"')")
    context.close()
