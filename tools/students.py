"""The students' tree: the book without what only a teacher needs.

Every file that git tracks is copied, but for LEFT_OUT. Chapters lose their
solutions, and the pages that lead to what is left out lose the lines that do.
"""

import pathlib
import re
import shutil
import subprocess

import nbformat
import notebooks
import teaching

# Folders end with a slash. tests/ has answers, and test.yml runs it; the two
# guides of the project speak of both.
LEFT_OUT = (
    "course/", "tests/", ".ci/", ".github/workflows/test.yml",
    "book/for-instructors.md", "book/chapter-notes.md", "CONTRIBUTING.md",
    "DECISIONS.md", ".pre-commit-config.yaml")
PAGES = ("for-instructors", "chapter-notes")
# What is cut out of a file: each must be found, or the file has changed.
CUT = {
    "_toc.yml": [r"(?ms)^  - caption: For instructors\n.*?(?=^  - |\Z)"],
    "book/index.md": [r"(?ms)^- \*\*Teach\.\*\*.*?(?=^```)"],
    "README.md": [
        r"(?ms)^\*\*To teach from it,\*\*.*?\n\n",
        r"(?ms)^\*\*To change the book,\*\*.*?(?=Code is under)",
        r"(?ms)^and run every chapter and every test.*?(?=^\*\*One chapter)"],
    "book/quoted.csv": [rf"(?m)^(?:{'|'.join(PAGES)})\.md,.*\n"],
    "book/_extensions/anchors.csv": [rf"(?m)^book/(?:{'|'.join(PAGES)}),.*\n"],
}
# What an exercise section promises before its first exercise.
PROMISE = re.compile(
    r"(?:; a cell for your answer, which runs the check); and a solution\."
    r"|, a closed check of it, and a closed solution\.")
KEPT = ("; a cell for your answer, which runs the check.",
        " and a closed check of it.")


def tracked(root):
    """Return the paths of the files that git tracks, and are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, text=True,
        capture_output=True).stdout
    return [path for path in listed.split("\0")
            if path and (root / path).is_file()]


def without_promise(notebook):
    """Change what a chapter says of its solutions before its exercises."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "## Exercises" in cell.source:
            cell.source = PROMISE.sub(
                lambda found: KEPT["closed" in found[0]], cell.source)
    return notebook


def cut(path, text):
    """Return the text of a file without what CUT names."""
    for pattern in CUT[path]:
        text, count = re.subn(pattern, "", text)
        if not count:
            raise ValueError(f"{path} has nothing like {pattern}: CUT in"
                             " tools/students.py has to follow")
    return text.replace("## Three ways in", "## Two ways in").replace(
        ", run chapter\nby chapter in Colab, and teach from.",
        " and run chapter\nby chapter in Colab.")


def write(folder, root=None):
    """Write the students' tree into a folder; print what it has.

    Raises ValueError where a solution cannot be told apart, where the folder
    is part of the book's, and where it has a file that the tree must not.
    """
    root = root or notebooks.BOOK.parent
    folder = folder.resolve()
    if root.resolve() in (folder, *folder.parents):
        raise ValueError(f"{folder} is part of the book's own folder")
    stale = [path for path in LEFT_OUT if (folder / path).exists()]
    if stale:
        raise ValueError(f"{folder} has {', '.join(stale)}: take an empty one")
    paths = [path for path in tracked(root) if not path.startswith(LEFT_OUT)]
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if re.fullmatch(r"book/[^/]*\.ipynb", path):
            notebook = nbformat.read(root / path, as_version=4)
            nbformat.write(without_promise(
                teaching.without_solutions(notebook)), target)
        elif path in CUT:
            text = (root / path).read_text(encoding="utf8")
            target.write_text(cut(path, text), encoding="utf8")
        else:
            shutil.copy2(root / path, target)
    print(f"{folder}: {len(paths)} files, without {', '.join(LEFT_OUT)}")
    return pathlib.Path(folder)
