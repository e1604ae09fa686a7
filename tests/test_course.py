"""What a class needs of the book: exercises, plans, glossary, notation."""

import copy
import re

import course
import nbformat
import notebooks
import pytest
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

CHAPTERS = sorted(notebooks.BOOK.glob("*.ipynb"))
NAMES = [path.stem for path in CHAPTERS]


def chapter(name):
    """Return a chapter of the book by its name or the number in it."""
    (path,) = notebooks.BOOK.glob(f"{name}*.ipynb")
    return nbformat.read(path, as_version=4)


def markdown(notebook):
    """Return the Markdown of a notebook, a cell after the other."""
    return "\n\n".join(
        cell.source for cell in notebook.cells
        if cell.cell_type == "markdown")


# A chapter that lacks nothing, and what each thing is that it may lack.

HEAD = """# 1. Shapes

**You will be able to**

- measure a circle;
- draw one;
- name its parts.

**You need** paper.

**Time** 10 minutes to read, 50 more for the exercises.
"""

QUESTIONS = """## Check yourself

<details><summary>1. Is it round?</summary>

Yes.

</details>

<details><summary>2. Is it flat?</summary>

Yes.

</details>

<details><summary>3. Has it corners?</summary>

No.

</details>

## Exercises

Each has a check.

"""


def exercise_cells(number, grade, minutes, before=""):
    """Return the cells of one exercise, as the chapters have them."""
    check = (f"def check_{number}(answer):\n"
             '    return "not answered yet" if answer is None else "right"')
    answer = f"answer_{number} = None\nprint(check_{number}(answer_{number}))"
    solution = f'solution_{number} = 1\nassert check_{number}(1) == "right"'
    hidden = {"tags": ["hide-input"]}
    return [
        new_markdown_cell(f"{before}**Exercise {number} ({grade}, {minutes}"
                          " minutes).** How large?"),
        new_code_cell(check, metadata=hidden),
        new_code_cell(answer, outputs=[new_output(
            "stream", name="stdout", text="not answered yet\n")]),
        new_markdown_cell("<details>\n<summary>Solution</summary>\n\nOne.\n\n"
                          "</details>"),
        new_code_cell(solution, metadata=hidden)]


