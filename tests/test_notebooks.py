"""The notebook tool on small notebooks, and its rules on every chapter.

The small notebook breaks no rule; each test breaks one and expects its name.
"""

import base64
import io
import os

import nbformat
import notebooks
import pytest
import stamps
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)
from PIL import Image

CHAPTERS = sorted(notebooks.BOOK.glob("*.ipynb"))

EXAMPLE = '''"""A module to embed."""

import math

# How many of them there are,
# and why.
COUNT = 3
LIMIT: int = 4


def area(radius):
    """Return the area of a circle."""
    return math.pi * radius ** 2


# Drawn around each.
@staticmethod
def box(radius):
    return 2 * radius


class Shape:
    """A shape."""

    side = COUNT
'''

TEXT = """# Shapes

How large is a circle?

**You will be able to** measure. **You need** paper. **Time** 5 minutes.

## Check yourself

## Exercises

## Key points

## Next
"""

PNG = "iVBORw0KGgo="


def printed(text, stream="stdout"):
    return new_output("stream", name=stream, text=text)


def figure():
    return new_output("display_data", {"image/png": PNG})


@pytest.fixture
def book(tmp_path):
    """Return a folder laid out as book/, with a module and a data file."""
    (tmp_path / "mobilenet").mkdir()
    (tmp_path / "mobilenet" / "example.py").write_text(EXAMPLE)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "small-run.csv").write_text("epoch,loss\n1,0.5\n")
    return tmp_path


@pytest.fixture
def chapter(book):
    """Return a notebook of six code cells that breaks no rule."""
    cells = [
        new_code_cell("import math\n\nCOUNT = 3"),
        new_code_cell("", metadata={"embed": ["example.area"]}),
        new_code_cell(
            "print(round(area(COUNT)))", outputs=[printed("28\n")]),
        new_code_cell(
            "assert area(1) > 3", metadata={"tags": ["nbval-ignore-output"]}),
        new_code_cell(
            "sides = [n for n in range(COUNT)]", outputs=[figure()],
            metadata={"mystnb": {"image": {
                "alt": "Three sides, of lengths 0, 1 and 2."}}}),
        new_code_cell("# @title Sides\nsides", metadata={
            "tags": ["hide-input"]}),
    ]
    for count, cell in enumerate(cells, start=1):
        cell.execution_count = count
    notebook = new_notebook(cells=[new_markdown_cell(TEXT), *cells])
    notebooks.sync(notebook, book)
    stamps.stamp(notebook)
    assert notebooks.problems(notebook, book) == []
    nbformat.validate(notebook)
    return notebook


def cell_of(source, *references, **metadata):
    return new_code_cell(source, metadata={"embed": references, **metadata})


def synced(book, *references, **metadata):
    """Return what sync writes into a cell that embeds the references."""
    notebook = new_notebook(cells=[cell_of("old", *references, **metadata)])
    assert notebooks.sync(notebook, book) == 1
    assert notebooks.sync(notebook, book) == 0
    return notebook.cells[0].source


def test_sync_writes_a_function_alone(book):
    assert synced(book, "example.area") == (
        'def area(radius):\n'
        '    """Return the area of a circle."""\n'
        '    return math.pi * radius ** 2')


def test_sync_writes_a_constant_with_the_comment_above_it(book):
    assert synced(book, "example.COUNT") == (
        "# How many of them there are,\n# and why.\nCOUNT = 3")


def test_sync_writes_a_constant_with_its_type(book):
    assert synced(book, "example.LIMIT") == "LIMIT: int = 4"


def test_sync_writes_decorator_and_comment_with_a_function(book):
    assert synced(book, "example.box") == (
        "# Drawn around each.\n@staticmethod\ndef box(radius):\n"
        "    return 2 * radius")


def test_sync_writes_a_class(book):
    assert synced(book, "example.Shape") == (
        'class Shape:\n    """A shape."""\n\n    side = COUNT')


