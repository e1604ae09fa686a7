"""The question bank: every answer computed, every question in its place."""

import math
import re
from xml.etree import ElementTree

import bank
import nbformat
import notebooks
import pytest
import teaching

QUESTIONS = bank.read()
KNOWN = bank.names()
SEEDS = range(8)


def drawn(name, seed=0, **numbers):
    """Return a question by its id, with some of its numbers given."""
    (question,) = (q for q in QUESTIONS if q["id"] == name)
    given = {key: [value] for key, value in numbers.items()}
    return bank.Drawn(
        {**question, "draw": {**question.get("draw", {}), **given}},
        KNOWN, seed)


def test_there_are_a_hundred_and_each_has_a_name_of_its_own():
    assert len(QUESTIONS) >= 100
    assert len({q["id"] for q in QUESTIONS}) == len(QUESTIONS)
    assert len({q["text"] for q in QUESTIONS}) == len(QUESTIONS)
    assert all(q["id"].startswith(f"{q['chapter']:02}-") for q in QUESTIONS)


def test_each_question_names_an_objective_and_each_objective_has_one():
    asked = {(q["chapter"], q["objective"]) for q in QUESTIONS}
    stated = set()
    for path in notebooks.BOOK.glob("*.ipynb"):
        goals = teaching.goals(nbformat.read(path, as_version=4))
        stated |= {(int(path.stem[:2]), number)
                   for number in range(1, len(goals) + 1)}
    assert asked <= stated
    assert {chapter for chapter, _ in asked} >= set(range(1, 13))
    missing = {pair for pair in stated - asked if pair[0] <= 12}
    assert not missing


@pytest.mark.parametrize("path", [
    path for path in sorted(notebooks.BOOK.glob("*.ipynb"))
    if int(path.stem[:2]) in {q["chapter"] for q in QUESTIONS}],
    ids=lambda path: path.stem)
def test_each_objective_is_tested_and_each_exercise_serves_one(path):
    notebook = nbformat.read(path, as_version=4)
    found = teaching.matrix(int(path.stem[:2]), notebook)
    assert all(questions for _, questions in found.values())
    assert sorted(sum((exercises for exercises, _ in found.values()), [])) == [
        exercise.number for exercise in teaching.exercises(notebook)]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["id"])
def test_a_question_is_whole_for_every_seed(question):
    answers = set()
    for seed in SEEDS:
        one = bank.Drawn(question, KNOWN, seed)
        assert "<<" not in one.text
        if question["kind"] == "choice":
            texts = [text for text, *_ in one.options]
            assert len(set(texts)) == len(texts) >= 4
            assert all(why for _, why, _ in one.options)
            assert [right for *_, right in one.options].count(True) == 1
        else:
            assert math.isfinite(one.answer) and one.question["marks"]
            answers.add(one.answer)
    if question["kind"] == "number":
        assert len(answers) > 1, "the numbers drawn change nothing"
        # What is typed is no answer: the expression needs what is drawn.
        assert set(question["draw"]) & set(
            re.findall(r"\w+", question["answer"]))
        assert any(bank.Drawn(question, KNOWN, seed).slips for seed in SEEDS)


# Worked out on paper.
@pytest.mark.parametrize("name, numbers, answer", [
    ("01-battery", {"hours": 2, "wh": 5, "share": 10, "fps": 10}, 25),
    ("02-same", {"side": 33, "kernel": 3, "stride": 2}, 17),
    ("02-valid", {"side": 32, "kernel": 5, "stride": 3}, 10),
    ("02-one-output", {"a": 1, "b": 2, "c": 5, "w": 3}, -5),
    ("03-pair-weights", {"kernel": 3, "channels": 16, "filters": 40}, 784),
    ("03-relu", {"x": -2, "d": 2, "p": 3}, 12),
    ("04-saving", {"kernel": 3, "filters": 64}, 576 / 73),
    ("04-fewest", {"factor": 8}, 72),
    ("05-bn", {"x": 5, "mean": 1, "gamma": 2, "beta": 1}, 5),
    ("05-dead", {"channels": 1024}, 8192),
    ("06-interval", {"printed": "4.23"}, 10_000),
    ("07-offset", {"y": 3, "x": 5}, 1024 + 96 + 5),
    ("07-twins", {"d": 5, "p": 90}, 0.5 / 0.95),
    ("08-first", {"rate": 0.01, "g": 3}, 0.0316228),
    ("09-separated", {"n": 3}, 10), ("10-ridge", {"peak": 50, "band": 10}, 5),
    ("11-fold-bias", {"mean": 2.0, "beta": 1.0, "gamma": 0.5}, 0.5),
    ("11-quantize", {"x": 3.5, "scale": 0.02}, 127),
    ("12-sent", {"workers": 4, "params": 2}, 12),
    ("12-unequal", {"a": 30, "b": 10, "g": 2.0, "h": -2.0}, 1)])
def test_an_answer_is_what_paper_says(name, numbers, answer):
    assert drawn(name, **numbers).answer == pytest.approx(answer, rel=1e-5)


def test_a_mistake_that_leads_to_the_right_answer_is_left_out():
    assert "kernel - 1" in drawn("02-zeros").question["slips"][0][0]
    right = drawn("02-zeros", side=7, kernel=3, stride=2)
    assert right.answer == 2 and 2 not in [slip for slip, _ in right.slips]


def test_moodle_gets_every_question_with_reasons_and_tolerance():
    quiz = bank.moodle(QUESTIONS, KNOWN, seed=3, variants=2)
    quiz = ElementTree.fromstring(ElementTree.tostring(quiz))
    kinds = [element.get("type") for element in quiz]
    numbers = sum(q["kind"] == "number" for q in QUESTIONS)
    assert kinds.count("numerical") == 2 * numbers
    assert kinds.count("multichoice") == len(QUESTIONS) - numbers
    for element in quiz:
        if element.get("type") == "category":
            assert element.find("category/text").text.startswith("$course$")
            continue
        assert element.find("questiontext/text").text
        answers = element.findall("answer")
        assert [a.get("fraction") for a in answers].count("100") == 1
        for answer in answers:
            assert answer.find("feedback/text").text
            if element.get("type") == "numerical":
                float(answer.find("text").text)
                assert float(answer.find("tolerance").text) >= 0


def test_each_student_has_an_exam_of_their_own_and_the_key_is_apart():
    exams = [bank.paper(QUESTIONS, KNOWN, 1, name, 24)
             for name in ("first", "second", "first")]
    assert exams[0] == exams[2] != exams[1]
    exam, key = exams[0]
    assert exam.count("<p>Derivation") + exam.count("<ul>") == 24
    assert "<strong>" in key and "<strong>" not in exam
    assert "Right." in key and "Right." not in exam


def test_the_numbers_of_the_project_s_example_are_those_of_the_book():
    text = (bank.PLACE / "project.md").read_text(encoding="utf8")
    macs, weights = KNOWN["closed_form"](KNOWN["BODY"], 0.5, 160)
    assert f"{macs / 1e6:.1f} million" in " ".join(text.split())
    assert f"{weights / 1e6:.1f} MB" in text
    points = [int(n) for n in re.findall(r"(?m)\| (\d+) \|$", text)]
    assert f"of {sum(points)}" in text
