#!/usr/bin/env python3
"""What a teacher asks of the chapters: census, students, measure, slides.

    python tools/teaching.py census [CHAPTER ...]       count what is there
    python tools/teaching.py students FOLDER            the students' tree
    python tools/teaching.py students FOLDER CHAPTER    a chapter of it
    python tools/teaching.py measure [CHAPTER ...]      run; record the cost
    python tools/teaching.py slides [CHAPTER ...]       to _build/slides

Without a CHAPTER (a path such as book/02-convolution.ipynb) all are meant. A
solution is a Markdown cell that begins with <details> and a <summary> of
"Solution", and the code cells behind it up to the next Markdown. measure runs
each chapter whole, so the real images must be at hand (CIFAR10_DIR).
"""

import argparse
import ast
import copy
import csv
import importlib.metadata
import math
import os
import pathlib
import re
import sys
import time
import tomllib

import nbformat
import notebooks
import stamps
from packaging.requirements import Requirement

GRADES = ("count", "modify", "build", "investigate")
RECORD = notebooks.BOOK / "runs" / "chapters.csv"
SOLUTION = re.compile(r"<details>\s*<summary>Solution\b")
# How an exercise begins: **Exercise 1 (count, 5 minutes).**, or a heading.
HEAD = r"(?:\*\*Exercise |### |### Exercise )\d+\b"
HELD_BACK = "*This solution is held back for now.*"
# Prints the peak of the kernel's own memory, in bytes. Linux hands ru_maxrss
# down from the process that started the kernel; VmHWM begins anew.
PEAK = """import pathlib, resource, sys
status = pathlib.Path("/proc/self/status")
if status.exists():
    line = status.read_text().split("VmHWM:")[1]
    print(1024 * int(line.split()[0]))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak * (1 if sys.platform == "darwin" else 1024))"""


def section(notebook, title):
    """Return (text, cell) from a "## title" to the next "## ".

    Markdown is cut before each heading and each exercise.
    """
    found, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found += [(cell.source, cell)] * inside
            continue
        for text in re.split(rf"(?m)^(?=## |{HEAD})", cell.source):
            if text.startswith("## "):
                inside = text.startswith(f"## {title}")
            found += [(text, cell)] * inside
    return found


class Exercise:
    """One exercise: its number, grade and minutes, and its cells."""

    def __init__(self, head):
        """Read the head, a line such as those of HEAD, and the text."""
        line = head.partition("\n")[0]
        self.number, self.text = int(re.search(r"\d+", line)[0]), head
        grade = re.search(r"\b(" + "|".join(GRADES) + r")\b", line)
        minutes = re.search(r"(\d+) minutes", line)
        self.grade = grade[1] if grade else ""
        self.minutes = int(minutes[1]) if minutes else 0
        self.solution_text, self.behind = "", ""
        self.code, self.solution = [], []

    def add(self, text, cell):
        """Take one more piece."""
        if cell.cell_type == "code":
            (self.solution if self.solution_text else self.code).append(cell)
        elif SOLUTION.match(text):
            self.solution_text += text
        elif self.solution_text:
            self.behind += text
        else:
            self.text += text


def exercises(notebook):
    """Return the exercises of a chapter, in order."""
    found = []
    for text, cell in section(notebook, "Exercises"):
        if cell.cell_type == "markdown" and re.match(HEAD, text):
            found.append(Exercise(text))
        elif found:
            found[-1].add(text, cell)
    return found


def answers(cells):
    """Return the names that a reader fills: None, or functions of None."""
    found = set()
    for cell in cells:
        for node in stamps.parsed(cell.source).body:
            last = node.body[-1] if isinstance(node, ast.FunctionDef) else node
            value = getattr(last, "value", None)
            if isinstance(value, ast.Constant) and value.value is None:
                found |= set(notebooks.bound_names(node))
    return found


def marking_problem(exercise):
    """Return why an exercise's solution cannot be told apart, or ""."""
    if not exercise.solution_text or not exercise.solution:
        return "no solution: <summary>Solution, and a code cell behind it"
    alone = exercise.solution_text.rstrip().endswith("</details>")
    if not alone or exercise.behind.strip():
        return "text stands behind its solution"
    return ""


def solution_problems(exercise):
    """Yield what an exercise's solution lacks."""
    if problem := marking_problem(exercise):
        yield problem
        return
    if any("hide-cell" not in cell.metadata.get("tags", [])
           for cell in exercise.solution):
        yield "its solution is not tagged hide-cell"
    source = "\n".join(cell.source for cell in exercise.solution)
    asked = set(re.findall(r"(?m)^def (check\w+)\(", "\n".join(
        cell.source for cell in exercise.code)))
    if not asked & set(re.findall(r"(?m)^assert (\w+)\(", source)):
        yield "its solution does not assert that the same check passes"
    readers = answers(exercise.code) | set(
        re.findall(r"`(\w+)\([^`]*\)`", exercise.text))
    bound = set(notebooks.bound_names(stamps.parsed(source)))
    if lost := sorted(readers & bound):
        yield f"its solution overwrites the reader's {', '.join(lost)}"