def test_sync_writes_a_whole_module(book):
    assert synced(book, "example") == EXAMPLE.rstrip("\n")


def test_sync_writes_a_data_file_as_a_string_named_after_its_path(book):
    source = synced(book, "runs/small-run.csv")
    found = {}
    exec(source, found)
    assert found["RUNS_SMALL_RUN_CSV"] == "epoch,loss\n1,0.5\n"
    assert source.splitlines()[1] == "epoch,loss"


def test_sync_writes_several_with_two_blank_lines_between(book):
    assert synced(book, "example.LIMIT", "example.COUNT") == (
        "LIMIT: int = 4\n\n\n# How many of them there are,\n# and why.\n"
        "COUNT = 3")


def test_sync_titles_a_collapsed_cell(book):
    assert synced(
        book, "example.LIMIT", tags=["hide-input"]) == (
        "# @title Code from earlier chapters\nLIMIT: int = 4")


def test_sync_keeps_the_title_of_a_collapsed_cell(book):
    cell = cell_of("# @title How many\nold", "example.LIMIT",
                   tags=["hide-input"])
    notebooks.sync(new_notebook(cells=[cell]), book)
    assert cell.source == "# @title How many\nLIMIT: int = 4"


def test_sync_adds_the_imports_that_parts_in_a_closed_cell_need(book):
    assert synced(book, "example.area", tags=["hide-input"]).startswith(
        "# @title Code from earlier chapters\nimport math\n\n\ndef area(")
    assert "import" not in synced(book, "example.COUNT", tags=["hide-input"])


def test_sync_leaves_other_cells_as_they_are(book):
    cells = [new_code_cell("x = 1"), new_markdown_cell("# Title")]
    assert notebooks.sync(new_notebook(cells=cells), book) == 0
    assert [cell.source for cell in cells] == ["x = 1", "# Title"]


@pytest.mark.parametrize("reference", ["example.absent", "example.math"])
def test_reference_to_no_top_level_name_is_refused(book, reference):
    name = reference.partition(".")[2]
    with pytest.raises(ValueError, match=f"no top-level {name}"):
        synced(book, reference)


@pytest.mark.parametrize("text", ['say """hello"""', "back\\slash"])
def test_data_that_cannot_stand_in_a_string_is_refused(book, text):
    (book / "runs" / "odd.csv").write_text(text)
    with pytest.raises(ValueError, match="runs/odd.csv cannot"):
        synced(book, "runs/odd.csv")


@pytest.mark.parametrize(("source", "needed", "defined"), [
    ("y = x + 1", {"x"}, {"y"}),
    ("import a.b\nfrom c import d as e", set(), {"a", "e"}),
    ("def f(p, q=r):\n    s = p\n    return s + t", {"r", "t"}, {"f"}),
    ("class A(B):\n    z = C", {"B", "C"}, {"A"}),
    ("[i for i in items]", {"items"}, set()),
    ("def f():\n    def g():\n        return h\n    return g", {"h"}, {"f"}),
    ("def f():\n    return g()\n\ndef g():\n    return 1", set(),
     {"f", "g"}),
    ("for k, v in pairs:\n    print(k)", {"pairs", "print"}, {"k", "v"}),
    ("@wrap\ndef f() -> T:\n    return 1", {"wrap", "T"}, {"f"}),
    ("class A:\n    def f(self):\n        return g(self)", {"g"}, {"A"}),
    ("def f():\n    global n\n    n = 1", set(), {"f"}),
    ("f = lambda a: a + b", {"b"}, {"f"}),
    ("with open(p) as file:\n    file.read()", {"open", "p"}, {"file"}),
    ("def f():\n    return f'{value:{width}}'", {"value", "width"}, {"f"}),
])
def test_names_of_finds_what_a_cell_needs_and_defines(
        source, needed, defined):
    found_needed, found_defined = notebooks.names_of(source)
    assert found_needed == needed
    assert defined <= found_defined <= defined | needed


def break_embedded(notebook):
    notebook.cells[2].source += " "


