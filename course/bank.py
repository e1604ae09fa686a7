#!/usr/bin/env python3
"""The question bank: drawn by a seed, as Moodle XML or as an exam to print.

    python bank.py moodle exam.xml [--seed 1] [--variants 5]
    python bank.py print exam.html --student NAME [--seed 1] [--count 20]

bank.toml has the questions. Moodle gets each question with numbers in as many
variants, in a category for each objective, from which a quiz draws one. print
writes one student's exam, with numbers and questions of their own, and beside
it exam.key.html with the answers and the marking scheme.
"""

import argparse
import html
import math
import pathlib
import random
import re
import sys
import tomllib
from fractions import Fraction
from xml.etree import ElementTree

PLACE = pathlib.Path(__file__).resolve().parent
MODULES = ("costs", "convolution", "paper", "speed", "distributed",
           "quantization", "network")


def names():
    """Return what an expression may use: functions of the book's modules."""
    sys.path.append(str(PLACE.parent / "book"))
    import importlib

    import numpy as np

    found = {"np": np, "math": math, "Fraction": Fraction}
    for module in MODULES:
        loaded = vars(importlib.import_module(f"mobilenet.{module}"))
        found.update((name, value) for name, value in loaded.items()
                     if getattr(value, "__module__", "").startswith(
                         "mobilenet") or name == "BODY")
    return found


def read(path=PLACE / "bank.toml"):
    """Return the questions, each with its kind."""
    bank = tomllib.loads(path.read_text(encoding="utf8"))
    found = [{"kind": kind, **question}
             for kind in ("choice", "number") for question in bank[kind]]
    return sorted(found, key=lambda q: (q["chapter"], q["objective"]))


def shown(value):
    """Return a computed value as text."""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


class Drawn:
    """One question with its numbers drawn: all text and answers computed."""

    def __init__(self, question, known, seed):
        """Draw by a seed; compute what the question asks for."""
        chance = random.Random(f"{seed} {question['id']}")
        self.question = question
        self.scope = {**known, **{
            name: chance.choice(values)
            for name, values in question.get("draw", {}).items()}}
        self.text = self.filled(question["text"])
        if question["kind"] == "choice":
            self.options = [(self.filled(question["right"]), "Right.", True)]
            self.options += [
                (self.filled(text), self.filled(why), False)
                for text, why in question["wrong"]]
            chance.shuffle(self.options)
        else:
            self.compute()

    def compute(self):
        """Compute the answer, how near it must be, and usual mistakes."""
        self.answer = self.value(self.question["answer"])
        exact = isinstance(self.answer, int)
        self.tolerance = abs(self.answer) * self.question.get(
            "tolerance", 0 if exact else 0.01)
        found = [(self.value(slip), self.filled(why))
                 for slip, why in self.question["slips"]]
        # With some numbers a mistake leads to the right answer.
        self.slips = [(slip, why) for slip, why in found
                      if abs(slip - self.answer) > 2 * self.tolerance]

    def value(self, expression):
        """Return what an expression gives: an int or a float."""
        value = eval(expression, dict(self.scope))
        value = value.item() if hasattr(value, "item") else value
        return value if isinstance(value, int) else float(value)

    def filled(self, text):
        """Return a text with its expressions computed."""
        return re.sub(r"<<(.+?)>>", lambda found: shown(
            eval(found[1], dict(self.scope))), text)


def add(parent, tag, text=None, **attributes):
    """Add an element; with a text, in the child that Moodle wants."""
    element = ElementTree.SubElement(parent, tag, attributes)
    if text is not None:
        ElementTree.SubElement(element, "text").text = text
    return element


def moodle(questions, known, seed, variants):
    """Return Moodle XML, an element: categories and their questions."""
    quiz = ElementTree.Element("quiz")
    for question in questions:
        category = add(quiz, "question", type="category")
        add(category, "category",
            "$course$/top/MobileNet/Chapter {chapter}/Objective {objective}"
            .format(**question))
        draws = variants if "draw" in question else 1
        for number in range(draws):
            drawn = Drawn(question, known, f"{seed} {number}")
            kind = {"choice": "multichoice", "number": "numerical"}[
                question["kind"]]
            element = add(quiz, "question", type=kind)
            add(element, "name", f"{question['id']} {number + 1}")
            add(element, "questiontext", f"<p>{html.escape(drawn.text)}</p>",
                format="html")
            (choices if kind == "multichoice" else numbers)(element, drawn)
    return quiz


