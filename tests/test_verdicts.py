"""Checks of exercises survive any answer, and take NumPy's numbers.

The answers that each chapter's own checks are handed are in tests/answers, a
file a chapter: nbval runs it in the kernel in which the chapter has just run.
"""

import ast
import pathlib
import re

import nbformat
import numpy as np
import pytest
import tensorflow as tf
from mobilenet.verdicts import careful, plain


@careful
def check_pair(answer):
    """A check that trusts its answer, as those of the chapters do."""
    name, number = answer
    if not isinstance(number, int):
        return "a whole number"
    return "right" if (name, number % 2) == ("odd", 1) else "wrong"


@careful
def check_double(function):
    """A check of a function."""
    return "right" if function(3) + 0 == 6 else "wrong"


@pytest.mark.parametrize("given, expected", [
    (np.int64(3), 3), (np.float32(0.5), 0.5), (np.array([1, 2]), (1, 2)),
    ([1, (2, [np.int8(3)])], (1, (2, (3,)))), (np.ones((1, 2)), ((1., 1.),)),
    (tf.constant([1, 2]), (1, 2)), (np.str_("a"), "a"), ({"a"}, {"a"}),
    ({"a": [1]}, {"a": [1]}), (None, None), ("ab", "ab"), (len, len)])
def test_numbers_and_lists_become_pythons(given, expected):
    found = plain(given)
    assert found == expected and type(found) is type(expected)
    if isinstance(found, tuple) and found:
        assert type(found[0]) is type(expected[0])


@pytest.mark.parametrize("answer, words", [
    (None, "not answered yet"), (("odd", 3), "right"),
    (["odd", np.int64(3)], "right"), (("odd", 2), "wrong"),
    (("odd", np.float64(3)), "a whole number"),
    (("odd", None), "a part of it is still None"),
    (("odd", float("nan")), "nan is not"), (float("nan"), "nan is not"),
    (3, "not the form asked for: TypeError"),
    ((), "not the form asked for: ValueError"),
    (("odd", 1, 2), "not the form asked for: ValueError")])
def test_a_check_has_a_line_for_every_answer(answer, words):
    verdict = check_pair(answer)
    assert words in verdict and "\n" not in verdict


@pytest.mark.parametrize("function, words", [
    (lambda x: 2 * x, "right"), (lambda x: x, "wrong"),
    (lambda: 6, "stops the check: TypeError"),
    (lambda x: "a", "stops the check: TypeError"),
    (lambda x: {}["a\nb"], "stops the check: KeyError")])
def test_a_function_that_fails_is_told_why(function, words):
    verdict = check_double(function)
    assert words in verdict and "\n" not in verdict
    assert check_double.__name__ == "check_double"


def test_a_long_reason_is_cut():
    def fail(x):
        raise ValueError("a" * 1000)
    assert len(check_double(fail)) <= 300


ANSWERS = sorted((pathlib.Path(__file__).parent / "answers").glob("*.py"))


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_each_check_is_handed_right_answers_and_three_wrong_ones(path):
    """A line of tests/answers is assert "words" in check_1(answer)."""
    notebook = nbformat.read(
        path.parents[2] / "book" / f"{path.stem}.ipynb", as_version=4)
    checks = {
        name for cell in notebook.cells if cell.cell_type == "code"
        for name in re.findall(r"@careful\ndef (\w+)\(", cell.source)
        if "embed" not in cell.metadata}
    assert checks
    lines = [ast.unparse(node.test) for node in ast.parse(
        path.read_text(encoding="utf8")).body if isinstance(node, ast.Assert)]
    for name in checks:
        handed = [line for line in lines if f"{name}(" in line]
        right = [line for line in handed if line.endswith(
            ("== 'correct'", "== 'right'"))]
        assert right, name
        assert len(handed) - len(right) >= 3, name
