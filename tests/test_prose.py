"""Numbers in prose: what is one, what supports it, and what is found."""

import copy
import random
import re

import contract
import nbformat
import prose
import pytest

READ = contract.Book()
KNOWN = prose.Known("462,422,016 8.84 0.8628 17 128_000 2.5e3 [3,4]")


@pytest.mark.parametrize("text, expected", [
    ("It costs 462.4 million, or 8.84 times 52.", "462.4 8.84 52"),
    ("Take 9 of 10 images.", "10"), ("From 96 to 128 px.", "96 128"),
    ("[62.3 million](https://example.org/a_1.5) steps", ""),
    ("[chapter 12](12-training-at-scale.ipynb) has 34 cells.", "34"),
    ("CIFAR-10, int8, VGG-16 and ReLU6 in 2017", ""),
    ("See (4.2), table 10, exercises 11 and 12 and figure 13.", ""),
    ("**Time** 60 minutes to read", ""), ("### 4.2 Exactly", ""),
    ("**Exercise 3 (build, 25 minutes).** Take 77.", "77"),
    ("`x = 45` and\n```\n67\n```\nand 89.", "89"),
    (r"$133{,}376 \times 1.5$ and $x^{24}$", "133,376 1.5"),
    ("a 32-pixel image, 3.5 %, 4096 bytes.", "32 3.5 4096"),
    ("They take 2048 bytes and 1,024, and 0.5.", "2048 1,024 0.5")])
def test_what_is_a_figure(text, expected):
    found = [number for _, number, _ in prose.figures(prose.plain(text))]
    assert found == expected.split()


@pytest.mark.parametrize("number, unit, expected", [
    ("462,422,016", "", True), ("462422016", "", True), ("462", "", False),
    ("462", "million", True), ("462.4", "million", True),
    ("462.5", "million", False), ("463", "million", False),
    ("8.84", "times", True), ("8.8", "times", True), ("8.9", "times", False),
    ("9", "times", False), ("86.28", "%", True), ("86.3", "%", True),
    ("86.2", "%", False), ("86.3", "", False), ("17", "", True),
    ("16", "%", False), ("128,000", "", True), ("2,500", "", False),
    ("2.5", "thousand", True),
    ("34", "", False)])
def test_a_figure_is_known_as_printed_or_rounded_from_it(
        number, unit, expected):
    assert KNOWN.has(number, unit) is expected


@pytest.mark.parametrize("text, expected", [
    ("So 16 × 18 × 3 = 864 of them.", True),
    ("So 16 × 18 × 3 = 865 of them.", False),
    (r"$$\frac{1}{3} + \frac{1}{9} = \frac{4}{9}$$", True),
    (r"$$\frac{1}{3} + \frac{1}{9} = \frac{5}{9}$$", False),
    ("1/3 + 1/4 = 7/12 = 14/24.", True), ("1/3 + 1/4 = 7/12 = 15/24.", False),
    ("That is 18/25 = 72 %.", True), ("That is 18/25 = 73 %.", False),
    (r"$(9 + 512) \cdot 256 = 133{,}376$, so", True),
    (r"$(9 + 512) \cdot 256 = 133{,}476$, so", False),
    ("64/6 = 10.7 mJ and 284/18 = 15.8 mJ", True),
    ("64/6 = 10.7 mJ and 284/18 = 15.9 mJ", False),
    (r"$3 \times 7 \times 10^{9} = 2.1 \times 10^{10}$ each", True),
    (r"$3 \times 7 \times 10^{9} = 2.2 \times 10^{10}$ each", False),
    ("0.99^50 = 0.605 of it", True), ("0.99^50 = 0.606 of it", False),
    ("The sum is 92.64 − 91.48 = 1.16, which", True),
    ("The sum is 92.64 − 91.48 = 1.26, which", False),
    (r"$k^2 = 9$, $2k = 6$ and $M = 3 \cdot 5$", None),
    (r"$\alpha^2 = 0.0625$. Then", None), ("x = 3, 4 and 5", None)])
def test_an_equation_of_numbers_must_hold(text, expected):
    _, wrong = prose.lost(prose.plain(text), KNOWN)
    assert bool(wrong) is (expected is False)
    said = [prose.agree(*pair) for *_, sides, _ in prose.equations(
        prose.plain(text)) for pair in zip(sides, sides[1:])]
    assert (expected in said) or expected is None and not any(
        one is False for one in said)


@pytest.mark.parametrize("source, number, unit, words", [
    ("= 160 × 9 / 2", "720", "", ""),
    ("= 160 × 9 / 2", "721", "", "721 is not 160 × 9 / 2"),
    ("= the moon", "721", "", "721 is not the moon"),
    ("paper/table8.csv", "70.6", "%", ""),
    ("paper/table8.csv", "70.7", "%", "paper/table8.csv has no 70.7"),
    ("04-counting-costs.ipynb", "8.84", "times", ""),
    ("04-counting-costs.ipynb", "8.48", "times", "has no 8.48"),
    ("Horowitz 2014", "45", "nm", ""), ("", "45", "nm", "has no source")])
