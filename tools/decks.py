"""The chapters as slides: python tools/teaching.py slides.

tools/slides.py says what is on them; here nbconvert makes pages of it.
"""

import html
import importlib.util
import pathlib
import re
import shutil
import sys

import nbformat
import notebooks
import slides
from jinja2 import pass_context
from nbconvert import SlidesExporter
from nbconvert.filters.markdown_mistune import (
    IPythonRenderer,
    MarkdownWithMath,
)
from traitlets.config import Config

sys.path.append(str(notebooks.BOOK / "_extensions"))

import lean_site  # noqa: E402
import mathematics  # noqa: E402

PLACE = notebooks.BOOK.parent / "_build" / "slides"
TEMPLATE = pathlib.Path(__file__).with_suffix(".html.j2")
# What of reveal.js a deck loads; sphinx-revealjs carries it.
REVEAL = ("LICENSE", "dist/reset.css", "dist/reveal.css", "dist/reveal.js",
          "plugin/notes/notes.js", "plugin/zoom/zoom.js")


class Renderer(IPythonRenderer):
    """Markdown as HTML, its mathematics as the site has it."""

    def block_math(self, body):
        """Return a formula that stands alone."""
        return mathematics.displayed(*mathematics.converted(body, True))

    def inline_math(self, body):
        """Return a formula in a line of text."""
        return mathematics.converted(body, False)[0]

    def link(self, text, url, title=None):
        """Return a link; one to a page of the book is only its text."""
        return super().link(text, url, title) if "//" in url else text


class Exporter(SlidesExporter):
    """Slides that ask no other host for anything."""

    @pass_context
    def markdown2html(self, context, source):
        """Return Markdown as HTML."""
        renderer = Renderer(escape=False, exclude_anchor_links=True)
        return MarkdownWithMath(renderer=renderer).render(source)


def deck(path):
    """Return a chapter's slides as one page of HTML.

    Raises ValueError where the first cell is not the first slide.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = slides.shown(notebook)
    head = notebook.cells[0] if notebook.cells else None
    if not head or not head.source.startswith("# "):
        raise ValueError("the first cell, the title, is not on the slides")
    notebook.metadata.title = head.source.partition("\n")[0].strip("# ")
    page = (notebooks.BOOK / "chapter-notes.md").read_text(encoding="utf8")
    # What a class is asked to know and to spend is for the speaker.
    head.source, mark, needed = head.source.partition("**You need**")
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(
        f"{mark}{needed}\n\n{slides.teachers_notes(path.name, page)}",
        metadata={"slideshow": {"slide_type": "notes"}}))
    exporter = Exporter(
        exclude_input=True, exclude_output_prompt=True,
        raw_template=TEMPLATE.read_text(encoding="utf8"),
        config=Config({"CSSHTMLHeaderPreprocessor": {"style": "xcode"}}))
    return exporter.from_notebook_node(notebook)[0]


def assets(folder):
    """Write what the decks in a folder load, beside them."""
    package = importlib.util.find_spec("sphinx_revealjs")
    if not package:
        raise ValueError(
            "reveal.js comes with sphinx-revealjs:"
            " pip install -r requirements.txt")
    source = pathlib.Path(package.origin).parent / "_static" / "revealjs"
    target = folder / "assets"
    target.mkdir(parents=True, exist_ok=True)
    for name in REVEAL:
        shutil.copy(source / name, target)
    shutil.copy(notebooks.BOOK / "_static" / "favicon.svg", target)
    formulas = "".join(
        part for path in folder.glob("*.slides.html")
        for part in re.findall(
            r"<math\b.*?</math>", path.read_text(encoding="utf8"), re.DOTALL))
    letters = html.unescape(re.sub(r"<[^>]+>", "", formulas)) + "√"
    lean_site.cut(lean_site.STIX, target / "mathematics.woff2",
               [*map(ord, letters), *lean_site.ITALICS])


def write(paths, folder):
    """Write the decks of chapters, and what they load, into a folder.

    Raises ValueError where a chapter is not ready, with its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        try:
            text = deck(path)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
        target = folder / f"{path.stem}.slides.html"
        target.write_text(text, encoding="utf8")
        print(target)
    assets(folder)
