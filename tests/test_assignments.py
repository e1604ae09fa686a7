"""The assignments, through nbgrader as an instructor runs it.

``python -m pytest tests/test_assignments.py -s`` prints what each pretended
submission (submissions.py) scores in each task.
"""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from fractions import Fraction

import apart
import keras
import nbformat
import notebooks
import numpy as np
import pytest
import submissions
import wire
from mobilenet import costs

COURSE = pathlib.Path(__file__).parent.parent / "course"

# Points of the tests by task, and those that a reader gives.
POINTS = {
    "counting": ({"t1": 10, "t2": 8, "t3": 13, "t4": 9, "t5": 12}, 8),
    "building": ({"t1": 10, "t2": 7, "t3": 7, "t4": 9, "t5": 7, "t6": 6,
                  "t7": 6}, 8),
}

# What each submission must score, task by task, and how many of its written
# answers wait for a reader. nbgrader itself gives an untouched one 0.
EXPECTED = {
    "counting": {
        "perfect": ([10, 8, 13, 9, 12], 2),
        "half": ([5, 5, 7, 6, 5], 1),
        "wrong": ([0, 0, 0, 0, 0], 0),
        "hard_coded": ([0, 0, 0, 0, 0], 0),
        "loop": ([7, 8, 13, 9, 12], 2),
        "syntax": ([10, 8, 0, 9, 12], 2),
        "unchanged": ([0, 0, 0, 0, 0], 0),
        "honest": ([10, 8, 13, 9, 12], 2),
        "forged_answers": ([0, 0, 0, 0, 0], 0),
        "forged_shell": ([0, 0, 0, 0, 0], 0),
        "forged_reach": ([0, 0, 0, 0, 0], 0),
    },
    "building": {
        "perfect": ([10, 7, 7, 9, 7, 6, 6], 2),
        "half": ([7, 2, 6, 2, 4, 4, 2], 1),
        "wrong": ([0, 0, 0, 0, 0, 0, 0], 0),
        "hard_coded": ([0, 0, 0, 0, 0, 0, 0], 0),
        "syntax": ([10, 7, 7, 6, 0, 6, 6], 2),
        "forged_answers": ([0, 0, 0, 0, 0, 0, 0], 0),
    },
}

# An endless loop is stopped after so many seconds. The training needs more
# than a test of the loop should wait.
TIMEOUT = {"counting": 20, "building": 300}


def source_of(assignment):
    path = COURSE / "source" / assignment / f"{assignment}.ipynb"
    return nbformat.read(path, as_version=4)


def grader(cell):
    return cell.metadata.get("nbgrader", {})


def solutions(notebook):
    """Return {grade id: text} of the source's own answers."""
    return {
        grader(cell).grade_id: re.sub(
            r"^ *### (BEGIN|END) SOLUTION\n?", "", cell.source, flags=re.M)
        for cell in notebook.cells if grader(cell).get("solution")}


def answered(release, name, assignment):
    """Return the release with the answers of one submission."""
    notebook = nbformat.from_dict(release)
    if name == "unchanged":
        return notebook
    answers = {**solutions(source_of(assignment)),
               **getattr(submissions, name.upper(), {}).get(assignment, {})}
    for cell in notebook.cells:
        answer = answers.get(grader(cell).get("grade_id"))
        if answer is not submissions.UNANSWERED:
            cell.source = answer.strip("\n")
        elif (name == "wrong" and cell.cell_type == "code"
              and grader(cell).get("locked")):
            cell.source = "assert True"  # as a student might
        elif name == "forged_shell" and grader(cell).get("grade"):
            cell.metadata.tags = ["skip-execution"]
    if name == "honest":
        disguise(notebook)
    return notebook


def disguise(notebook):
    """Make a notebook what Colab saves, with one answer there twice."""
    notebook.metadata.update(
        kernelspec={"name": "foreign", "display_name": "Foreign"},
        colab={"provenance": []}, accelerator="GPU")
    for number, cell in enumerate(notebook.cells):
        cell.pop("id", None)
        cell.metadata.id = f"colab{number}"
    answer = next(number for number, cell in enumerate(notebook.cells)
                  if grader(cell).get("grade_id") == "t2a")
    notebook.cells.insert(answer, nbformat.from_dict(notebook.cells[answer]))


