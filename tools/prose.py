"""Numbers in prose: each printed, worked out beside it, or quoted.

A figure is a number with a decimal point or a whole number from 10 on. Names
("chapter 4", "CIFAR-10"), years, code and the text of a link to another site
are none. The prose of a chapter may say a figure

- that a cell of the chapter prints or its visible code has, or that is rounded
  from one of those (a whole number only before a unit of SCALES);
- that is part of an equation which holds: "16 x 18 x 3 = 864";
- that book/quoted.csv lists for the page, with its source: "= 462.4 / 52.3",
  which must come to it; a file of book/, which must have it; a
  title, an address or "given", which nobody but you can check; or TO_SETTLE.

An equation of numbers must hold. A page of Markdown has no cells: from heading
to heading it may say what the chapters that it names print and say.
"""

import bisect
import functools
import itertools
import re

import nbformat

TO_SETTLE = "to be settled"
NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
# A unit and what one of it is in what a cell prints.
SCALES = {
    "%": (1, 0.01), "per": (1, 0.01), "percent": (1, 0.01),
    "points": (1, 0.01),
    "times": (1,), "thousand": (1, 1e3), "million": (1, 1e6),
    "billion": (1, 1e9), "kB": (1, 1e3), "KB": (1, 1e3), "MB": (1, 1e6),
    "GB": (1, 1e9), "J": (1,), "mJ": (1, 1e-3), "µJ": (1, 1e-6), "W": (1,),
    "ms": (1, 1e-3), "µs": (1, 1e-6), "minutes": (1,), "hours": (1,),
    "seconds": (1,)}
FIGURE = re.compile(
    rf"(?<![\w.,^_§-])({NUMBER})(?!\w|\.\d)(?:[  -]?(%|[µA-Za-z]+))?")
# What is no figure.
NONE = re.compile(
    r"```.*?```|`[^`]*`|\[[^\]]*\]\(https?:[^)]*\)|\]\([^)]*\)"
    r"|https?:[^\s>)]*|<[^>]*>|\*\*Time\*\*[^\n]*|^#+ [\d.]+ |^\d+\. "
    r"|\((?:count|modify|build|investigate), \d+ minutes\)|\(\d+\.\d+\)"
    r"|\b(?:[Cc]hapters?|[Ee]xercises?|[Tt]ables?|[Ff]igures?|[Ss]ections?"
    r"|[Ee]quations?|arXiv:?|[Ss]eeds?|Python|Keras|TensorFlow|CC BY"
    r"|[Ss]essions?|[Dd]ay|[Pp]ages?)\s+[\d.]+"
    r"(?:(?:,| and| or| to|–|, and)\s*[\d.]+)*"
    r"|(?<![\w,.])(?:19\d|20[0-3])\d(?![\d,.]\d|\s*(?:%|images|pixels))",
    re.DOTALL | re.MULTILINE)
MATHS = re.compile(r"\$\$(.*?)\$\$|\$([^$]*)\$", re.DOTALL)
TEX = [
    (r"\\(?:text|mathrm|operatorname|tag|mathsf)\{[^}]*\}", "§"),
    (r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)"),
    (r"\\frac(\d)(\d)", r"(\1)/(\2)"),
    (r"\\(?:times|cdot)\b", "×"), (r"\\approx\b", "≈"), (r"\{,\}", ","),
    (r"\\%", "%"), (r"\\[,;:! ]|\\q?quad\b|&|\\\\|\\left|\\right", " "),
    (r"\^\{?(-?\d+)\}?", r"^\1"), (r"[_^]\{[^}]*\}|_\w", "§"),
    (r"\\[a-zA-Z]+|[a-zA-Z]", "§"), (r"[{}]", " ")]


def plain(text):
    """Return Markdown without what is no figure, formulas as typed text.

    Letters of a formula become a sign that no number may touch.
    """
    def typed(match):
        formula = match[1] or match[2] or ""
        for pattern, by in TEX:
            formula = re.sub(pattern, by, formula)
        return formula
    text = re.sub(r"```.*?```|`[^`]*`", " § ", text, flags=re.DOTALL)
    return NONE.sub(" § ", MATHS.sub(typed, text))


