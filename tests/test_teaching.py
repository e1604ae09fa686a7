"""What a class needs of the book: exercises, copies, plans, a hub."""

import copy
import csv
import re
import types

import decks
import nbformat
import notebooks
import numpy as np
import pytest
import repository_links
import students
import teaching
from bs4 import BeautifulSoup
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
    hidden = {"tags": ["hide-cell"]}
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
            zip(teaching.GRADES, (5, 10, 15, 20)), start=1):
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
        "exercise 2: its solution is not tagged hide-cell"),
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
    assert list(teaching.shortfalls(whole)) == []
    assert teaching.census(whole) == {
        "objectives": 3, "questions": 3, "count": 1, "modify": 1, "build": 1,
        "investigate": 1, "exercises": 4, "solutions": 4, "reading": 10,
        "exercising": 50}


@pytest.mark.parametrize("what", LACKING)
def test_what_a_chapter_lacks_is_named(what, whole):
    change, words = LACKING[what]
    change(whole)
    found = list(teaching.shortfalls(whole))
    assert any(words in line for line in found), found


def test_a_solution_that_was_not_run_is_not_counted(whole):
    whole.cells[10].execution_count = None
    assert teaching.census(whole)["solutions"] == 3


def test_a_students_copy_has_no_solution_and_all_the_rest(whole):
    before = copy.deepcopy(whole)
    students = teaching.without_solutions(whole)
    assert whole == before
    text = nbformat.writes(students)
    assert "solution_" not in text and "<summary>Solution" not in text
    assert text.count(teaching.HELD_BACK) == 4
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
        teaching.without_solutions(whole)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Return the students' tree, written once."""
    return students.write(tmp_path_factory.mktemp("students"))


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_without_its_solutions_breaks_no_rule(name, tree):
    notebook = chapter(name)
    copied = nbformat.read(tree / "book" / f"{name}.ipynb", as_version=4)
    assert notebooks.problems(copied) == []
    sources = [cell.source for cell in copied.cells]
    for exercise in teaching.exercises(notebook):
        for cell in exercise.solution:
            assert cell.source not in sources
    text = markdown(copied)
    assert "<summary>Solution" not in text
    before = text.split("## Exercises")[1].split("**Exercise 1")[0]
    assert "olution" not in before


def test_the_students_tree_has_nothing_of_the_teacher_s(tree):
    root = notebooks.BOOK.parent
    secrets = {
        "a hidden test": "BEGIN HIDDEN TESTS", "a marking": "*Marking:",
        "the bank": '[[number]]', "a submission": "FORGED_ANSWERS",
        "the instructors' page": "## Holding solutions back",
        "the notes": "**Wrong answers.**"}
    texts = {path.relative_to(tree): path.read_text(
        encoding="utf8", errors="replace") for path in tree.rglob("*")
        if path.is_file() and path.suffix in (
            ".py", ".md", ".ipynb", ".toml", ".yml", ".csv", ".cff", ".js")}
    here = [path.read_text(encoding="utf8") for folder in ("course", "tests")
            for path in (root / folder).rglob("*") if path.suffix in (
                ".py", ".ipynb", ".toml")] + [
        page("for-instructors"), page("chapter-notes")]
    for what, secret in secrets.items():
        assert any(secret in text for text in here), f"{what} has moved"
        assert not [path for path, text in texts.items()
                    if secret in text and path.parts[0] != "tools"], what
    for path in sorted((root / "tests" / "answers").glob("*.py")):
        assert not (tree / "tests").exists(), path
    for name in students.PAGES:
        assert not [path for path, text in texts.items() if name in text
                    and path.parts[0] != "tools"]


def test_no_link_of_the_students_tree_leads_nowhere(tree):
    for path in [*tree.glob("*.md"), *tree.glob("book/*.md"),
                 *tree.glob("book/*.ipynb")]:
        text = path.read_text(encoding="utf8")
        for link in re.findall(r"\]\(([\w./-]+\.(?:md|ipynb|txt))\)", text):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
    contents = (tree / "_toc.yml").read_text(encoding="utf8")
    for file in re.findall(r"file: (\S+)", contents):
        assert list(tree.glob(f"{file}.*")), file