@pytest.fixture
def whole():
    """Return a chapter that owes a class nothing."""
    cells = [new_markdown_cell(HEAD)]
    for number, (grade, minutes) in enumerate(
            zip(course.GRADES, (5, 10, 15, 20)), start=1):
        cells += exercise_cells(
            number, grade, minutes, QUESTIONS if number == 1 else "")
    cells.append(new_markdown_cell("## Key points\n\n- It is round."))
    code = [cell for cell in cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    notebook = new_notebook(cells=cells)
    nbformat.validate(notebook)
    return notebook


def changed(number, before, after):
    """Return a function that changes the source of one cell."""
    def change(notebook):
        assert before in notebook.cells[number].source
        notebook.cells[number].source = notebook.cells[
            number].source.replace(before, after)
    return change


def removed(*numbers):
    """Return a function that takes cells out of a notebook."""
    def remove(notebook):
        for number in sorted(numbers, reverse=True):
            del notebook.cells[number]
    return remove


def added(number, cell):
    """Return a function that puts a cell into a notebook."""
    return lambda notebook: notebook.cells.insert(number, cell)


# Cells: 0 head; 1 to 5 exercise 1; 6 to 10 exercise 2; and so on; 21 the end.
LACKING = {
    "two objectives": (changed(0, "- draw one;\n", ""), "2 objectives"),
    "six objectives": (
        changed(0, "- draw one;\n", "- draw;\n" * 4), "6 objectives"),
    "two questions": (
        changed(1, "<details><summary>3.", "3."), "2 questions"),
    "no minutes to read": (
        changed(0, "10 minutes to read", "A while"),
        "does not say how many minutes to read"),
    "minutes that do not add up": (
        changed(0, "50 more", "45 more"),
        "says 45 minutes of exercises, they add up to 50"),
    "three exercises": (removed(*range(6, 11)), "3 exercises, fewer than 4"),
    "no modify": (changed(6, "modify", "count"), 'no exercise "modify"'),
    "another grade": (
        changed(6, "modify", "ponder"), "exercise 2: no grade"),
    "an exercise without minutes": (
        changed(6, "10 minutes", "soon"), "exercise 2: no minutes"),
    "a number twice": (
        changed(6, "Exercise 2", "Exercise 3"),
        "exercise 3 stands where 2 should"),
    "no check": (removed(7), "exercise 2: no check"),
    "an answer filled in": (
        changed(8, "= None", "= 2"), "exercise 2: no answer to fill in"),
    "silence when untouched": (
        lambda notebook: notebook.cells[8].update(outputs=[]),
        'exercise 2: untouched, it does not print "not answered yet"'),
    "no solution": (removed(9, 10), "exercise 2: no solution"),
    "no code of the solution": (removed(10), "exercise 2: no solution"),
    "an open solution": (
        lambda notebook: notebook.cells[10].metadata.update(tags=[]),
        "exercise 2: its solution is not tagged hide-input"),
    "text behind the solution": (
        changed(9, "</details>", "</details>\n\nMore."),
        "exercise 2: text stands behind its solution"),
    "a cell behind the solution": (
        added(11, new_markdown_cell("More.")),
        "exercise 2: text stands behind its solution"),
    "another check": (
        changed(10, "assert check_2", "assert check_1"),
        "exercise 2: its solution does not assert"),
    "the answer overwritten": (
        changed(10, "solution_2", "answer_2"),
        "exercise 2: its solution overwrites the reader's answer_2"),
    "the function asked for overwritten": (
        lambda notebook: (
            changed(6, "How large?", "Write `size(x)`.")(notebook),
            changed(10, "solution_2 = 1", "def size(x):\n    return 1")(
                notebook)),
        "exercise 2: its solution overwrites the reader's size"),
    "one answer for two exercises": (
        changed(8, "answer_2", "answer_1"),
        "exercise 2 overwrites the earlier answer answer_1"),
}


def test_the_whole_chapter_lacks_nothing_and_is_counted(whole):
    assert list(course.shortfalls(whole)) == []
    assert course.census(whole) == {
        "objectives": 3, "questions": 3, "count": 1, "modify": 1, "build": 1,
        "investigate": 1, "exercises": 4, "solutions": 4, "reading": 10,
        "exercising": 50}


@pytest.mark.parametrize("what", LACKING)
def test_what_a_chapter_lacks_is_named(what, whole):
    change, words = LACKING[what]
    change(whole)
    found = list(course.shortfalls(whole))
    assert any(words in line for line in found), found


def test_a_solution_that_was_not_run_is_not_counted(whole):
    whole.cells[10].execution_count = None
    assert course.census(whole)["solutions"] == 3


@pytest.mark.parametrize("name", NAMES)
def test_no_chapter_owes_a_class_anything(name):
    notebook = chapter(name)
    assert list(course.shortfalls(notebook)) == []
    numbers = course.census(notebook)
    assert numbers["solutions"] == numbers["exercises"]


def test_a_students_copy_has_no_solution_and_all_the_rest(whole):
    before = copy.deepcopy(whole)
    students = course.without_solutions(whole)
    assert whole == before
    text = nbformat.writes(students)
    assert "solution_" not in text and "<summary>Solution" not in text
    assert text.count(course.HELD_BACK) == 4
    counts = [cell.execution_count for cell in students.cells
              if cell.cell_type == "code"]
    assert counts == list(range(1, 9))
    assert "## Key points" in text and "answer_4 = None" in text


@pytest.mark.parametrize("change", [
    removed(9, 10), changed(9, "</details>", "</details>\n\nMore."),
    added(11, new_markdown_cell("More.")),
    changed(13, "print", "print(solution_2)\nprint")])
def test_a_solution_that_might_leak_or_be_needed_is_refused(change, whole):
    change(whole)
    with pytest.raises(ValueError, match="solution"):
        course.without_solutions(whole)


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_without_its_solutions_breaks_no_rule(name):
    notebook = chapter(name)
    students = course.without_solutions(notebook)
    assert notebooks.problems(students) == []
    for exercise in course.exercises(notebook):
        for cell in exercise.solution:
            assert cell.source not in [c.source for c in students.cells]
    assert "<summary>Solution" not in markdown(students)


def run_command(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["course.py", *map(str, arguments)])
    return course.main()


def test_students_writes_copies_and_spares_the_chapters(
        whole, tmp_path, monkeypatch):
    nbformat.write(whole, tmp_path / "01-shapes.ipynb")
    original = (tmp_path / "01-shapes.ipynb").read_text()
    folder = tmp_path / "copies"
    assert run_command(
        monkeypatch, "students", folder, tmp_path / "01-shapes.ipynb") == 0
    assert "Solution" not in (folder / "01-shapes.ipynb").read_text()
    monkeypatch.setattr(notebooks, "BOOK", tmp_path)
    assert run_command(
        monkeypatch, "students", tmp_path, tmp_path / "01-shapes.ipynb") == 1
    assert (tmp_path / "01-shapes.ipynb").read_text() == original


def test_census_prints_the_numbers_and_exits_1_where_something_lacks(
        whole, tmp_path, monkeypatch, capsys):
    path = tmp_path / "01-shapes.ipynb"
    nbformat.write(whole, path)
    assert run_command(monkeypatch, "census", path) == 0
    row = capsys.readouterr().out.splitlines()[1]
    assert [int(number) for number in re.findall(r"\d+", row)] == [
        1, 3, 3, 1, 1, 1, 1, 4, 10, 50]
    whole.cells[0].source = HEAD.replace("- draw one;\n", "")
    nbformat.write(whole, path)
    assert run_command(monkeypatch, "census", path) == 1
    assert "01-shapes.ipynb: 2 objectives" in capsys.readouterr().out


def test_measure_records_a_chapter_and_keeps_the_others(
        tmp_path, monkeypatch):
    path = tmp_path / "02-memory.ipynb"
    nbformat.write(new_notebook(cells=[
        new_markdown_cell("# 2. Memory"),
        new_code_cell("block = bytearray(b'x' * 300_000_000)")]), path)
    record = tmp_path / "chapters.csv"
    head = "chapter,minutes,peak MB,disk MB,cores"
    record.write_text(f"{head}\n01-a,0.1,99,0.2,2\n02-memory,9,9999,9,2\n")
    monkeypatch.setattr(course, "RECORD", record)
    assert run_command(monkeypatch, "measure", path) == 0
    lines = record.read_text().splitlines()
    assert lines[:2] == [head, "01-a,0.1,99,0.2,2"]
    name, minutes, peak, disk, _ = lines[2].split(",")
    assert name == "02-memory" and float(minutes) < 5 and disk == "0.0"
    assert 300 < int(peak) < 1500
    name, minutes, peak, disk, _ = lines[3].split(",")
    assert (name, minutes, peak) == ("packages", "", "")
    assert 500 < float(disk) < 10_000  # TensorFlow alone has hundreds
    assert "ru_maxrss" not in path.read_text()


def test_a_package_that_two_require_takes_its_place_once():
    both = course.packages_bytes(["nbformat", "nbclient>=0.10"])
    one, other = (course.packages_bytes([name])
                  for name in ("nbformat", "nbclient"))
    assert other == both > one > 0
    assert course.packages_bytes(["absent; sys_platform == 'none'"]) == 0