# What an equation is made of, once it is plain.
EQUATION = re.compile(
    r"[-−(]*\d[-−\d.,()×·*/+^²³=≈%\s]*[=≈][-−\d.,()×·*/+^²³=≈%\s]*")
PYTHON = str.maketrans({
    "−": "-", "×": "*", "·": "*", "^": "**", "²": "**2", "³": "**3",
    ",": None})


def value(side):
    """Return what one side of an equation comes to, or None.

    A percentage is a hundredth of its number.
    """
    text = re.sub(rf"({NUMBER})\s*%", r"(\1/100)", side)
    text = re.sub(r"(?<![\d.])0+(?=\d)", "", text.translate(PYTHON).strip())
    if not re.fullmatch(r"[-+*/(). \n\d]+", text) or re.search(
            r"\*\*-?\d{4}|\*\*.*\*\*.*\*\*|\d\s+\d", text):
        return None
    try:
        return eval(text, {"__builtins__": {}})
    except (SyntaxError, TypeError, ArithmeticError):
        return None


def half(side):
    """Return half a unit of the last digit of a number standing alone."""
    alone = re.fullmatch(
        rf"-?({NUMBER})( ?%| [×·] 10\^(-?\d+))?", side.strip())
    if not alone:
        return 0
    digits = len(alone[1].partition(".")[2])
    unit = 10 ** int(alone[3]) if alone[3] else 0.01 if alone[2] else 1
    return 0.5000001 * 10 ** -digits * unit


def equations(text):
    """Yield (start, end, sides) of each equation that numbers alone make."""
    for found in EQUATION.finditer(text):
        sides = re.split("[=≈]", found[0])
        # A sentence may end, or go on, within what was found.
        sides[0] = re.split(r"[,.;]\s", sides[0])[-1]
        if text[:found.start()].rstrip()[-1:] in tuple("§^/×·*+-−=≈)"):
            sides[0] = ""  # part of more than numbers
        last = re.match(r"(?:[,.](?=\d)|[^,.])*", sides[-1])[0]
        goes_on = last == sides[-1] and text[found.end():].startswith("§")
        sides[-1] = "" if goes_on else last
        start = found.start() + found[0].index(sides[0])
        yield start, found.end(), sides, "≈" in found[0]


def agree(one, other, roughly=False):
    """Return whether two sides are equal, or None where it cannot be said."""
    a, b = value(one), value(other)
    if a is None or b is None:
        return None
    near = max(half(one) + half(other), 1e-9 * abs(a),
               0.05 * abs(a) if roughly else 0)
    return abs(a - b) <= near


def figures(text):
    """Yield (start, number, unit) of each figure in a plain text."""
    for found in FIGURE.finditer(text):
        if len(found[1]) > 1:
            yield found.start(1), found[1], found[2] or ""


class Known:
    """The numbers of a text."""

    def __init__(self, text):
        """Read them."""
        words = [one.replace(",", "").replace("_", "") for one in re.findall(
            r"(?<![A-Za-z_\d.])\d+(?:[,_]\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?",
            text)]
        self.words = set(words)
        self.values = sorted(map(float, words))

    @classmethod
    def all(cls, several):
        """Return the numbers of several texts that were read."""
        found = cls("")
        found.words = set().union(*(one.words for one in several))
        found.values = sorted(map(float, found.words))
        return found

    def has(self, number, unit=""):
        """Return whether a figure is one of these, or rounded from one."""
        number = number.replace(",", "")
        if number in self.words:
            return True
        digits = number.replace(".", "").lstrip("0")
        if len(digits) < 2 or "." not in number and unit not in SCALES:
            return False
        near = 0.5000001 * 10 ** -len(number.partition(".")[2])
        for scale in SCALES.get(unit, (1,)):
            low, high = ((float(number) + by) * scale for by in (-near, near))
            at = bisect.bisect_left(self.values, low)
            if at < len(self.values) and self.values[at] <= high:
                return True
        return False


def outputs(cell):
    """Return what a code cell prints, as text."""
    return " \n ".join(
        text for output in cell.outputs for text in (
            output.get("text", ""),
            output.get("data", {}).get("text/plain", "")))