def choices(element, drawn):
    """Add the options of a multiple choice, each with its reason."""
    ElementTree.SubElement(element, "single").text = "true"
    ElementTree.SubElement(element, "shuffleanswers").text = "true"
    for text, why, right in drawn.options:
        answer = add(element, "answer", text, fraction="100" if right else "0",
                     format="plain_text")
        add(answer, "feedback", why, format="plain_text")


def numbers(element, drawn):
    """Add the right number, usual mistakes, and how it is marked."""
    scheme = "; ".join(map(drawn.filled, drawn.question["marks"]))
    add(element, "generalfeedback", f"Marking: {scheme}.", format="plain_text")
    rows = [(drawn.answer, "Right.", 100)] + [
        (slip, why, 0) for slip, why in drawn.slips]
    for value, why, fraction in rows:
        answer = add(element, "answer", repr(value), fraction=str(fraction),
                     format="plain_text")
        add(answer, "feedback", why, format="plain_text")
        ElementTree.SubElement(answer, "tolerance").text = repr(
            drawn.tolerance)


def paper(questions, known, seed, student, count):
    """Return (exam, key) of one student as HTML, count questions of each.

    They are drawn so that each chapter has as many as any other, or one less.
    """
    chance = random.Random(f"{seed} {student}")
    left = list(questions)
    chance.shuffle(left)
    taken = {question["chapter"]: 0 for question in left}
    chosen = []
    while left and len(chosen) < count:
        left.sort(key=lambda question: taken[question["chapter"]])
        chosen.append(left.pop(0))
        taken[chosen[-1]["chapter"]] += 1
    chosen.sort(key=lambda question: question["id"])
    drawn = [Drawn(question, known, f"{seed} {student}")
             for question in chosen]
    title = html.escape(f"MobileNet from First Principles: {student}")
    return tuple(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title></head>\n<body><h1>{title}</h1>\n<ol>\n"
        + "".join(item(one, key) for one in drawn) + "</ol></body></html>\n"
        for key in (False, True))


def item(drawn, key):
    """Return one question as an item of a list, with its key or without."""
    lines = [f"<p>{html.escape(drawn.text)}</p>"]
    if drawn.question["kind"] == "choice":
        lines.append("<ul>" + "".join(
            f"<li>{'<strong>' * (key and right)}{html.escape(text)}"
            + (f"{'</strong>' * right} <em>{html.escape(why)}</em>" * key)
            + "</li>" for text, why, right in drawn.options) + "</ul>")
    elif key:
        scheme = "; ".join(map(drawn.filled, drawn.question["marks"]))
        unit = drawn.question.get("unit", "")
        lines.append(f"<p><strong>{shown(drawn.answer)} {unit}</strong>"
                     f" (within {shown(drawn.tolerance)})."
                     f" {html.escape(scheme)}.</p>")
    else:
        lines.append("<p>Derivation and answer:</p>" + "<p>&nbsp;</p>" * 4)
    return f"<li>{''.join(lines)}</li>\n"


def main():
    """Read the command line and write what it asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=("moodle", "print"))
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--variants", type=int, default=5)
    parser.add_argument("--student", default="student")
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    if arguments.form == "moodle":
        tree = ElementTree.ElementTree(moodle(
            read(), names(), arguments.seed, arguments.variants))
        ElementTree.indent(tree)
        tree.write(arguments.file, encoding="utf-8", xml_declaration=True)
        return
    exam, key = paper(read(), names(), arguments.seed, arguments.student,
                      arguments.count)
    arguments.file.write_text(exam, encoding="utf8")
    arguments.file.with_suffix(".key.html").write_text(key, encoding="utf8")


if __name__ == "__main__":
    main()
