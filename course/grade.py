#!/usr/bin/env python3
"""Grade what was handed in by its tests, and print the points.

    python grade.py counting [--student NAME]

does what "nbgrader autograde counting" does, after a look at the files in
submitted/: one that a platform or Colab has renamed is found, and a cell that
is there twice is named. nbgrader_config.py makes nbgrader itself use Apart.
"""

import argparse
import ast
import collections
import pathlib
import sys

import apart
import nbformat
from nbgrader.api import Gradebook
from nbgrader.preprocessors import DeduplicateIds, Execute
from nbgrader.utils import determine_grade, setenv
from traitlets import Integer

CANARY = "assert False, 'a test that must fail'"
SETUP = ("import sys\nsys.path.insert(0, {course!r})\nimport apart\n"
         "_submission = apart.Submission({names!r})")


class Once(DeduplicateIds):
    """Take the earlier copies of a cell for a student's own cells."""

    def preprocess_cell(self, cell, resources, cell_index):
        """Leave such a cell nothing that nbgrader would take for old."""
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if not cell.metadata.get("nbgrader", True):
            del cell.metadata["nbgrader"]
        return cell, resources


class Apart(Execute):
    """Run the tests in nbgrader's kernel, what a student wrote elsewhere."""

    seed = Integer(0, help="The hidden inputs are drawn by it.").tag(
        config=True)

    def preprocess(self, notebook, resources):
        """Run a notebook; its cells keep their source."""
        place = resources["nbgrader"]
        with Gradebook(place["db_url"]) as gradebook:
            sources = {cell.name: cell for cell in gradebook.find_notebook(
                place["notebook"], place["assignment"]).source_cells}
            names = asked_for(sources.values())
            texts = [cell.source for cell in notebook.cells]
            arrange(notebook, sources)
        if not apart.can_close_in():
            self.log.warning("no bubblewrap here: %s runs as you do",
                             place["student"])
        self.log.info("hidden inputs of seed %s", self.seed)
        notebook.cells[:0] = [
            nbformat.v4.new_code_cell(SETUP.format(
                course=str(apart.COURSE), names=names)),
            nbformat.v4.new_code_cell(CANARY, metadata={"nbgrader": {
                "grade": True, "points": 1}})]
        with setenv(GRADING_SEED=str(self.seed)):
            notebook, resources = super().preprocess(notebook, resources)
        setup, canary = notebook.cells[:2]
        del notebook.cells[:2]
        for cell, text in zip(notebook.cells, texts):
            cell.source = text
        if determine_grade(canary)[0] != 0 or len(setup.outputs):
            raise RuntimeError("a test that must fail does not, or no"
                               f" submission can be run: {setup.outputs}")
        return notebook, resources


def asked_for(cells):
    """Return the names that the cells to be filled in define."""
    names = []
    for cell in cells:
        if cell.cell_type == "code" and not cell.locked:
            for node in ast.parse(cell.source).body:
                names += [node.name] if hasattr(node, "name") else [
                    target.id for target in getattr(node, "targets", ())]
    return names


def arrange(notebook, sources):
    """Give each code cell the source that the kernel shall run.

    sources is {grade id: the cell in the gradebook}. A cell is trusted if it
    is locked there and says here what it says there. All others are a
    student's.
    """
    for cell in notebook.cells:
        cell.metadata.pop("tags", None)  # "skip-execution" among them
        if cell.cell_type != "code":
            continue
        ours = sources.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        if not ours or not ours.locked or ours.source != cell.source:
            cell.source = f"_submission.run({cell.source!r}, globals())"
        elif not cell.metadata.nbgrader.get("grade"):
            cell.source = (f"_submission.helper({cell.source!r})\n"
                           f"{cell.source}")


def looked_at(folder, assignment):
    """Yield what is odd about a student's files; mend a name that is."""
    wanted = folder / f"{assignment}.ipynb"
    found = sorted(folder.glob("*.ipynb"))
    if wanted not in found and len(found) == 1:
        yield f"{found[0].name} is taken for {wanted.name}"
        found[0].rename(wanted)
    elif wanted not in found:
        yield (f"{len(found)} notebooks, none of them {wanted.name}:"
               " rename the one to be graded")
        return
    elif len(found) > 1:
        yield f"{len(found)} notebooks: {wanted.name} is graded"
    ids = collections.Counter(
        cell.metadata.get("nbgrader", {}).get("grade_id")
        for cell in nbformat.read(wanted, as_version=4).cells)
    for name, count in ids.items():
        if name and count > 1:
            yield (f"the cell {name} is there {count} times: each is run, the"
                   " last counts")


def table(gradebook, assignment):
    """Return {student: {task: points by tests}}."""
    rows = {}
    for submission in gradebook.assignment_submissions(assignment):
        row = rows.setdefault(submission.student_id, {})
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                task = grade.name[:2]
                row[task] = row.get(task, 0) + (grade.auto_score or 0)
    return rows


def main():
    """Read the command line; exit 1 where a submission cannot be graded."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assignment")
    parser.add_argument("--student", default="*")
    arguments, others = parser.parse_known_args()
    from nbgrader.apps import NbGraderApp

    folders = pathlib.Path("submitted").glob(
        f"{arguments.student}/{arguments.assignment}")
    for folder in sorted(folders):
        for line in looked_at(folder, arguments.assignment):
            print(f"{folder.parent.name}: {line}")
    status = 0
    try:
        NbGraderApp.launch_instance(
            ["autograde", arguments.assignment, "--student",
             arguments.student, "--force", *others])
    except SystemExit as error:
        status = error.code or 0
    with Gradebook("sqlite:///gradebook.db") as gradebook:
        for student, row in sorted(
                table(gradebook, arguments.assignment).items()):
            print(f"{student:20}", *(f"{task} {points:g}"
                                     for task, points in sorted(row.items())),
                  f"in all {sum(row.values()):g}", sep="  ")
    return status


if __name__ == "__main__":
    sys.exit(main())