def test_a_source_that_can_be_looked_up_is(source, number, unit, words):
    found = prose.unsourced(
        {"number": number, "source": source}, unit, READ.folder)
    assert found == words or words and words in found


def test_a_source_that_no_number_needs_is_named():
    book = copy.copy(READ)
    book.quoted = [*READ.quoted, {
        "page": "index.md", "number": "4,321", "source": "given"}]
    assert list(prose.page_problems("index", book)) == [
        "book/quoted.csv lists 4,321 for it, without need"]


@pytest.mark.parametrize("tags, found", [
    (["nbval-ignore-output"], []),
    ([], ["book/quoted.csv lists 77 for it, without need"])])
def test_a_row_is_of_use_where_only_a_measurement_prints_its_number(
        tags, found):
    cell = nbformat.v4.new_code_cell("print(measured())", outputs=[
        nbformat.v4.new_output("stream", text="77 ms")])
    cell.metadata.tags = tags
    notebook = nbformat.v4.new_notebook(cells=[
        cell, nbformat.v4.new_markdown_cell("Take 77 maps.")])
    book = copy.copy(READ)
    book.quoted = [{"page": "x.ipynb", "number": "77", "source": "given"}]
    assert list(prose.chapter_problems(notebook, "x.ipynb", book)) == found


def test_what_is_to_be_settled_shrinks_and_each_page_is_there():
    left = [row for row in READ.quoted if row["source"] == prose.TO_SETTLE]
    assert len(left) <= 77  # never more
    for row in READ.quoted:
        assert (READ.folder / row["page"]).exists(), row
    keys = [(row["page"], row["number"]) for row in READ.quoted]
    assert len(keys) == len(set(keys))


def said(notebook, before, after):
    """Return a notebook that says something else in its prose."""
    notebook = copy.deepcopy(notebook)
    found = [cell for cell in notebook.cells
             if cell.cell_type == "markdown" and before in cell.source]
    assert found
    found[0].source = found[0].source.replace(before, after, 1)
    return notebook


@pytest.mark.parametrize("name, before, after", [
    ("04-counting-costs", "8.84 to 8.92", "8.48 to 8.92"),
    ("04-counting-costs", "costs 0.0657", "costs 0.0675"),
    ("04-counting-costs", "568,740,352", "568,740,325"),
    ("04-counting-costs", "26{,}141{,}696", "26{,}141{,}969"),
    ("04-counting-costs", "1.1 billion", "1.2 billion"),
    ("01-why-small", "2.6/15.3 = 0.17", "2.6/15.3 = 0.71"),
    ("11-deployment", "| floats | 0.709", "| floats | 0.790")])
def test_a_wrong_number_is_named_with_its_cell(name, before, after):
    notebook = said(READ.chapters[name], before, after)
    number = next(n for n, (one, other) in enumerate(zip(
        notebook.cells, READ.chapters[name].cells)) if one != other)
    found = list(prose.chapter_problems(notebook, f"{name}.ipynb", READ))
    assert any(line.startswith(f"cell {number} says ") for line in found)


def test_a_wrong_number_in_an_alt_text_is_named():
    name = "04-counting-costs"
    notebook = copy.deepcopy(READ.chapters[name])
    number, cell = next((n, c) for n, c in enumerate(notebook.cells)
                        if c.metadata.get("mystnb"))
    cell.metadata.mystnb.image.alt += " It ends at 7,654.3."
    assert list(prose.chapter_problems(notebook, f"{name}.ipynb", READ)) == [
        f"cell {number} says 7,654.3, which no cell prints, nor has"
        " book/quoted.csv a source for it"]


def test_a_wrong_number_on_a_page_is_named():
    book = copy.copy(READ)
    text = READ.page("chapter-notes")
    assert "89.14 %" in text
    book.pages = {"chapter-notes": text.replace("89.14 %", "98.41 %")}
    assert any("says 98.41 %" in line for line in prose.page_problems(
        "chapter-notes", book))


def changes(name):
    """Yield whether one digit, changed by chance, of each number is found.

    Of the numbers with three digits or more in the Markdown of a chapter.
    """
    known = prose.Known(prose.printed(READ.chapters[name]))
    quoted = {row["number"] for row in READ.quoted
              if row["page"] == f"{name}.ipynb"}
    chance = random.Random(1)
    for cell in READ.chapters[name].cells:
        text = prose.plain(cell.source * (cell.cell_type == "markdown"))
        for start, number, _ in prose.figures(text):
            if len(re.sub(r"\D", "", number).lstrip("0")) < 3:
                continue
            at = start + chance.choice(
                [n for n, one in enumerate(number) if one.isdigit()])
            digit = chance.choice([d for d in "123456789" if d != text[at]])
            lost, wrong = prose.lost(text[:at] + digit + text[at + 1:], known)
            yield bool(wrong or {number for number, _ in lost} - quoted)


def test_a_number_is_hardly_changed_unnoticed():
    found = [one for name in READ.chapters for one in changes(name)]
    assert len(found) > 700 and sum(found) > 0.93 * len(found)