def change_order(notebook):
    cells = notebook.cells
    cells[2], cells[3] = cells[3], cells[2]
    cells[2].execution_count, cells[3].execution_count = 2, 3


def change(number, **values):
    """Return a function that sets attributes of one cell of a notebook."""
    return lambda notebook: notebook.cells[number].update(values)


def without(section):
    """Return a function that takes a line of Markdown out of a notebook."""
    def remove(notebook):
        text = notebook.cells[0].source
        assert section in text
        notebook.cells[0].source = text.replace(section, "")
    return remove


def also(text):
    """Return a function that adds Markdown to a notebook."""
    return lambda notebook: notebook.cells.append(new_markdown_cell(text))


def output(number, *outputs):
    return change(number, outputs=list(outputs))


def tagged(number, *tags):
    return lambda notebook: notebook.cells[number].metadata.update(
        tags=list(tags))


def alt(text):
    return lambda notebook: notebook.cells[5].metadata.update(
        mystnb={"image": {"alt": text}})


LONG = "\n".join(f"a{n} = {n}" for n in range(16))

def noise(number, **metadata):
    """Return a function that leaves metadata in a cell, as editors do."""
    return lambda notebook: notebook.cells[number].metadata.update(metadata)


def changed_above(notebook):
    """Take an output's ground away, and renumber so that no count tells."""
    del notebook.cells[1]
    notebook.cells[0].source += "\n\nCOUNT is 3."
    for count, cell in enumerate(notebook.cells[1:], start=1):
        cell.execution_count = count