def command(place, *arguments):
    """Run Python in a course folder; return what it prints, or fail."""
    # It calls alembic, which an activated environment has on its path.
    path = os.pathsep.join(
        [str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        [sys.executable, *arguments], cwd=place,
        capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout


def read_grades(place, assignment, names):
    """Return {submission: (points by task, answers left to a reader)}."""
    from nbgrader.api import Gradebook

    graded = {}
    with Gradebook(f"sqlite:///{place / 'gradebook.db'}") as gradebook:
        for name in names:
            grades = gradebook.find_submission(
                assignment, name).notebooks[0].grades
            tasks = dict.fromkeys(POINTS[assignment][0], 0)
            for grade in grades:
                tasks[grade.name[:2]] += grade.auto_score or 0
            graded[name] = (
                list(tasks.values()),
                sum(grade.needs_manual_grade for grade in grades))
    return graded


def show(assignment, graded):
    tasks, by_hand = POINTS[assignment]
    rows = [["submission", *tasks, "tests", "to read"],
            ["most", *tasks.values(), sum(tasks.values()), by_hand]]
    for name, (points, waiting) in graded.items():
        rows.append([name, *points, sum(points),
                     f"{waiting} answers" if waiting else "-"])
    print(f"\n{assignment}, points:")
    for name, *cells in rows:
        print(f"  {name:11}" + "".join(
            f"{cell if isinstance(cell, str) else f'{cell:g}':>10}"
            for cell in cells))


class Cycle:
    """One assignment, released, handed in, graded, with feedback."""

    def __init__(self, assignment, place):
        self.assignment, self.place = assignment, place
        shutil.copytree(COURSE, place, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("release", "*.db"))
        shutil.copy(COURSE.parent / "_config.yml", place.parent)
        command(place, "-m", "nbgrader", "generate_assignment", assignment)
        self.release = nbformat.read(
            place / "release" / assignment / f"{assignment}.ipynb",
            as_version=4)
        for name in EXPECTED[assignment]:
            self.hand_in(name)
        self.printed = command(
            place, "grade.py", assignment,
            f"--Execute.timeout={TIMEOUT[assignment]}")
        command(place, "-m", "nbgrader", "generate_feedback", assignment,
                "--student=half")
        self.feedback = (place / "feedback" / "half" / assignment
                         / f"{assignment}.html").read_text(encoding="utf8")
        self.graded = read_grades(place, assignment, EXPECTED[assignment])
        show(assignment, self.graded)

    def hand_in(self, name):
        folder = self.place / "submitted" / name / self.assignment
        folder.mkdir(parents=True)
        notebook = answered(self.release, name, self.assignment)
        for cell in notebook.cells:
            cell.source = cell.source.replace("COURSE", str(self.place))
        copied = "Copy_of_" if name == "honest" else ""
        nbformat.write(notebook, folder / f"{copied}{self.assignment}.ipynb")


@pytest.fixture(scope="module", params=list(EXPECTED))
def cycle(request, tmp_path_factory):
    if not importlib.util.find_spec("nbgrader"):
        reason = ("nbgrader is not installed:"
                  " pip install -r course/requirements.txt")
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return Cycle(request.param, tmp_path_factory.mktemp(request.param))


def test_each_submission_scores_what_its_answers_deserve(cycle):
    assert cycle.graded == EXPECTED[cycle.assignment]


def test_a_submission_reaches_neither_files_nor_gradebook(cycle):
    if not apart.can_close_in():
        reason = "bubblewrap does not work here: apt-get install bubblewrap"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    assert not (cycle.place / "stolen").exists()
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{cycle.place / 'gradebook.db'}") as gradebook:
        for name in EXPECTED[cycle.assignment]:
            for grade in gradebook.find_submission(
                    cycle.assignment, name).notebooks[0].grades:
                assert grade.manual_score is None


def test_a_renamed_file_and_a_cell_that_is_there_twice_are_named(cycle):
    if "honest" in EXPECTED[cycle.assignment]:
        assert ("honest: Copy_of_counting.ipynb is taken for counting.ipynb"
                ) in cycle.printed
        assert "honest: the cell t2a is there 2 times" in cycle.printed
    tasks = POINTS[cycle.assignment][0].items()
    best = "  ".join(f"{task} {points}" for task, points in tasks)
    assert re.search(rf"perfect +{best}  in all 52", cycle.printed)


def test_the_release_holds_no_solution_and_no_hidden_test(cycle):
    text = "\n".join(cell.source for cell in cycle.release.cells)
    assert not re.search("SOLUTION|HIDDEN|Marking", text)
    source = source_of(cycle.assignment)
    kept = {grader(cell).grade_id: cell.source
            for cell in cycle.release.cells if grader(cell)}
    for cell in source.cells:
        answer = re.search(
            r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?) *### END",
            cell.source, re.S)
        if answer:
            assert answer[1] not in kept[grader(cell).grade_id]


def test_feedback_shows_points_and_leaves_what_a_reader_grades(cycle):
    tasks, by_hand = POINTS[cycle.assignment]
    points = sum(cycle.graded["half"][0])
    total = sum(tasks.values()) + by_hand
    assert re.search(rf"Score: {points:.1f} / {total:.1f}", cycle.feedback)
    assert "No response." in cycle.feedback


@pytest.mark.parametrize("assignment", POINTS)
class TestSource:
    """What must hold in the source before nbgrader sees it."""

    def test_its_points_are_those_of_its_headings_and_of_the_readme(
            self, assignment):
        tests, by_hand = {}, {}
        for cell in source_of(assignment).cells:
            if grader(cell).get("grade"):
                task = grader(cell).grade_id[1]
                kind = tests if cell.cell_type == "code" else by_hand
                kind[task] = kind.get(task, 0) + grader(cell).points
        assert (list(tests.values()), sum(by_hand.values())) == (
            list(POINTS[assignment][0].values()), POINTS[assignment][1])
        headings = re.findall(
            r"^## Task (.)\. (.*) \((\d+) points, (\d+) minutes\)$",
            "\n".join(c.source for c in source_of(assignment).cells), re.M)
        assert [task for task, *_ in headings] == list(tests)
        readme = (COURSE / "README.md").read_text(encoding="utf8")
        for task, title, points, minutes in headings:
            read = by_hand.get(task, "")
            assert int(points) == tests[task] + (read or 0)
            assert (f"| {task}. {title} | {minutes} | {tests[task]} | {read}"
                    f"{' ' * bool(read)}|\n") in readme
        assert re.search(
            rf"^\| `{assignment}` .* hours \| {sum(tests.values())} \|"
            rf" {sum(by_hand.values())} \|$", readme, re.M)

    def test_each_graded_cell_hides_tests(self, assignment):
        for cell in source_of(assignment).cells:
            if grader(cell).get("grade") and cell.cell_type == "code":
                seen, hidden = cell.source.split("### BEGIN HIDDEN TESTS\n")
                assert hidden.endswith("### END HIDDEN TESTS")
                assert "assert" in seen
                points = grader(cell).points
                assert re.match(rf"# \w+, (up to )?{points} point", seen)

    def test_its_cells_are_locked_stored_bare_and_fit_a_screen(
            self, assignment):
        notebook, found = source_of(assignment), []
        ids = [grader(cell).grade_id for cell in notebook.cells
               if grader(cell)]
        assert len(ids) == len(set(ids))
        for cell in notebook.cells:
            kind = grader(cell)
            assert not kind or kind.locked != kind.solution
            if cell.cell_type == "code":
                assert not cell.outputs and cell.execution_count is None
                found += [line for line in cell.source.splitlines()
                          if len(line) > 79]
        assert not found

    def test_it_needs_this_one_file(self, assignment):
        notebook = source_of(assignment)
        assert notebooks.sync(notebook) == 0, (
            f"run tools/notebooks.py sync course/source/{assignment}/*.ipynb")
        text = "\n".join(cell.source for cell in notebook.cells
                         if cell.cell_type == "code")
        modules = set(re.findall(
            r"^\s*(?:import|from) (\w+)", text, re.M))
        assert modules <= {"fractions", "keras", "logging", "math", "numbers",
                           "numpy", "os", "tensorflow", "time", "typing",
                           "warnings"}
        assert not re.search(r"^[!%]|open\(|fetch|download", text, re.M)


def test_the_network_that_students_count_is_that_of_keras():
    names = {}
    for cell in source_of("counting").cells:
        if grader(cell).get("grade_id") in (
                "setup", "convolution-code", "costs-code", "t3", "v2-rows"):
            exec(cell.source, names)
    for shape in ((224, 224, 3), (160, 128, 3)):
        table = costs.count(
            keras.applications.MobileNetV2(shape, weights=None))
        rows = names["layer_costs"](shape, names["MOBILENET_V2"])
        assert sum(macs for _, macs, _ in rows) == table.macs.sum()
        assert sum(stored for *_, stored in rows) == table.params.sum()


def test_the_asked_accuracy_lies_between_the_trap_and_a_right_training():
    wanted = ("setup", "t1", "body", "t2", "images", "t3", "t4a", "t4b", "t4c")
    cells = {grader(cell).get("grade_id"): cell.source
             for cell in source_of("building").cells}
    trap = cells["t4c"].replace("momentum=0.8", "momentum=0.99")
    assert trap != cells["t4c"]
    measure = """
for seed in seeds:
    model = trained_model(*generated_images(800, seed), seed)
    share = accuracy(model, *generated_images(300, 100 + seed))
    print(f"seed {seed}: {share:.3f} in use")
    assert share > 0.9 if margin == "above" else share < 0.5
"""
    code = "\n".join([
        *(cells[name] for name in wanted), "seeds, margin = (11, 12), 'above'",
        measure, trap, "seeds, margin = (13,), 'below'", measure])
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]


