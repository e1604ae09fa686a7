"""Whether a file may land: all that it lacks, from every part of the book.

A chapter is asked for what a notebook needs (notebooks.py), what it owes a
class (course.py), its slides (slides.py), its numbers (prose.py), and its
place in the book: contents, notes for the teacher, a measured cost, glossary
and notation. What two chapters share is asked of the later one.
"""

import csv
import functools
import re

import nbformat
import notebooks
import prose
import slides
import teaching

ADVICE = ("Show", "Ask", "Wrong answers", "Skip")
HEADS = {"you will be able to", "you need", "time"}
CHECK = re.compile(r"(?m)^(@careful\n)?def (check_\w+)\(")
# A table's line of heads, one of them empty: what it is about is not said.
HEADLESS = re.compile(r"(?m)^(?=.*\| *\|)\|.*\|$(?=\n\|[-:| ]+\|$)")
ENTRY = re.compile(r"(?m)^([A-Z]\S.*)\n(\S.*)\n((?:  .*\n)+)")


def markdown(notebook):
    """Return the Markdown of a notebook, a cell after the other."""
    return "\n\n".join(
        cell.source for cell in notebook.cells
        if cell.cell_type == "markdown")


class Book:
    """The book around a file, each part of it read once."""

    def __init__(self, folder=notebooks.BOOK):
        """Take the folder of the chapters and pages."""
        self.folder, self.pages = folder, {}

    def page(self, name):
        """Return the text of a Markdown page."""
        return self.pages.setdefault(name, (
            self.folder / f"{name}.md").read_text(encoding="utf8"))

    @functools.cached_property
    def contents(self):
        """Return the text of the table of contents."""
        return (self.folder.parent / "_toc.yml").read_text(encoding="utf8")

    @functools.cached_property
    def measured(self):
        """Return the names of the chapters whose cost was measured."""
        with (self.folder / "runs" / "chapters.csv").open(
                encoding="utf8", newline="") as file:
            return {row["chapter"] for row in csv.DictReader(file)}

    @functools.cached_property
    def chapters(self):
        """Return {name: notebook}, in order."""
        return {path.stem: nbformat.read(path, as_version=4)
                for path in sorted(self.folder.glob("[0-9]*.ipynb"))}

    @functools.cached_property
    def texts(self):
        """Return {name: Markdown} of the chapters, in order."""
        return {name: markdown(one) for name, one in self.chapters.items()}

    @functools.cache  # noqa: B019, a book lives as long as the command
    def says(self, name):
        """Return the numbers in all that a chapter prints and says."""
        notebook = self.chapters[name]
        return prose.Known(prose.printed(notebook) + " ".join(
            cell.source for cell in notebook.cells
            if not cell.metadata.get("embed")))

    @functools.cached_property
    def entries(self):
        """Return {term in lower case: (Korean, text)} of the glossary."""
        return {term.lower(): (korean, text) for term, korean, text
                in ENTRY.findall(self.page("glossary") + "\n")}

    @functools.cached_property
    def quoted(self):
        """Return the numbers that are quoted: dicts, a row each."""
        with (self.folder / "quoted.csv").open(
                encoding="utf8", newline="") as file:
            return list(csv.DictReader(file))


def spoken(term):
    """Return a term as a chapter may write it, without brackets or plural."""
    return term.partition(" (")[0].removesuffix("s")


def said(text):
    """Return Markdown without its mathematics and code, in lower case."""
    return re.sub(
        r"(?s)\$\$.*?\$\$|\$[^$]*\$|```.*?```|`[^`]*`", " ", text).lower()


def terms(texts):
    """Return the words in bold behind an article, or in bold twice."""
    bold = [term.strip() for text in texts for term in re.findall(
        r"\*\*([a-z][a-z -]+)\*\*", text)]
    behind = {term for text in texts for term in re.findall(
        r"\b(?:an?|the)\s+\*\*([a-z][a-z -]+)\*\*", text)}
    return behind | {t for t in bold if bold.count(t) > 1} - HEADS


def symbols(text):
    """Return the letters in the formulas of a Markdown text."""
    found = set()
    text = re.sub(r"(?s)```.*?```|`[^`]*`", " ", text)
    for displayed, inline in re.findall(
            r"(?s)\$\$(.*?)\$\$|\$([^$\n]+?)\$", text):
        formula = re.sub(
            r"\\(?:text|operatorname|mathsf|begin|end|tag)\{[^}]*\}", " ",
            displayed or inline)
        found |= set(re.findall(
            r"\\(?:alpha|beta|gamma|epsilon|eta|theta|lambda|mu|rho|sigma)\b"
            r"|(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])", formula))
    return found


def shared(found, name):
    """Return what a chapter is the second to have.

    found is {chapter: set}, in order.
    """
    order = list(found)
    before = [one for other in order[:order.index(name)]
              for one in found[other]]
    return {one for one in found[name] if before.count(one) == 1}


