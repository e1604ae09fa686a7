"""What of a chapter is on its slides, and what its slides lack.

Every cell of a chapter says what it is on its slides, in the metadata that
Jupyter and nbconvert know: {"slideshow": {"slide_type": ...}}, with slide
(begins one), subslide (below it), fragment (appears on a key), notes (for the
speaker, beside the teacher's page on the first slide) or skip. A code cell
shows its figure, else its other outputs, else its code. Where notes follow
what a cell printed, their first sentence appears on the slide, on a key: it
reads the result. A <details> is an answer that appears on a key, and what
stands behind it begins a subslide.
"""

import base64
import copy
import re
import struct

import nbformat

TYPES = ("slide", "subslide", "fragment", "notes", "skip")
# Where a sentence ends: not in "1.5" or "(4.2)", nor before a small letter.
SENTENCE = re.compile(r"(?<=[.!?])(?:\*\*)?(?=\s+[^a-z\s]|$)")
DETAILS = re.compile(
    r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)


def opened(match):
    """Return a <details> as a question and an answer that appears."""
    question = match[1].strip()
    asked = "" if question == "Answer" else f"{question}\n\n"
    return (f'{asked}<div class="fragment answer">\n\n{match[2].strip()}'
            "\n\n</div>")


def last_on_slide(cells):
    """Return whether nothing but notes follows on the slide of the first."""
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type")
             for cell in cells]
    return next((kind for kind in kinds if kind not in ("notes", "skip")),
                "slide") != "fragment"


def reading(cell, above):
    """Yield the first sentence of notes, to stand below what above printed.

    None where that is a figure, which has its title, or code alone.
    """
    if above.cell_type != "code" or not above.outputs or any(
            "image/png" in output.get("data", {}) for output in above.outputs):
        return
    paragraph = cell.source.partition("\n\n")[0]
    ends = [found.end() for found in SENTENCE.finditer(paragraph)]
    for end in ends or [len(paragraph)]:
        sentence = paragraph[:end].strip()
        # No mark is open at its end.
        if not sentence.count("**") % 2 and not sentence.count("$") % 2:
            if sentence[0] not in "-*#|<" and len(sentence.split()) <= 40:
                yield nbformat.v4.new_markdown_cell(
                    sentence, metadata={
                        "slideshow": {"slide_type": "fragment"}})
            return


def tall(image):
    """Return whether a PNG is better beside the text than below it."""
    try:
        # The head of a PNG tells its width and height.
        width, height = struct.unpack(
            ">2I", base64.b64decode(image[:32])[16:24])
    except (ValueError, struct.error):
        return False
    return width < 1.5 * height


def slide_cells(cell, kind):
    """Yield a cell as its slide has it, or a cell for each question in it."""
    if cell.cell_type == "markdown":
        for part in re.split(r"(?<=</details>)\n+(?=\S)", cell.source):
            yield nbformat.v4.new_markdown_cell(
                DETAILS.sub(opened, part),
                metadata={"slideshow": {"slide_type": kind}})
            kind = "subslide"
        return
    for output in cell.outputs:
        if image := output.get("data", {}).get("image/png"):
            cell.metadata.tall = tall(image)
            cell.outputs = [output]
    yield cell


def shown(notebook):
    """Return the cells of a chapter that are on its slides or notes.

    Raises ValueError for a cell that does not say what it is there.
    """
    cells, section = [], ""
    for number, cell in enumerate(notebook.cells):
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if kind not in TYPES:
            raise ValueError(f"cell {number} has slide_type {kind!r}, not one"
                             f" of {', '.join(TYPES)}")
        if cell.cell_type == "markdown":
            section = (re.findall(r"(?m)^##+ (.*)", cell.source)
                       or [section])[-1]
        below = notebook.cells[number:]
        if kind == "notes" and cells and last_on_slide(below):
            cells += reading(cell, cells[-1])
        for part in slide_cells(cell, kind) if kind != "skip" else ():
            # A slide without a heading of its own says where it belongs.
            if part.cell_type == "code" or part.source[0] != "#":
                part.metadata.section = section
            cells.append(part)
    return cells


def teachers_notes(name, page):
    """Return what the teacher's page says of a chapter, as Markdown."""
    found = re.search(
        rf"(?ms)^## \[[^\n]*\]\({name}\)\n(.*?)(?=^## |\Z)", page)
    return found[1].strip() if found else ""


def untyped(notebook):
    """Yield a line for the cells that do not say what they are on a slide."""
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type")
             for cell in notebook.cells]
    if lost := [str(n) for n, kind in enumerate(kinds) if kind not in TYPES]:
        yield (f"no slide type, one of {', '.join(TYPES)}: cells"
               f" {', '.join(lost)}")


def problems(notebook, questions):
    """Yield a line for each thing that the slides of a chapter lack.

    questions is how many the chapter asks under "Check yourself".
    """
    if any(untyped(notebook)):
        yield from untyped(notebook)
        return
    cells = shown(copy.deepcopy(notebook))
    text = [cell.source for cell in cells if cell.cell_type == "markdown"]
    if not cells or not cells[0].source.startswith("# "):
        yield "slides: the first cell, the title, is not on them"
    heads = [h for one in text for h in re.findall(r"(?m)^## (.*)", one)]
    if heads[-2:] != ["Check yourself", "Key points"]:
        yield "slides: they do not end with Check yourself and Key points"
    answers = "".join(text).count('<div class="fragment answer">')
    if answers != questions:
        yield f"slides: {answers} answers for {questions} questions"
    if not any("$" in one for one in text):
        yield "slides: no formula"
    if not any("image/png" in output.get("data", {}) for cell in cells
               for output in cell.get("outputs", [])):
        yield "slides: no figure"
    yield from number_problems([
        cell.metadata.get("slideshow", {}).get("slide_type", "")
        for cell in cells])


def number_problems(kinds):
    """Yield whether there are too few or many slides, or notes on them."""
    if not 12 <= kinds.count("slide") <= 20:
        yield f"slides: {kinds.count('slide')} of them, not 12 to 20"
    places = [sum(kind in TYPES[:2] for kind in kinds[:n])
              for n, kind in enumerate(kinds) if kind == "notes"]
    # The first has the teacher's page.
    if (noted := len({1, *places})) < 6:
        yield f"slides: the speaker has notes on {noted}, fewer than 6"