def exercise_problems(exercise):
    """Yield what one exercise lacks."""
    if not exercise.grade:
        yield f"no grade: one of {', '.join(GRADES)}"
    if not exercise.minutes:
        yield "no minutes"
    if not any(re.search(r"(?m)^def check", cell.source)
               for cell in exercise.code):
        yield "no check"
    if not answers(exercise.code):
        yield "no answer to fill in: a name that is None"
    printed = "".join(output.get("text", "") for cell in exercise.code
                      for output in cell.outputs)
    if "not answered yet" not in printed:
        yield 'untouched, it does not print "not answered yet"'
    yield from solution_problems(exercise)


def goals(notebook):
    """Return the objectives of a chapter, in order."""
    text = notebook.cells[0].source.partition(
        "**You will be able to**")[2].partition("**You need**")[0]
    return [" ".join(goal.split())
            for goal in re.split(r"(?m)^- ", text)[1:]]


def census(notebook):
    """Return what a chapter has, counted: a dict of numbers."""
    head = notebook.cells[0].source
    reading = re.search(r"(\d+) minutes to read", head)
    found = exercises(notebook)
    return {
        "objectives": len(goals(notebook)),
        "questions": sum(text.count("<details>") for text, cell
                         in section(notebook, "Check yourself")),
        **{grade: sum(e.grade == grade for e in found) for grade in GRADES},
        "exercises": len(found),
        "solutions": sum(
            bool(e.solution) and all(c.execution_count for c in e.solution)
            for e in found),
        "reading": int(reading[1]) if reading else 0,
        "exercising": sum(e.minutes for e in found)}


def weeks(text, part):
    """Return {week: minutes in class and at home} of a plan of the page.

    A plan has a table of homework with the week in its first column, and two
    sessions of 90 minutes a week.
    """
    found = {}
    table = text.split(f"\n## {part}")[1].split("\n##")[0]
    for week, what in re.findall(r"(?m)^\| (\d) \| \d \| (.*) \|$", table):
        minutes = map(int, re.findall(r"\((\d+) minutes\)", what))
        found[int(week)] = found.get(int(week), 180) + sum(minutes)
    return found


def matrix(number, notebook):
    """Return {objective: (its exercises, its questions in the bank)}.

    course/objectives.csv says which objective an exercise serves.
    """
    course = notebooks.BOOK.parent / "course"
    with (course / "objectives.csv").open(encoding="utf8") as file:
        rows = [row for row in csv.DictReader(file)
                if int(row["chapter"]) == number]
    bank = tomllib.loads((course / "bank.toml").read_text(encoding="utf8"))
    asked = [question["objective"]
             for question in bank["choice"] + bank["number"]
             if question["chapter"] == number]
    return {objective: (
        [int(row["exercise"]) for row in rows
         if int(row["objective"]) == objective], asked.count(objective))
        for objective in range(1, len(goals(notebook)) + 1)}


def shortfalls(notebook):
    """Yield a line for everything that a chapter owes a class."""
    numbers, found = census(notebook), exercises(notebook)
    for what in ("objectives", "questions"):
        if not 3 <= numbers[what] <= 5:
            yield f"{numbers[what]} {what}, not 3 to 5"
    if len(found) < 4:
        yield f"{len(found)} exercises, fewer than 4"
    for grade in GRADES:
        if not numbers[grade]:
            yield f'no exercise "{grade}"'
    if not numbers["reading"]:
        yield "the head does not say how many minutes to read"
    stated = re.search(r"(\d+) more for the exercises",
                       notebook.cells[0].source)
    if stated and int(stated[1]) != numbers["exercising"]:
        yield (f"the head says {stated[1]} minutes of exercises, they add up"
               f" to {numbers['exercising']}")
    seen = set()
    for number, exercise in enumerate(found, start=1):
        name = f"exercise {exercise.number}"
        if exercise.number != number:
            yield f"{name} stands where {number} should"
        for problem in exercise_problems(exercise):
            yield f"{name}: {problem}"
        if again := sorted(seen & answers(exercise.code)):
            yield f"{name} overwrites the earlier answer {', '.join(again)}"
        seen |= answers(exercise.code)