RULES = {
    "figure replaced": (
        output(5, new_output("display_data", {"image/png": "AAAAAAAA"})),
        "cell 5 shows an output that its code did not make"),
    "output typed": (
        output(3, printed("29\n")),
        "cell 3 shows an output that its code did not make"),
    "output dropped": (
        output(3), "cell 3 shows an output that its code did not make"),
    "code changed and not run": (
        change(1, source="import math\n\nCOUNT = 4"),
        "cell 1 was changed and not run"),
    "cell without a stamp": (
        lambda notebook: notebook.cells[6].metadata.pop("made"),
        "cell 6 was changed and not run"),
    "cell above taken away": (
        changed_above, "cell 1 ran below other code than stands above it"),
    "Colab's id": (
        noise(0, id="a1B2", colab_type="text"),
        "cell 0 has noise in its metadata (colab_type, id): run sync"),
    "Colab's outputs": (
        noise(3, outputId="a1", colab={"base_uri": "https://localhost"}),
        "cell 3 has noise in its metadata (colab, outputId): run sync"),
    "timings": (
        noise(3, execution={"iopub.execute_input": "2026"}),
        "cell 3 has noise in its metadata (execution): run sync"),
    "closed without a title": (
        change(6, source="sides"), "cell 6 is closed and has no first line"),
    "closed with an empty title": (
        change(6, source="# @title \nsides"),
        "cell 6 is closed and has no first line"),
    "folded in Jupyter": (
        noise(3, jupyter={"outputs_hidden": True}),
        "cell 3 has noise in its metadata (jupyter): run sync"),
    "the background of a figure": (
        lambda notebook: notebook.cells[5].outputs[0].metadata.update(
            needs_background="light"),
        "cell 5 has noise in its outputs' metadata, or no alt text there: run"
        " sync"),
    "alt text in the cell alone": (
        lambda notebook: notebook.cells[5].outputs[0].pop("metadata"),
        "cell 5 has noise in its outputs' metadata, or no alt text there: run"
        " sync"),
    "widgets": (
        lambda notebook: notebook.metadata.update(widgets={"state": 1}),
        "the notebook's metadata is noise (widgets): run sync"),
    "another kernel": (
        lambda notebook: notebook.metadata.kernelspec.update(name="tf"),
        "the notebook's metadata is noise (old): run sync"),
    "embedded cell changed": (
        break_embedded, "cell 2 differs from its source example.area"),
    "name used before its cell": (
        change_order, "cell 2 uses area, which no cell above defines"),
    "name that nothing defines": (
        change(6, source="sides + absent"), "cell 6 uses absent, which"),
    "not Python": (change(6, source="print 1"), "cell 6 is not plain Python"),
    "never run": (
        change(6, execution_count=None), "never run: cells 6: execute"),
    "run in another order": (
        change(6, execution_count=9), "cell 6 as 9, not 6, and 0 more"),
    "stored error": (
        output(3, new_output("error", ename="KeyError", evalue="")),
        "cell 3 stores the error KeyError"),
    "stored address": (
        output(3, printed("<function area at 0x7fd0a1b2c3d4>", "stdout")),
        "cell 3 stores the address at 0x7fd0a1b2c3d4, another"),
    "stored stderr": (
        output(3, printed("warning", "stderr")),
        "cell 3 stores text of stderr"),
    "SVG": (
        output(3, new_output("display_data", {"image/svg+xml": "<svg/>"})),
        "cell 3 stores SVG"),
    "no alt text": (
        output(3, figure()), "cell 3 shows a figure without alt text"),
    "alt text of one word": (
        alt("A figure"), "cell 5 shows a figure without alt text"),
    "figure as JPEG without alt text": (
        output(3, new_output("display_data", {"image/jpeg": PNG})),
        "cell 3 shows a figure without alt text"),
    "a path of this machine": (
        output(3, printed("/home/someone/book\n")),
        "cell 3 stores a path of somebody's machine"),
    "unknown tag": (
        tagged(6, "hide-input", "skip"), "cell 6 has unknown tags: skip"),
    "16 lines": (change(6, source=LONG), "cell 6 has 16 lines, over 15"),
    "80 columns": (
        change(6, source="sides  # " + "x" * 71),
        "cell 6 has a line over 79 columns"),
    "import of the book": (
        change(6, source="import mobilenet"),
        "cell 6 needs more than this one file"),
    "import from the book": (
        change(6, source="if sides:\n    from mobilenet.costs import count"),
        "cell 6 needs more than this one file"),
    "import of the book among others": (
        change(6, source="import json, mobilenet"),
        "cell 6 needs more than this one file"),
    "shell command": (
        change(6, source="!pip install keras"),
        "cell 6 needs more than this one file"),
    "magic": (
        change(6, source="%matplotlib inline"),
        "cell 6 needs more than this one file"),
    "neither compared nor asserted": (
        change(4, source="area(1)"),
        "cell 4 is not compared and asserts nothing"),
    "assert in a comment alone": (
        change(4, source="area(1)  # assert nothing"),
        "cell 4 is not compared and asserts nothing"),
    "too much not compared": (
        lambda notebook: (
            tagged(6, "nbval-ignore-output")(notebook),
            change(6, source="assert sides")(notebook)),
        "2 of 6 code cells are not compared"),
    "no title": (
        without("# Shapes\n\n"), "the first cell is not the chapter's title"),
    "title in a code cell": (
        lambda notebook: notebook.cells.insert(0, notebook.cells.pop(1)),
        "the first cell is not the chapter's title"),
    "MyST directive": (
        also("```{note}\nLook.\n```"), "'```{' in Markdown shows raw"),
    "MyST colon directive": (
        also(":::{note}\nLook.\n:::"), "':::{' in Markdown shows raw"),
    "MyST role": (also("See {numref}`fig`."), "in Markdown shows raw"),
    "MyST citation": (also("{cite:p}`howard`"), "in Markdown shows raw"),
    "formula in a summary": (
        also("<summary>1. Is $x$ 2?</summary>"), "shows raw on the site"),
    **{f"no {section}": (without(section), f"there is no {section}")
       for section in (
           "**You will be able to**", "**You need**", "**Time**",
           "## Check yourself", "## Exercises", "## Key points",
           "## Next")},
}