# What crosses between a submission's process and its tests.

class Pretender(int):
    """Equal to everything."""

    __hash__ = None

    def __eq__(self, other):
        return True


@pytest.mark.parametrize("value", [
    None, True, 10**30, 0.1, "a", (1, [2, {"b": (3,)}]), {4, 5},
    Fraction(22, 7), {(1, 2): "c"}, [float("inf")]])
def test_a_plain_value_arrives_as_it_is(value):
    found = wire.decode(json.loads(json.dumps(wire.encode(value))))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("array", [
    np.arange(6, dtype=np.uint8).reshape(2, 3), np.float32(1.5) * np.eye(2),
    np.zeros((0, 3)), np.array(True), np.arange(8.0)[::2]])
def test_an_array_arrives_with_its_type_and_shape(array):
    found = wire.decode(json.loads(json.dumps(wire.encode(array))))
    assert found.dtype == array.dtype and np.array_equal(found, array)
    assert found.shape == array.shape


def test_what_pretends_to_be_a_number_arrives_as_that_number():
    assert Pretender(3) == 7
    found = wire.decode(json.loads(json.dumps(wire.encode(Pretender(3)))))
    assert type(found) is int and found == 3 != 7


@pytest.mark.parametrize("value", [
    object(), Pretender, np.array([object()]), {"a": [object()]}])
def test_an_object_with_ways_of_its_own_does_not_cross(value):
    with pytest.raises(TypeError, match="no plain value"):
        wire.encode(value)


@pytest.mark.parametrize("layer", [
    lambda: keras.layers.Lambda(lambda x: x),
    lambda: keras.layers.Activation(len)])
def test_a_network_that_holds_code_is_not_built(layer):
    images = keras.Input((2,))
    content = wire.pack_model(keras.Model(images, keras.layers.Dense(1)(
        images)))
    assert wire.unpack_model(content).count_params() == 3
    settings = keras.saving.serialize_keras_object(layer())
    content[0]["config"]["layers"].append(settings)
    with pytest.raises(ValueError, match="refused"):
        wire.unpack_model(content)


def test_a_process_that_ends_or_hangs_costs_one_call():
    submission, names = apart.Submission(["f"]), {}
    submission.run("import os\ndef f(n):\n    return n + 1 if n < 9 else"
                   " os._exit(0)", names)
    assert names["f"](1) == 2
    with pytest.raises(EOFError, match="has ended"):
        names["f"](9)
    assert names["f"](n=3) == 4
    submission.end()
