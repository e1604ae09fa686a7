"""The quiz: whole, its right options well spread, none of the exam's in it."""

import difflib
import re

import bank
import nbformat
import notebooks
import pytest
import yaml

TEXT = (notebooks.BOOK / "quiz.md").read_text(encoding="utf8")
PARTS = re.findall(r"(?ms)^## (Part \d: .*?)\n(.*?)(?=^## |\Z)", TEXT)
OPTION = re.compile(
    r"<details>\n<summary>([A-D])\. (.+?)</summary>\n\n"
    r"\*\*(Right|No)\.\*\* (.+?)\n\n</details>\n", re.DOTALL)
SECTION = re.compile(
    r"Section: \[chapter (\d+), \*([^*]+)\*\]\((\S+)\.ipynb#(\S+)\)")
# As many words in a row are no chance.
RUN = 6


def questions(part):
    """Yield (title, text, options, rest) of each question of a part."""
    for one in re.split(r"(?m)^### ", part)[1:]:
        title, _, text = one.partition("\n")
        asked, _, rest = text.partition("<details>\n")
        options = OPTION.findall("<details>\n" + rest)
        yield title, asked, options, OPTION.sub("", "<details>\n" + rest)


QUESTIONS = [(name, *one) for name, part in PARTS for one in questions(part)]
TITLES = [title for _, title, *_ in QUESTIONS]


def words(text):
    """Return the words and numbers of a text, in lower case."""
    text = re.sub(r"<[^>]*>|\]\([^)]*\)", " ", text)
    return re.findall(r"[^\W_]+(?:[.,]\d+)*", text.lower())


def runs(text):
    """Return the runs of RUN words in a text; of a short one, none."""
    found = words(text)
    return {tuple(found[at:at + RUN]) for at in range(len(found) - RUN + 1)}


def exam():
    """Return (all texts, all right answers) that an exam may print."""
    texts, answers, known = [], [], bank.names()
    for question in bank.read():
        for seed in range(4):
            one = bank.Drawn(question, known, seed)
            texts.append(one.text)
            if question["kind"] == "choice":
                texts += [said for pair in one.options for said in pair[:2]]
                answers += [said for said, _, right in one.options if right]
            else:
                texts += [why for _, why in one.slips] + question["marks"]
    return texts, answers


EXAM, ANSWERS = exam()


def leaks(page, options):
    """Return what of the exam's a page has: runs of words, and answers."""
    mine = runs(page)
    known = [words(answer) for answer in ANSWERS]
    return [" ".join(run) for text in EXAM for run in runs(text) & mine] + [
        option for option in options if words(option) in known]


def contents():
    """Return {caption: names of its chapters}, as _toc.yml lists them."""
    parts = yaml.safe_load((notebooks.BOOK.parent / "_toc.yml").read_text())
    return {part["caption"]: [one["file"].partition("/")[2]
                              for one in part["chapters"]]
            for part in parts["parts"]}


def anchor(heading):
    """Return the anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def test_there_are_five_parts_as_in_the_contents_with_six_questions_each():
    names = [name.partition(": ")[2] for name, _ in PARTS]
    assert names == [name for name in contents() if name in names]
    assert len(names) == 5
    for number, (_, part) in enumerate(PARTS, start=1):
        titles = [title for title, *_ in questions(part)]
        assert len(titles) >= 6
        assert [title.partition(" ")[0] for title in titles] == [
            f"{number}.{place}" for place in range(1, len(titles) + 1)]


@pytest.mark.parametrize("_, title, asked, options, rest", QUESTIONS,
                         ids=TITLES)
def test_a_question_has_four_options_with_reasons_and_one_is_right(
        _, title, asked, options, rest):
    assert asked.strip().endswith("?")
    assert [letter for letter, *_ in options] == list("ABCD")
    assert len({said for _, said, *_ in options}) == 4
    assert [right for *_, right, _ in options].count("Right") == 1
    assert all(len(words(why)) > 5 for *_, why in options)
    # No other element hides a fifth.
    assert "details" not in rest and "summary" not in rest


@pytest.mark.parametrize("part, title, asked, options, rest", QUESTIONS,
                         ids=TITLES)
def test_a_question_names_a_section_of_its_part_and_links_it(
        part, title, asked, options, rest):
    number, heading, chapter, place = SECTION.fullmatch(
        " ".join(rest.split())).groups()
    assert chapter in contents()[part.partition(": ")[2]]
    assert int(number) == int(chapter[:2])
    notebook = nbformat.read(
        notebooks.BOOK / f"{chapter}.ipynb", as_version=4)
    headings = re.findall(r"(?m)^##+ (.+)$", "\n".join(
        cell.source for cell in notebook.cells
        if cell.cell_type == "markdown"))
    assert heading in headings and place == anchor(heading)


def test_every_chapter_of_the_four_weeks_has_a_question():
    asked = set(re.findall(r"\((\d\d-[\w-]+)\.ipynb#", TEXT))
    assert {int(name[:2]) for name in asked} >= set(range(1, 13))


def test_neither_place_nor_length_gives_the_right_option_away():
    places, longest = [], 0
    for *_, options, _ in QUESTIONS:
        lengths = [len(said) for _, said, *_ in options]
        (place,) = (at for at, one in enumerate(options) if one[2] == "Right")
        places.append(place)
        longest += lengths[place] == max(lengths)
    for place in range(4):
        assert len(places) / 6 <= places.count(place) <= len(places) / 3
    assert all(len(set(three)) > 1
               for three in zip(places, places[1:], places[2:]))
    assert longest <= len(places) / 3


def test_nothing_of_the_exam_is_in_the_quiz():
    assert len(EXAM) > 1000 and len(ANSWERS) > 200
    options = [said for *_, given, _ in QUESTIONS for _, said, *_ in given]
    assert leaks(TEXT, options) == []


@pytest.mark.parametrize("asked", [one[2] for one in QUESTIONS], ids=TITLES)
def test_no_question_is_one_of_the_exam_in_other_words(asked):
    mine = words(asked)
    alike = {one["id"]: difflib.SequenceMatcher(
        None, mine, words(one["text"])).ratio() for one in bank.read()}
    assert max(alike.values()) < 0.5, max(alike, key=alike.get)


@pytest.mark.parametrize("question", [
    one for one in bank.read() if len(words(one["text"])) > RUN][::9],
    ids=lambda one: one["id"])
def test_a_question_of_the_exam_would_be_found_in_the_quiz(question):
    drawn = bank.Drawn(question, bank.names(), 1)
    assert leaks(TEXT + drawn.text.upper(), [])
    if question["kind"] == "choice":
        (right,) = (said for said, _, right in drawn.options if right)
        assert leaks("", [f"<em>{right}</em>"])


def test_it_needs_no_script():
    assert not re.search(r"<script|\bon\w+=|<input|<iframe|<img|https?:", TEXT)