@pytest.mark.parametrize("rule", RULES)
def test_broken_rule_is_named_with_its_cell(rule, chapter, book):
    break_it, words = RULES[rule]
    break_it(chapter)
    found = notebooks.problems(chapter, book)
    assert any(words in line for line in found), found


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if RULES[rule][1].endswith("run sync")])
def test_sync_mends_what_it_is_asked_to_mend(rule, chapter, book):
    RULES[rule][0](chapter)
    notebooks.sync(chapter, book)
    assert notebooks.problems(chapter, book) == []


@pytest.mark.parametrize("rule", [
    "figure replaced", "output typed", "code changed and not run"])
def test_sync_does_not_vouch_for_outputs(rule, chapter, book):
    break_it, words = RULES[rule]
    break_it(chapter)
    notebooks.sync(chapter, book)
    assert any(words in line for line in notebooks.problems(chapter, book))


@pytest.mark.parametrize("text, kept", [
    ("<ipython>:1: UserWarning: tf.lite.Interpreter is deprecated\n", 1),
    ("W0000 00:00:17.1 99 flatbuffer.cc:364] Ignored output_format.\n", 1),
    ("I0000 00:00:17.1 99 service.cc:152] XLA service\n", 0),
    ("WARNING: All log messages before absl::InitializeLog() is called\n"
     "I0000 00:00:17.1 99 port.cc:153] oneDNN custom operations are on.\n",
     0),
    ("2026-11-30 04:00:00.1: I tensorflow/core/util/port.cc:153] oneDNN\n"
     "To enable the following instructions: AVX2 FMA, rebuild.\n", 0)])
def test_noise_is_what_a_reader_is_warned_of(text, kept):
    outputs = [printed(text, "stderr"), printed("W a result\n"), figure()]
    assert notebooks.noise(outputs) == text.splitlines()[:kept]
    assert notebooks.noise(None) == []


def test_a_figure_says_in_its_output_what_it_shows(chapter):
    (shown,) = chapter.cells[5].outputs
    assert shown.metadata == {
        "image/png": {"alt": "Three sides, of lengths 0, 1 and 2."}}
    assert "alt" not in str(chapter.cells[3].outputs)


@pytest.mark.parametrize("quiet", [
    "from warnings import filterwarnings",
    "filterwarnings('ignore', r'Warning: tf')",
    'os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"'])
def test_outputs_outlive_what_keeps_stderr_quiet(quiet):
    assert stamps.effect(f"{quiet}\nsides = 2") == stamps.effect("sides = 2")
    for louder in ("os.environ['A'] = '2'", "a = 'A'", "warn('A')",
                   "from math import pi", "show('A')"):
        assert stamps.effect(f"{louder}\nsides = 2") != (
            stamps.effect("sides = 2"))


@pytest.mark.parametrize("before, after, named", [
    ('"""Return the area of a circle."""', '"""Return an area."""', False),
    ("# Drawn around each.", "# Drawn around.", False),
    ("math.pi * radius ** 2", "math.pi * radius**2", False),
    ("math.pi * radius ** 2", "math.pi * radius ** 3", True),
    ("def area(radius)", "def area(radius=1)", True)])
def test_outputs_outlive_a_docstring_and_not_a_change_of_code(
        before, after, named, chapter, book):
    path = book / "mobilenet" / "example.py"
    assert before in EXAMPLE
    path.write_text(EXAMPLE.replace(before, after))
    chapter.cells[2].metadata.embed = ["example"]
    notebooks.sync(chapter, book)
    stamps.stamp(chapter)
    path.write_text(EXAMPLE)
    notebooks.sync(chapter, book)
    assert notebooks.problems(chapter, book) == [
        "cell 2 was changed and not run: execute the chapter"] * named


def test_a_text_that_a_cell_shows_is_no_docstring(chapter, book):
    chapter.cells[6].source = '# @title Three\n"three"'
    stamps.stamp(chapter)
    chapter.cells[6].source = '# @title Three\n"four"'
    assert notebooks.problems(chapter, book) == [
        "cell 6 was changed and not run: execute the chapter"]


