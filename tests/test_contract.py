"""Whether a chapter may land: each rule broken once, then every file.

Chapter 4 lacks nothing; each test takes one thing from it, or from the book
around it, and expects to be told.
"""

import copy
import pathlib
import re
import shutil

import contract
import nbformat
import notebooks
import pytest
import skeleton
import slides
import teaching
from nbformat.v4 import new_markdown_cell

NAME = "04-counting-costs"
FILES = sorted([
    *notebooks.BOOK.glob("*.ipynb"), *notebooks.BOOK.glob("*.md"),
    *notebooks.ASSIGNMENTS.glob("*/*.ipynb")])


@pytest.fixture(scope="module")
def read():
    """The book, read once."""
    book = contract.Book()
    for name in ("glossary", "notation", "chapter-notes"):
        book.page(name)
    assert len(book.texts) >= 12 and book.entries and book.quoted
    assert book.contents and book.measured
    return book


@pytest.fixture
def book(read):
    """The book, to be changed."""
    return copy.deepcopy(read)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_lacks_nothing(path, read):
    if path.suffix == ".ipynb":
        nbformat.validate(nbformat.read(path, as_version=4))
    assert contract.problems(path, read) == []


def replaced(page, before, after):
    """Return a function that changes a page of a book."""
    def change(book):
        assert before in book.page(page)
        book.pages[page] = book.page(page).replace(before, after)
        vars(book).pop("entries", None)
    return change


def said(text, name=NAME):
    """Return a function that adds Markdown to a chapter, and nothing else."""
    def change(book):
        book.chapters[name].cells.append(new_markdown_cell(
            text, metadata={"slideshow": {"slide_type": "skip"}}))
        vars(book).pop("texts", None)
    return change


def cell(find, change):
    """Return a function that changes the first cell that find picks."""
    def change_it(book):
        change(next(one for one in book.chapters[NAME].cells if find(one)))
    return change_it


def kind(before, after):
    """Return a function that changes the slide type of some cells."""
    def change(book):
        for one in book.chapters[NAME].cells[1:]:
            if one.metadata.slideshow.slide_type == before:
                one.metadata.slideshow.slide_type = after
    return change


def without_figures(book):
    for one in book.chapters[NAME].cells:
        if one.metadata.get("mystnb"):
            one.metadata.slideshow.slide_type = "skip"


def both(*changes):
    """Return a function that makes several changes."""
    return lambda book: [change(book) for change in changes]


def noted(before, after):
    """Return a function that changes what the teacher reads of a chapter."""
    def change(book):
        head, mark, rest = book.page("chapter-notes").partition(
            f"]({NAME}.ipynb)\n")
        assert before in rest
        book.pages["chapter-notes"] = (
            head + mark + rest.replace(before, after, 1))
    return change


LACKS = {
    "a title": (
        cell(lambda c: c.source.startswith("# 4."), lambda c: c.update(
            source=c.source.replace("# 4.", "# 5."))),
        'the title does not begin with "# 4. "'),
    "text": (said("TODO: the end"), "still TODO: cells "),
    "a head": (
        said("| | a |\n|---|---|\n| b | c |"),
        "a column of the table | | a | ... has no head"),
    "contents": (
        lambda book: setattr(book, "contents", book.contents.replace(
            f"- file: book/{NAME}\n", "")),
        f"_toc.yml has no line - file: book/{NAME}"),
    "a measured cost": (
        lambda book: book.measured.discard(NAME),
        "runs/chapters.csv has no row: python tools/teaching.py measure"),
    "a place in the notes": (
        replaced("chapter-notes", f"]({NAME}.ipynb)\n", "](04.ipynb)\n"),
        "chapter-notes.md has no ## [Chapter 4: ...](04-counting"),
    **{f"{word} in the notes": (
        noted(f"**{word}.** ", ""), f"has no **{word}.** of this chapter")
       for word in contract.ADVICE},
    "a careful check": (
        cell(lambda c: "@careful\ndef check_2" in c.source,
             lambda c: c.update(source=c.source.replace("@careful\n", ""))),
        "check_2 is not @careful"),
    "four checks": (
        lambda book: [one.update(source=one.source.replace(
            "def check_", "def look_")) for one in book.chapters[NAME].cells],
        "0 checks (def check_1), fewer than 4"),
    "a term in the glossary": (
        both(said("A **wobbly kernel** wobbles."),
             said("Wobbly kernels.", "02-convolution")),
        'glossary.md has no entry "wobbly kernel"'),
    "a letter in the notation": (
        both(said("$Q$"), said("$$Q + 1$$", "02-convolution")),
        "notation.md lacks $Q$"),
    "a slide type": (
        cell(lambda c: c.source.startswith("## "),
             lambda c: c.metadata.pop("slideshow")),
        "no slide type, one of slide, subslide, fragment, notes, skip: cells"
        " 2"),
    "its title on the slides": (
        lambda book: book.chapters[NAME].cells[0].metadata.slideshow.update(
            slide_type="skip"),
        "slides: the first cell, the title, is not on them"),
    "slides": (kind("slide", "subslide"), "slides: 1 of them, not 12 to 20"),
    "an end of the slides": (
        cell(lambda c: c.source.startswith("## Key points"),
             lambda c: c.metadata.slideshow.update(slide_type="skip")),
        "slides: they do not end with Check yourself and Key points"),
    "answers": (
        cell(lambda c: c.source.startswith("## Check yourself"),
             lambda c: c.metadata.slideshow.update(slide_type="skip")),
        "answers for"),
    "a figure": (without_figures, "slides: no figure"),
    "notes for the speaker": (
        kind("notes", "skip"), "slides: the speaker has notes on 1, fewer"),
    "an objective": (
        lambda book: book.chapters[NAME].cells[0].update(
            source=book.chapters[NAME].cells[0].source.replace("- ", "+ ")),
        "0 objectives, not 3 to 5"),
    "a section": (
        lambda book: book.chapters[NAME].cells.pop(), "there is no ## Next"),
    "a source of a number": (
        said("It takes 7,654,321 steps."),
        " says 7,654,321, which no cell prints"),
}