def word_problems(name, book):
    """Yield the terms and letters that glossary and notation lack."""
    texts = {one: said(text) for one, text in book.texts.items()}
    known = {spoken(term) for term in book.entries}
    bold = {term for term in terms(texts.values())
            if spoken(term) not in known}
    used = {one: {term for term in bold if spoken(term) in text}
            for one, text in texts.items()}
    for term in sorted(shared(used, name)):
        yield (f'book/glossary.md has no entry "{term}", which an earlier'
               " chapter has too, with its Korean below it")
    letters = {one: symbols(text) for one, text in book.texts.items()}
    lost = shared(letters, name) - symbols(book.page("notation"))
    for letter in sorted(lost):
        yield (f"book/notation.md lacks ${letter}$, which an earlier chapter"
               " has too")


def place_problems(name, book):
    """Yield what of the book does not know a chapter yet."""
    if not re.search(rf"(?m)^ *- file: book/{name}$", book.contents):
        yield f"_toc.yml has no line - file: book/{name}"
    if name not in book.measured:
        yield ("book/runs/chapters.csv has no row: python tools/teaching.py"
               f" measure book/{name}.ipynb")
    notes = book.page("chapter-notes")
    head = f"## [Chapter {int(name[:2])}: ...]({name}.ipynb)"
    pattern = re.escape(head).replace(r"\.\.\.", r"[^\n]*")
    if not re.search(rf"(?m)^{pattern}$", notes):
        yield f"book/chapter-notes.md has no {head}"
        return
    said = "\n" + slides.teachers_notes(f"{name}.ipynb", notes)
    for word in ADVICE:
        if f"\n**{word}.** " not in said:
            yield f"book/chapter-notes.md has no **{word}.** of this chapter"


def check_problems(notebook):
    """Yield what the checks of the exercises lack."""
    found = [match for cell in notebook.cells
             if cell.cell_type == "code" and not cell.metadata.get("embed")
             for match in CHECK.findall(cell.source)]
    for careful, check in found:
        if not careful:
            yield f"{check} is not @careful: an odd answer could stop it"
    if len(found) < 4:
        yield f"{len(found)} checks (def check_1), fewer than 4"


def table_problems(text):
    """Yield a line for each table with a column that has no head."""
    for found in HEADLESS.findall(text):
        yield f"a column of the table {found[:40]} ... has no head"


def left_open(notebook):
    """Yield the cells that somebody still has to write."""
    found = [str(number) for number, cell in enumerate(notebook.cells)
             if "TODO" in cell.source or "TODO" in str(cell.metadata)]
    if found:
        yield f"still TODO: cells {', '.join(found)}"


def chapter_problems(notebook, name, book):
    """Yield a line for everything that a chapter of a book lacks."""
    number = re.match(r"\d\d(?=-[a-z0-9-]+$)", name)
    if not number:
        yield "its name is not of the form 13-microcontroller"
        return
    if not notebook.cells or not notebook.cells[0].source.startswith(
            f"# {int(number[0])}. "):
        yield f'the title does not begin with "# {int(number[0])}. "'
    yield from left_open(notebook)
    yield from table_problems(markdown(notebook))
    yield from notebooks.problems(notebook, book.folder)
    yield from teaching.shortfalls(notebook)
    yield from check_problems(notebook)
    yield from slides.problems(
        notebook, teaching.census(notebook)["questions"])
    yield from place_problems(name, book)
    yield from word_problems(name, book)
    yield from prose.chapter_problems(notebook, f"{name}.ipynb", book)


def glossary_problems(book):
    """Yield what the entries of the glossary lack."""
    terms = list(book.entries)
    body = book.page("glossary").partition("```{glossary}\n")[2]
    if len(terms) != body.count("\n\n") + 1:
        yield "an entry is not a term, its Korean and a text set in"
    if terms != sorted(terms):
        yield "the terms are not in order"
    for term, (korean, text) in book.entries.items():
        if not re.search("[가-힣]", korean) and korean != "im2col":
            yield f"{term} has no Korean"
        link = re.search(r"\[Chapter (\d+)\]\((\d\d-[\w-]+)\.ipynb\)\.$",
                         re.sub(r"\s+", " ", text).strip())
        chapter = book.chapters.get(link[2]) if link else None
        if not chapter or int(link[1]) != int(link[2][:2]):
            yield f"{term} does not end with a link to its chapter"
        elif spoken(term) not in "\n".join(
                c.source for c in chapter.cells).lower().replace("_", " "):
            yield f"{term} is no word of {link[2]}"


def problems(path, book=None):
    """Return a line for everything that a file lacks."""
    book = book or Book()
    if path.suffix == ".md":
        found = [*prose.page_problems(path.stem, book),
                 *table_problems(path.read_text(encoding="utf8"))]
        if path.stem == "glossary":
            found += glossary_problems(book)
        return found
    known = path.resolve().parent == book.folder and path.stem in book.chapters
    notebook = book.chapters[path.stem] if known else nbformat.read(
        path, as_version=4)
    if notebooks.ASSIGNMENTS in path.resolve().parents:
        return list(notebooks.form_problems(notebook, book.folder))
    book.chapters[path.stem] = notebook
    return list(chapter_problems(notebook, path.stem, book))