def test_sync_gives_a_notebook_of_colab_its_ids_back(chapter, book):
    before = [cell.id for cell in chapter.cells]
    chapter.nbformat_minor = 0
    for cell in chapter.cells:
        cell.metadata.id = cell.pop("id")
    notebooks.sync(chapter, book)
    assert [cell.id for cell in chapter.cells] == before
    nbformat.validate(chapter)
    assert notebooks.problems(chapter, book) == []


def test_limits_themselves_are_allowed(chapter, book):
    chapter.cells[6].source = "\n".join([
        "# @title Sides", "sides  # " + "x" * 70, *LONG.splitlines()[:14]])
    assert max(map(len, chapter.cells[6].source.splitlines())) == 79
    assert len(chapter.cells[6].source.splitlines()) == 1 + 15
    stamps.stamp(chapter)
    assert notebooks.problems(chapter, book) == []


def test_embedded_cell_may_be_long(chapter, book):
    chapter.cells[2].metadata.embed = ["example"]
    notebooks.sync(chapter, book)
    stamps.stamp(chapter)
    assert len(chapter.cells[2].source.splitlines()) > 15
    assert notebooks.problems(chapter, book) == []


def test_set_mathematics_and_details_are_plain_markdown(chapter, book):
    chapter.cells.append(new_markdown_cell(
        "$$\n\\frac{HWC\\,k^2}{M} \\tag{4.2}\n$$\n\n<details><summary>Answer"
        "</summary>\n\n$9$\n\n</details>\n\n```python\nx = {1}\n```"))
    assert notebooks.problems(chapter, book) == []


def test_one_character_changed_in_the_source_names_the_cell(chapter, book):
    path = book / "mobilenet" / "example.py"
    path.write_text(EXAMPLE.replace("radius ** 2", "radius ** 3"))
    assert notebooks.problems(chapter, book) == [
        "cell 2 differs from its source example.area: run sync"]


def test_changed_data_file_names_the_cell(chapter, book):
    chapter.cells[2].metadata.embed = ["example.area", "runs/small-run.csv"]
    notebooks.sync(chapter, book)
    stamps.stamp(chapter)
    assert notebooks.problems(chapter, book) == []
    (book / "runs" / "small-run.csv").write_text("epoch,loss\n1,0.6\n")
    assert notebooks.problems(chapter, book) == [
        "cell 2 differs from its source example.area, runs/small-run.csv:"
        " run sync"]


@pytest.mark.parametrize(
    "reference", ["example.gone", "gone.area", "runs/gone.csv"])
def test_reference_to_what_is_gone_names_the_cell(chapter, book, reference):
    chapter.cells[2].metadata.embed = [reference]
    found = notebooks.problems(chapter, book)
    assert any(
        line.startswith("cell 2 ") and "gone" in line for line in found)


def run_command(monkeypatch, *arguments):
    monkeypatch.setattr(
        "sys.argv", ["notebooks.py", *map(str, arguments)])
    return notebooks.main()


def test_check_exits_1_with_the_chapters_name_or_0(
        tmp_path, monkeypatch, capsys):
    path = tmp_path / "04-counting-costs.ipynb"
    notebook = nbformat.read(notebooks.BOOK / path.name, as_version=4)
    nbformat.write(notebook, path)
    assert run_command(monkeypatch, "check", path) == 0
    assert capsys.readouterr().out == ""
    number, cell = next((number, cell) for number, cell
                        in enumerate(notebook.cells) if "embed" in
                        cell.metadata)
    cell.source += "\n"
    nbformat.write(notebook, path)
    assert run_command(monkeypatch, "check", path) == 1
    assert capsys.readouterr().out == (
        f"{path.name}: cell {number} differs from its source"
        f" {', '.join(cell.metadata.embed)}: run sync\n")
    assert run_command(monkeypatch, "sync", path) == 0
    assert run_command(monkeypatch, "check", path) == 0