def without_solutions(notebook):
    """Return a copy of a chapter without its solutions.

    Raises ValueError where a solution cannot be told apart, or where what is
    left needs a name that a solution defined.
    """
    for exercise in exercises(notebook):
        if problem := marking_problem(exercise):
            raise ValueError(f"exercise {exercise.number}: {problem}")
    result, kept, inside = copy.deepcopy(notebook), [], False
    for cell in result.cells:
        if cell.cell_type == "markdown":
            inside = bool(SOLUTION.match(cell.source))
            if inside:
                cell.source = HELD_BACK
        elif inside:
            continue
        kept.append(cell)
    result.cells = kept
    code = [cell for cell in kept if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    for problem in notebooks.name_problems(list(enumerate(code))):
        raise ValueError(f"without its solutions {problem}")
    # No cell needs a solution: its outputs are those of the copy too.
    stamps.stamp(result)
    return result


def measured(notebook):
    """Run a chapter; return (minutes, peak bytes of its kernel)."""
    notebook = copy.deepcopy(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    start = time.monotonic()
    notebooks.execute(notebook)
    minutes = (time.monotonic() - start) / 60
    return minutes, int(notebook.cells[-1].outputs[0].text)


def packages_bytes(requirements):
    """Return what requirements, and all they require, take on the disk.

    A package that is not installed, as in Colab's list, takes nothing.
    """
    todo, sizes = [Requirement(text) for text in requirements], {}
    while todo:
        requirement = todo.pop()
        wanted = requirement.marker is None or requirement.marker.evaluate(
            {"extra": ""})
        if not wanted or requirement.name.lower() in sizes:
            continue
        try:
            package = importlib.metadata.distribution(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        sizes[requirement.name.lower()] = sum(
            file.locate().stat().st_size for file in package.files
            if file.locate().exists())
        todo += [Requirement(text) for text in package.requires or []]
    return sum(sizes.values())


def print_census(chapters):
    """Print a row a chapter, then what is missing; return how much is."""
    print(f"{'chapter':24} goals questions | count modify build investigate"
          " | solved | read exercise (min)")
    lines = []
    for path, notebook in chapters:
        n = census(notebook)
        print(f"{path.stem:24} {n['objectives']:5} {n['questions']:9} |"
              f" {n['count']:5} {n['modify']:6} {n['build']:5}"
              f" {n['investigate']:11} | {n['solutions']:6} |"
              f" {n['reading']:4} {n['exercising']:8}")
        lines += [f"{path.name}: {line}" for line in shortfalls(notebook)]
    for line in lines:
        print(line)
    return len(lines)


def print_matrix(chapters):
    """Print which exercises and questions test each objective."""
    print("objective: exercises; questions in the bank")
    for path, notebook in chapters:
        for objective, (exercise, questions) in matrix(
                int(path.stem[:2]), notebook).items():
            print(f"{path.stem[:2]}.{objective}:",
                  ", ".join(map(str, exercise)) or "-", f"; {questions}")


def print_plans():
    """Print what each week of the plans takes, all told."""
    text = (notebooks.BOOK / "for-instructors.md").read_text(encoding="utf8")
    for part in ("Four weeks", "Two weeks"):
        print(f"{part}, minutes:", ", ".join(
            f"week {week} {minutes}"
            for week, minutes in weeks(text, part).items()))


def write_students(chapters, folder):
    """Write copies of chapters without solutions into a folder."""
    if folder.resolve() == notebooks.BOOK.resolve():
        raise ValueError(f"{folder} holds the chapters themselves")
    copies = [(path, without_solutions(notebook))
              for path, notebook in chapters]
    folder.mkdir(parents=True, exist_ok=True)
    for path, notebook in copies:
        nbformat.write(notebook, folder / path.name)
        print(folder / path.name)


def kept(name, minutes, peak, size):
    """Put one row, sizes in bytes, into RECORD, and print it."""
    rows = {}
    if RECORD.exists():
        with RECORD.open(encoding="utf8", newline="") as file:
            rows = {row["chapter"]: row for row in csv.DictReader(file)}
    rows[name] = {
        "chapter": name,
        "minutes": minutes and f"{math.ceil(10 * minutes) / 10:.1f}",
        "peak MB": peak and round(peak / 1e6),
        "disk MB": f"{size / 1e6:.1f}", "cores": os.cpu_count()}
    print(*(f"{what} {value}" for what, value in rows[name].items()),
          sep=", ", flush=True)
    with RECORD.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, rows[name], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def record(chapters, packages):
    """Measure the chapters; keep each row as soon as it is.

    Where packages is true, those that the book requires are measured first.
    """
    if packages:
        lines = (notebooks.BOOK.parent / "requirements.txt").read_text()
        kept("packages", "", "", packages_bytes(
            line for line in lines.splitlines() if line and line[0] != "#"))
    for path, notebook in chapters:
        kept(path.stem, *measured(notebook), path.stat().st_size)


def main():
    """Read the command line; exit 1 where something is missing or wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="action", required=True)
    for name in ("census", "students", "measure", "slides"):
        command = commands.add_parser(name)
        if name == "students":
            command.add_argument("folder", type=pathlib.Path)
        command.add_argument("chapters", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    paths = arguments.chapters or sorted(notebooks.BOOK.glob("*.ipynb"))
    chapters = [(path, nbformat.read(path, as_version=4)) for path in paths]
    try:
        if arguments.action == "students" and not arguments.chapters:
            import students
            students.write(arguments.folder)
        elif arguments.action == "students":
            write_students(chapters, arguments.folder)
        elif arguments.action == "measure":
            record(chapters, packages=not arguments.chapters)
        elif arguments.action == "slides":
            import decks
            decks.write(paths, decks.PLACE)
        else:
            lacking = print_census(chapters)
            if not arguments.chapters:
                print_matrix(chapters)
                print_plans()
            return int(lacking > 0)
    except ValueError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