def lacks(book, name=NAME):
    return list(contract.chapter_problems(book.chapters[name], name, book))


@pytest.mark.parametrize("what", LACKS)
def test_what_a_chapter_lacks_is_named(what, book):
    change, words = LACKS[what]
    change(book)
    found = lacks(book)
    assert any(words in line for line in found), found


def test_what_one_chapter_lacks_no_other_is_asked_for(book):
    said("A **wobbly kernel** is $Q$.")(book)
    said("Wobbly kernels are $Q$.", "02-convolution")(book)
    assert len(lacks(book)) == 2  # 4 is the second to use it
    for name in book.chapters:
        assert name == NAME or lacks(book, name) == [], name


def test_all_lacks_are_named_at_once(book):
    for change, _ in (LACKS["contents"], LACKS["Ask in the notes"],
                      LACKS["a careful check"], LACKS["a section"]):
        change(book)
    found = "\n".join(lacks(book))
    for _, words in (LACKS["contents"], LACKS["Ask in the notes"],
                     LACKS["a careful check"], LACKS["a section"]):
        assert words in found


@pytest.mark.parametrize("before, after, words", [
    ("\nPadding\n패딩 (loan)", "\nPadding\n(loan)", "padding has no Korean"),
    ("\nActivation", "\nZactivation", "not in order"),
    ("02-convolution.ipynb", "02-gone.ipynb", "does not end with a link"),
    ("\nPadding\n", "\nPuffing\n", "puffing is no word of"),
    ("\nPadding\n", "\nPadding\n\n", "an entry is not a term")])
def test_what_a_glossary_lacks_is_named(before, after, words, book):
    replaced("glossary", before, after)(book)
    found = list(contract.glossary_problems(book))
    assert any(words in line for line in found), found


def test_the_glossary_and_the_notation_are_read(read):
    assert len(read.entries) > 60
    used = set().union(*map(contract.symbols, read.texts.values()))
    # The K is that of the paper's D_K, which no chapter writes.
    noted = contract.symbols(read.page("notation"))
    assert len(noted) > 30 and noted - used <= {"K"}


def test_a_new_chapter_lacks_everything_that_somebody_has_to_write(
        tmp_path, book):
    assert "check book/13-phones.ipynb" in skeleton.write(
        "13-phones", tmp_path)
    notebook = nbformat.read(tmp_path / "13-phones.ipynb", as_version=4)
    nbformat.validate(notebook)
    book.chapters["13-phones"] = notebook
    del book.texts
    found = "\n".join(lacks(book, "13-phones"))
    for words in (
            "still TODO: cells 0, 1,", "never run", "objectives", "questions",
            "exercise 4: no minutes", "slides: no figure", "_toc.yml has no",
            "chapters.csv has no row", "chapter-notes.md has no"):
        assert words in found
    # What is there already is as it should be.
    for words in ("noise", "closed", "differs", "there is no", "no check",
                  "solution", "careful", "uses", "no slide type", "title"):
        assert words not in found


@pytest.mark.parametrize("name, words", [
    ("12-phones", "there is a chapter 12"), ("phones", "not of the form"),
    ("13-Phones", "not of the form")])
def test_a_new_chapter_with_another_name_is_refused(
        name, words, tmp_path, monkeypatch, capsys):
    shutil.copy(notebooks.BOOK / "12-training-at-scale.ipynb", tmp_path)
    with pytest.raises(ValueError, match=words):
        skeleton.write(name, tmp_path)
    monkeypatch.setattr("sys.argv", ["notebooks.py", "new", name])
    assert notebooks.main() == 1
    assert words in capsys.readouterr().out


def test_sync_and_check_take_all_chapters_and_assignments(
        monkeypatch, capsys):
    done = []
    monkeypatch.setattr(
        notebooks, "renew", lambda path, *_: done.append(path.name))
    monkeypatch.setattr(
        contract, "problems", lambda path, book: done.append(path.name) or [])
    for action, names in (
            ("sync", {p.name for p in FILES if p.suffix == ".ipynb"}),
            ("check", {p.name for p in FILES}),
            ("execute", {p.name for p in notebooks.BOOK.glob("*.ipynb")})):
        done.clear()
        monkeypatch.setattr("sys.argv", ["notebooks.py", action])
        assert notebooks.main() == 0
        assert set(done) == names and len(done) == len(names)


def test_an_assignment_with_noise_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "ASSIGNMENTS", tmp_path)
    path = next(p for p in FILES if p.parent.name == "counting")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.colab = {}
    (tmp_path / "counting").mkdir()
    target = tmp_path / "counting" / path.name
    nbformat.write(notebook, target)
    assert contract.problems(target) == [
        "the notebook's metadata is noise (colab): run sync"]


def test_contributing_names_every_command_that_there_is():
    root = pathlib.Path(contract.__file__).parent.parent
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf8")
    for action in ("sync", "check", "execute", "new"):
        assert f"python tools/notebooks.py {action}" in text
    for name in re.findall(r"(?:python |`)((?:tools|book)/[\w./-]+)", text):
        assert "NN-name" in name or "NAME" in name or "13-" in name or (
            root / name).exists(), name


def test_slide_rules_leave_a_chapter_as_it_is(book):
    notebook = book.chapters[NAME]
    before = copy.deepcopy(notebook)
    list(slides.problems(notebook, teaching.census(notebook)["questions"]))
    assert notebook == before