NOISY = """import os, sys
print("quick" if os.environ.get("BOOK_QUICK") else "whole", flush=True)
print("noise", file=sys.stderr, flush=True)
print(os.listdir())"""


def test_execute_runs_all_in_an_empty_folder_and_keeps_no_noise(monkeypatch):
    monkeypatch.setenv("BOOK_QUICK", "1")
    notebook = new_notebook(
        metadata={"widgets": {"state": 1}},
        cells=[new_markdown_cell("# Title"), new_code_cell(NOISY),
               new_code_cell("6 * 7", execution_count=12)])
    before = dict(os.environ)
    notebooks.execute(notebook)
    assert dict(os.environ) == before  # and the tests after this stay quick
    first, second = notebook.cells[1:]
    assert [first.execution_count, second.execution_count] == [1, 2]
    assert [(o.name, o.text) for o in first.outputs] == [
        ("stdout", "whole\n[]\n")]
    assert second.outputs[0].data["text/plain"] == "42"
    assert "execution" not in first.metadata
    assert len(set(stamps.stamps([first, second]))) == 2
    assert [first.metadata.made, second.metadata.made] == stamps.stamps(
        [first, second])
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    nbformat.validate(notebook)


FIGURE = """import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()"""
TIME = """import time
print(time.time_ns())
assert time.time_ns() > 0"""


def ran(code, **metadata):
    """Return a notebook of one cell that has run, and what it showed."""
    notebook = new_notebook(cells=[new_code_cell(code, metadata=metadata)])
    notebooks.execute(notebook)
    return notebook, notebook.cells[0].outputs


def test_a_stored_figure_has_twice_the_pixels_of_its_size():
    _, (output,) = ran(FIGURE, mystnb={"image": {"alt": "A line upwards."}})
    png = base64.b64decode(output.data["image/png"])
    shown = output.metadata["image/png"]
    assert shown["alt"] == "A line upwards."
    with Image.open(io.BytesIO(png)) as image:
        assert shown["width"] == image.width // 2 > 100
        assert shown["height"] == image.height // 2 > 100


def test_execute_keeps_a_measured_time_and_nothing_that_is_compared():
    notebook, outputs = ran(TIME, tags=["nbval-ignore-output"])
    (cell,), text = notebook.cells, outputs[0].text
    notebooks.execute(notebook, [cell.id])
    assert cell.outputs[0].text == text
    assert not [line for line in notebooks.problems(notebook)
                if "cell 0" in line]
    for change in ({"source": TIME + "\n1"}, {"metadata": {}}, {"id": "x"}):
        other = nbformat.from_dict(notebook)
        other.cells = [nbformat.from_dict({**cell, **change})]
        with pytest.raises(ValueError, match=f"outputs of {cell.id}: not"):
            notebooks.execute(other, [cell.id])


def test_execute_keeps_the_figure_of_what_was_measured():
    notebook, (output,) = ran("import time\n" + FIGURE.replace(
        "[1, 2]", "[0, time.time_ns() % 1e6, 1e6]"))
    (cell,), png = notebook.cells, output.data["image/png"]
    notebooks.execute(notebook, [cell.id])
    assert cell.outputs[0].data["image/png"] == png
    notebooks.execute(notebook)
    assert cell.outputs[0].data["image/png"] != png


def test_execute_draws_again_from_the_times_of_an_earlier_run(tmp_path):
    clock = new_code_cell("""import time
import numpy as np


def timed(call, least=5):
    call()
    return np.full(150, time.time_ns() % 1e6)""", metadata={"clock": "timed"})
    shown = new_code_cell("""calls = []
ms = timed(lambda: calls.append(1), least=2)
print(len(calls), len(ms), ms[0])""")
    notebook, path = new_notebook(cells=[clock, shown]), tmp_path / "a.json"
    with pytest.raises(ValueError, match="no times are noted"):
        notebooks.execute(notebook, times=path, stored=True)
    notebooks.execute(notebook, times=path)
    text = shown.outputs[0].text
    assert len(notebook.cells) == 2 and shown.execution_count == 2
    assert text.startswith("1 101 ")
    record = path.read_text()
    notebooks.execute(notebook, times=path, stored=True)
    assert shown.outputs[0].text == text and path.read_text() == record
    notebooks.execute(notebook, times=path)
    assert shown.outputs[0].text != text and path.read_text() != record
    for source, words in (("timed(int), timed(int)", "more is timed than"),
                          ("ms = 0", "less is timed than")):
        shown.source = source
        with pytest.raises(Exception, match=words):
            notebooks.execute(notebook, times=path, stored=True)


