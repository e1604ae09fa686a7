"""A chapter that has everything but its content: notebooks.py new NAME.

Whatever has to be written says TODO, and check names each place.
"""

import re

import nbformat
import notebooks
import teaching
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HEAD = """# {number}. TODO: a topic, in two to five words

TODO: the chapter's question, in one line.

**You will be able to**

- TODO: three to five things;

**You need** TODO: the chapters before.

**Time** TODO minutes to read, TODO more for the exercises."""
QUESTIONS = """## Check yourself

Think first; then open the answer.

<details>
<summary>1. TODO: three to five questions, a block for each.</summary>

TODO: the answer.

</details>"""
EXERCISES = """## Exercises

Each exercise has a check, in a closed cell, which says what to look at where \
an answer is wrong; a cell for your answer, which runs the check; and a \
solution. Change `None` and run the cell."""
CHECK = '''# @title Check {n}
@careful
def check_{n}(answer):
    """Return a verdict on TODO."""
    return "correct" if answer == "TODO" else "TODO: a hint"'''
ANSWER = """answer_{n} = None  # TODO: what
print(check_{n}(answer_{n}))"""
SOLUTION = """<details>
<summary>Solution {n}</summary>

TODO: the way to it.

</details>"""
SOLVED = """# @title Solution {n}
solution_{n} = "TODO"
assert check_{n}(solution_{n}) == "correct"
print(solution_{n})"""


def text(source, kind="skip"):
    """Return a Markdown cell, skipped on the slides or of another kind."""
    return new_markdown_cell(source, metadata={
        "slideshow": {"slide_type": kind}})


def code(source, *tags, kind="skip", **metadata):
    """Return a code cell, skipped on the slides or of another kind."""
    return new_code_cell(source, metadata={
        "slideshow": {"slide_type": kind}, **metadata,
        **({"tags": list(tags)} if tags else {})})


def exercise(n, grade):
    """Return the cells of one exercise."""
    return [
        text(f"**Exercise {n} ({grade}, TODO minutes).** TODO: the task."),
        code(CHECK.format(n=n), "hide-input"), code(ANSWER.format(n=n)),
        text(SOLUTION.format(n=n)), code(SOLVED.format(n=n), "hide-cell")]


def chapter(number):
    """Return a notebook that check finds unfinished everywhere."""
    cells = [
        text(HEAD.format(number=number), "slide"),
        text("## TODO: a heading for each slide", "slide"),
        text("TODO: what the speaker says, on six slides or more.", "notes"),
        code("TODO = None", kind="fragment"),
        text(QUESTIONS, "slide"), text(EXERCISES),
        code("", "hide-input", embed=["verdicts"])]
    for n, grade in enumerate(teaching.GRADES, start=1):
        cells += exercise(n, grade)
    cells += [text("## Key points\n\n- TODO", "slide"),
              text("## Next\n\nTODO: what comes after this chapter.")]
    notebook = new_notebook(cells=cells)
    notebooks.sync(notebook)
    return notebook


def write(name, book=notebooks.BOOK):
    """Write a new chapter called 13-name; return what to do next.

    Raises ValueError for another form of name, and where there is one.
    """
    name = name.removesuffix(".ipynb")
    if not re.fullmatch(r"\d\d-[a-z0-9-]+", name):
        raise ValueError(f"{name} is not of the form 13-microcontroller")
    path = book / f"{name}.ipynb"
    if found := [one.name for one in book.glob(f"{name[:2]}-*.ipynb")]:
        raise ValueError(f"there is a chapter {name[:2]}: {found[0]}")
    nbformat.write(chapter(int(name[:2])), path)
    return (f"wrote book/{path.name}; python tools/notebooks.py check"
            f" book/{path.name} says what it lacks")