def printed(notebook, steady=False):
    """Return the outputs of a chapter and the code that its reader sees.

    With steady, leave out cells that print something else in each run.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"
            and not (steady and "nbval-ignore-output" in cell.metadata.get(
                "tags", []))]
    seen = [cell.source for cell in code if not (
        {"hide-cell", "hide-input"} & set(cell.metadata.get("tags", [])))]
    return " \n ".join([*map(outputs, code), *seen])


@functools.cache
def named(path):
    """Return the numbers of a file: of a chapter, what its cells print."""
    if path.suffix == ".ipynb":
        return Known(printed(nbformat.read(path, as_version=4)))
    text = path.read_text(encoding="utf8")
    return Known(text.replace(",", " ") if path.suffix == ".csv" else text)


def unsourced(row, unit, folder):
    """Return why a row of quoted.csv gives its number no source, or ""."""
    source, number = row["source"].strip(), row["number"]
    if source.startswith("="):
        if agree(source[1:], number):
            return ""
        return f"{number} is not {source[1:].strip()}"
    if not source:
        return f"{number} has no source"
    path = folder / source
    if re.fullmatch(r"[\w./-]+", source) and path.exists() and not (
            named(path).has(number, unit)):
        return f"{source} has no {number}"
    return ""


def lost(text, known):
    """Return (figures without support, equations that do not hold).

    The first are (number, unit), the second texts.
    """
    held, wrong = set(), []
    for start, end, sides, roughly in equations(text):
        said = [agree(one, other, roughly)
                for one, other in itertools.pairwise(sides)]
        if False in said:
            wrong.append(" ".join(text[start:end].split()).rstrip(".,; "))
        elif True in said:
            held |= {number for _, number, _ in figures(text[start:end])}
    return [(number, unit) for _, number, unit in figures(text)
            if number not in held and not known.has(number, unit)], wrong


def text_problems(texts, name, book, steady=None):
    """Yield a line for each number of a page without source, and row unused.

    texts are (place, plain text, Known), name the file's. A row is of use,
    too, where its number is by chance printed by a cell that prints another
    in the next run; steady is Known without such cells.
    """
    rows = {row["number"]: row for row in book.quoted if row["page"] == name}
    used = {}
    for place, text, known in texts:
        if steady:
            used |= {number: unit for number, unit in lost(text, steady)[0]
                     if number in rows}
        figures_lost, wrong = lost(text, known)
        for equation in wrong:
            yield f"{place} says {equation}, which does not hold"
        for number, unit in dict.fromkeys(figures_lost):
            used[number] = unit
            if number not in rows:
                what = f"{number} {unit}" if unit in SCALES else number
                yield (f"{place} says {what}, which no cell prints, nor has"
                       " book/quoted.csv a source for it")
    for number, row in rows.items():
        if number not in used:
            yield f"book/quoted.csv lists {number} for it, without need"
        elif problem := unsourced(row, used[number], book.folder):
            yield f"book/quoted.csv: {problem}"


def chapter_problems(notebook, name, book):
    """Yield a line for each number of a chapter that nothing supports."""
    known = Known(printed(notebook))
    texts = []
    for number, cell in enumerate(notebook.cells):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        text = cell.source if cell.cell_type == "markdown" else alt
        texts.append((f"cell {number}", plain(text), known))
    yield from text_problems(
        texts, name, book, Known(printed(notebook, steady=True)))


def page_problems(stem, book):
    """Yield a line for each number of a Markdown page without support."""
    texts = []
    page = re.sub(r"\A---\n.*?\n---\n", "", book.page(stem), flags=re.DOTALL)
    split = r"\n\n" if stem == "glossary" else r"(?m)^(?=#+ )"
    for part in re.split(split, page):
        names = {int(one or other) for one, other in re.findall(
            r"\((\d\d)-[\w-]+\.ipynb|[Cc]hapter (\d+)", part)}
        known = Known.all(book.says(name) for name in book.chapters
                          if int(name[:2]) in names)
        place = f"the part {part.strip().partition(chr(10))[0]!r}"
        texts.append((place, plain(part), known))
    yield from text_problems(texts, f"{stem}.md", book)