def test_the_students_tree_is_not_written_where_it_would_harm(
        tmp_path, monkeypatch):
    root = notebooks.BOOK.parent
    assert run_command(monkeypatch, "students", root / "copy") == 1
    assert not (root / "copy").exists()
    (tmp_path / "course").mkdir()
    assert run_command(monkeypatch, "students", tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["course"]


def run_command(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["teaching.py", *map(str, arguments)])
    return teaching.main()


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
    record.write_text(f"{head}\n01-a,0.1,99,0.2,2\n02-memory,9,9999,9,2\n"
                      "packages,,,2300.0,2\n")
    monkeypatch.setattr(teaching, "RECORD", record)
    ours = np.ones(75_000_000)  # 600 MB, none of them the chapter's
    assert run_command(monkeypatch, "measure", path) == 0
    assert ours.all()
    lines = record.read_text().splitlines()
    assert lines[:2] == [head, "01-a,0.1,99,0.2,2"]
    name, minutes, peak, disk, _ = lines[2].split(",")
    assert name == "02-memory" and float(minutes) < 5 and disk == "0.0"
    # bytes of bytes: two copies at the peak, and the kernel beside them
    assert 300 < int(peak) < 900
    assert lines[3] == "packages,,,2300.0,2"  # of the machine that has them
    assert "VmHWM" not in path.read_text()


def test_without_a_chapter_the_packages_are_measured(tmp_path, monkeypatch):
    record = tmp_path / "chapters.csv"
    record.write_text("chapter,minutes,peak MB,disk MB,cores\n")
    monkeypatch.setattr(teaching, "RECORD", record)
    teaching.record([], packages=True)
    name, minutes, peak, disk, _ = record.read_text().splitlines()[1].split(
        ",")
    assert (name, minutes, peak) == ("packages", "", "")
    assert 500 < float(disk) < 10_000  # TensorFlow alone has hundreds


def test_a_package_that_two_require_takes_its_place_once():
    both = teaching.packages_bytes(["nbformat", "nbclient>=0.10"])
    one, other = (teaching.packages_bytes([name])
                  for name in ("nbformat", "nbclient"))
    assert other == both > one > 0
    assert teaching.packages_bytes(["absent; sys_platform == 'none'"]) == 0


# The plans.

def page(name):
    """Return the text of one of the book's Markdown pages."""
    return (notebooks.BOOK / f"{name}.md").read_text(encoding="utf8")


def tables():
    """Return (heading, stated minutes, rows of minutes) of each plan."""
    found = []
    for part in re.split(r"(?m)^### ", page("for-instructors"))[1:]:
        head, _, body = part.partition("\n")
        rows = [int(n) for n in re.findall(
            r"(?m)^\| (\d+) \|", body.split("\n## ")[0])]
        found.append((head, int(re.search(r"\((\d+) minutes\)", head)[1]),
                      rows))
    return found


def test_the_minutes_of_each_plan_add_up_to_what_it_says():
    for head, stated, rows in tables():
        assert len(rows) >= 5 and sum(rows) == stated, head
    sessions = [stated for head, stated, _ in tables() if "Session" in head]
    assert f"{sum(sessions)} minutes in class" in page("for-instructors")
    days = [stated for head, stated, _ in tables() if "Workshop" in head]
    assert f"{sum(days)} minutes with breaks" in page("for-instructors")


def homework(part):
    """Return (week, what) of each row of a plan's table of homework."""
    text = page("for-instructors").split(f"\n## {part}")[1].split("\n##")[0]
    return [(int(week), what) for week, what in re.findall(
        r"(?m)^\| (\d) \| \d \| (.*) \|$", text)]


def test_homework_takes_as_long_as_its_chapters_and_tasks_say():
    rows = [what for part in ("Four weeks", "Two weeks")
            for _, what in homework(part)]
    assert len(rows) > 12
    for number, minutes in re.findall(
            r"read chapter (\d+) \((\d+) minutes", "; ".join(rows)):
        numbers = teaching.census(chapter(f"{int(number):02}"))
        assert numbers["reading"] == int(minutes), number
    for number, names, minutes in re.findall(
            r"chapter (\d+), exercises ([\d, ]+) \((\d+) minutes",
            "; ".join(rows)):
        each = {e.number: e.minutes
                for e in teaching.exercises(chapter(f"{int(number):02}"))}
        assert sum(each[int(n)] for n in names.split(",")) == int(minutes)
    for name, names, minutes in re.findall(
            r"`(\w+)`, tasks ([\d, ]+) \((\d+) minutes", "; ".join(rows)):
        text = markdown(nbformat.read(
            notebooks.BOOK.parent / "course" / "source" / name
            / f"{name}.ipynb", as_version=4))
        each = dict(re.findall(
            r"(?m)^## Task (\d)\. .*, (\d+) minutes\)$", text))
        assert sum(int(each[n]) for n in names.split(", ")) == int(minutes)


@pytest.mark.parametrize("part", ["Four weeks", "Two weeks"])
def test_no_week_takes_more_than_six_hours(part):
    weeks = teaching.weeks(page("for-instructors"), part)
    assert len(weeks) == {"Four weeks": 4, "Two weeks": 2}[part]
    assert all(180 < minutes <= 360 for minutes in weeks.values()), weeks
    for _, what in homework(part):
        assert re.search(r"\(\d+ minutes\)", what), what
    first = sum(map(int, re.findall(r"\((\d+) minutes\)", "; ".join(
        what for week, what in homework(part) if week == 1))))
    assert weeks[1] == 180 + first


def test_a_node_holds_as_many_students_as_the_table_says():
    with teaching.RECORD.open(newline="") as file:
        rows = {row["chapter"]: row for row in csv.DictReader(file)}
    assert set(rows) == {*(path.stem for path in CHAPTERS), "packages"}
    del rows["packages"]
    name = max(rows, key=lambda name: int(rows[name]["peak MB"]))
    peak = int(rows[name]["peak MB"])
    text = re.sub(r"\s+", " ", page("for-instructors"))
    assert f"chapter {int(name[:2])}'s {peak:,} MB" in text
    held = re.findall(r"(\d+) GB hold (\d+)", text)
    assert len(held) == 3
    for memory, seats in held:
        assert (int(memory) - 2) * 1000 // peak == int(seats)
    assert max(float(row["minutes"]) for row in rows.values()) <= 2


@pytest.mark.parametrize("repository, hub, expected", [
    ("https://github.com/a/b", "https://hub.example.org",
     {"colab_url", "jupyterhub_url", "notebook_interface"}),
    ("https://gitlab.com/a/b", "https://hub.example.org",
     {"jupyterhub_url", "notebook_interface"}),
    ("https://github.com/a/b", None, {"colab_url", "notebook_interface"}),
    ("", "https://hub.example.org", set()),
])
def test_a_hub_gets_a_button_where_there_is_a_repository(
        monkeypatch, tmp_path, repository, hub, expected):
    monkeypatch.setenv("BOOK_REPO_URL", repository)
    monkeypatch.delenv("BOOK_JUPYTERHUB_URL", raising=False)
    if hub:
        monkeypatch.setenv("BOOK_JUPYTERHUB_URL", hub)
    config = types.SimpleNamespace(html_theme_options={})
    repository_links.set_links(
        types.SimpleNamespace(srcdir=str(tmp_path)), config)
    buttons = config.html_theme_options["launch_buttons"]
    assert set(buttons) == expected
    assert buttons.get("jupyterhub_url", hub) == hub


def test_a_cell_that_is_nothing_on_the_slides_is_refused(
        whole, tmp_path, monkeypatch, capsys):
    path = tmp_path / "01-shapes.ipynb"
    for cell in whole.cells:
        cell.metadata.slideshow = {"slide_type": "skip"}
    whole.cells[0].metadata.slideshow = {"slide_type": "slide"}
    whole.cells[3].metadata.pop("slideshow")
    nbformat.write(whole, path)
    monkeypatch.setattr(decks, "PLACE", tmp_path)
    assert run_command(monkeypatch, "slides", path) == 1
    assert "01-shapes.ipynb: cell 3 has slide_type None" in (
        capsys.readouterr().out)
    whole.cells[3].metadata.slideshow = {"slide_type": "fragment"}
    whole.cells[0].metadata.slideshow = {"slide_type": "skip"}
    nbformat.write(whole, path)
    assert run_command(monkeypatch, "slides", path) == 1
    assert "the title, is not on the slides" in capsys.readouterr().out
    whole.cells[0].metadata.slideshow = {"slide_type": "slide"}
    nbformat.write(whole, path)
    assert run_command(monkeypatch, "slides", path) == 0
    page = BeautifulSoup(
        (tmp_path / "01-shapes.slides.html").read_text(encoding="utf8"),
        "html.parser")
    # The output of a cell, not its code.
    shown = page.select("section > section")[-1]
    assert shown.select_one(".fragment").text.strip() == "not answered yet"