def test_execute_stops_at_an_error():
    notebook = new_notebook(cells=[new_code_cell("1 / 0")])
    with pytest.raises(Exception, match="ZeroDivisionError"):
        notebooks.execute(notebook)


@pytest.fixture(scope="module")
def spaced(tmp_path_factory):
    """Return a copy of what chapters embed, a space at each line's end."""
    copy = tmp_path_factory.mktemp("spaced") / "book"
    for suffix in ("py", "csv", "json", "txt"):
        for source in notebooks.BOOK.rglob(f"*.{suffix}"):
            target = copy / source.relative_to(notebooks.BOOK)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text(encoding="utf8")
            target.write_text(text.replace("\n", " \n"), encoding="utf8")
    return copy


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_space_more_in_every_source_line_names_every_embedded_cell(
        path, spaced):
    notebook = nbformat.read(path, as_version=4)
    found = "\n".join(notebooks.problems(notebook, spaced))
    for number, cell in enumerate(notebook.cells):
        if cell.metadata.get("embed"):
            assert f"cell {number} differs from its source" in found


def test_execute_refuses_to_store_noise_as_real_images(monkeypatch):
    monkeypatch.delenv("CIFAR10_DIR", raising=False)
    cell = nbformat.v4.new_code_cell(
        "1", metadata={"tags": ["real-data"]})
    with pytest.raises(ValueError, match="CIFAR10_DIR"):
        notebooks.execute(nbformat.v4.new_notebook(cells=[cell]))
    assert cell.execution_count is None


def test_a_tag_closes_a_cell_in_colab_and_jupyterlab_too(chapter, book):
    shown, solution = chapter.cells[6], chapter.cells[4]
    assert shown.metadata.cellView == "form"
    assert shown.metadata.jupyter == {"source_hidden": True}
    assert "jupyter" not in chapter.cells[1].metadata
    solution.metadata["tags"].append("hide-cell")
    solution.source = "# @title A solution\nassert area(1) > 3"
    assert notebooks.problems(chapter, book) == [
        "cell 4 is closed on the site alone: run sync"]
    assert notebooks.sync(chapter, book) == 1
    assert solution.metadata.collapsed is True
    assert solution.metadata.jupyter == {
        "source_hidden": True, "outputs_hidden": True}
    assert notebooks.problems(chapter, book) == []
    # Its title is not one of the fifteen lines.
    shown.source = "# @title Sides\n" + "\n".join(["sides"] * 15)
    stamps.stamp(chapter)
    assert notebooks.problems(chapter, book) == []


def test_records_in_a_closed_cell_are_called_what_they_are(chapter, book):
    (book / "runs").mkdir(exist_ok=True)
    (book / "runs" / "a.csv").write_text("epoch\n1\n")
    cell = new_code_cell("", metadata={
        "embed": ["runs/a.csv"], "tags": ["hide-input"]})
    chapter.cells.append(cell)
    notebooks.sync(chapter, book)
    assert cell.source.startswith("# @title Recorded data\nRUNS_A_CSV = ")


def test_what_the_checks_share_is_called_that():
    cell = new_code_cell("", metadata={
        "embed": ["verdicts"], "tags": ["hide-input"]})
    notebooks.sync(new_notebook(cells=[cell]))
    assert cell.source.startswith("# @title What the checks share\n\"\"\"")
