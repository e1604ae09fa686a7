"""Settings of nbgrader for this course; commands are run from this folder."""

import pathlib
import re
import secrets
import sys

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    IgnorePattern,
    LimitOutput,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from grade import Apart, Once  # noqa: E402, beside this file

c = get_config()  # noqa: F821, nbgrader puts it there

# The book's title, which a fork changes in one place, as nbgrader takes it.
title = re.search(r"(?m)^title: (.+)$", (
    pathlib.Path(__file__).parent.parent / "_config.yml").read_text("utf8"))[1]
c.CourseDirectory.course_id = re.sub(r"\W+", "-", title.lower()).strip("-")

# nbgrader's own steps, but that a submission runs apart from its tests.
c.Autograde.sanitize_preprocessors = [
    ClearOutput, Once, OverwriteKernelspec, OverwriteCells, CheckCellMetadata]
c.Autograde.autograde_preprocessors = [
    Apart, IgnorePattern, ClearMetadataPreprocessor, LimitOutput,
    SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]

# The hidden inputs are others each time that work is graded, and the same for
# all who are graded together. A number here repeats them.
c.Apart.seed = secrets.randbelow(2**31)

# Seconds that one cell may run. The longest cell of a right submission trains
# a small network, a quarter of a minute on two cores; an endless loop is
# stopped here and costs its own test cells alone.
c.Execute.timeout = 120
c.Execute.iopub_timeout = 60  # 4 are too few on a busy machine
