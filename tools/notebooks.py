#!/usr/bin/env python3
"""Keep the chapters true to their sources: sync, check, execute, new.

    python tools/notebooks.py sync    [FILE ...]  write the embedded cells
    python tools/notebooks.py check   [FILE ...]  name all that a file lacks
    python tools/notebooks.py execute [FILE ...]  run and store the outputs
    python tools/notebooks.py new     NAME        begin a chapter: 13-phones

A FILE is a chapter (book/02-convolution.ipynb), an assignment of
course/source or, for check, a page of the book (book/glossary.md); without one
all are meant, and execute takes the chapters. execute FILE --keep ID ... keeps
the outputs of uncompared cells, such as times that an idle machine took. Where
a cell's metadata names a function as its clock, execute notes what it returns
in book/runs, and execute FILE --stored takes that from there.
check says whether a chapter may land: contract.py holds what it asks of a
chapter's place in the book, this module what it asks of the notebook alone.

A cell whose metadata says {"embed": ["network.mobilenet_v1"]} holds the source
of what it names in book/mobilenet: a function, class or constant with the
comment above it, a whole module ("network"), or a small data file of book/
("runs/note-nadam/history.csv") as a string named after its path. What a tag
closes on the site, sync closes in Colab and in JupyterLab too, and it drops
what those two write into a notebook.
"""

import argparse
import ast
import base64
import builtins
import copy
import functools
import json
import os
import pathlib
import re
import symtable
import sys
import tempfile

import nbformat
import stamps

BOOK = pathlib.Path(__file__).resolve().parent.parent / "book"
ASSIGNMENTS = BOOK.parent / "course" / "source"
# All the metadata that a notebook and a cell keep, besides what tags close.
METADATA = {
    "kernelspec": {
        "display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"}}
# On the cover and in README: chapter 5's figure, which sync writes.
EMBLEM = BOOK / "network.png"
# What an image's metadata says besides its alt text.
SIZE = ("width", "height")
KEPT = ("clock", "embed", "made", "moving", "mystnb", "nbgrader", "slideshow",
        "tags")

# Stored figures have twice the pixels of those that a reader draws.
SHARP = "--InlineBackend.figure_format=retina"

# The first line of a closed cell, which Colab shows.
TITLE = "# @title "
TAGS = {"hide-cell", "hide-input", "hide-output", "nbval-ignore-output",
        "real-data"}
SECTIONS = (
    "**You will be able to**", "**You need**", "**Time**",
    "## Check yourself", "## Exercises", "## Key points", "## Next",
)
MYST = re.compile(r":::\{|```\{|\{(?:cite|numref|eq|doc|ref|term|math)[:}`]")
# The site reads no Markdown inside a line of HTML.
RAW = re.compile(r"<summary>[^<]*[$`*]")

# What TensorFlow logs while it starts, and what it logs for information.
LOG = re.compile(
    r"\s*$|I\d{4} |\d{4}-\d\d-\d\d [\d:.]+: I |WARNING: All log messages|"
    r"To enable the following instructions|.*(cu(da|Init|DNN|FFT|BLAS)|"
    r"computation_placer|oneDNN|cpu_feature_guard|OUT_OF_RANGE)", re.I)


@functools.cache
def named_source(module_text, name):
    """Return the source of a top-level name with the comment above it."""
    lines = module_text.splitlines()
    for node in stamps.parsed(module_text).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        names = {getattr(target, "id", None) for target in targets}
        if name in names | {getattr(node, "name", None)}:
            first = min(
                [node.lineno]
                + [d.lineno for d in getattr(node, "decorator_list", [])])
            while first > 1 and lines[first - 2].startswith("#"):
                first -= 1
            return "\n".join(lines[first - 1:node.end_lineno])
    raise ValueError(f"no top-level {name} in that module")


def embedded(reference, book=BOOK):
    """Return the source that one entry of an embed list stands for."""
    if "/" in reference:
        name = re.sub(r"\W", "_", reference).upper()
        text = (book / reference).read_text(encoding="utf8")
        if '"""' in text or "\\" in text:
            raise ValueError(f"{reference} cannot stand in a string")
        return f'{name} = """\\\n{text}"""'
    module, _, name = reference.partition(".")
    text = (book / "mobilenet" / f"{module}.py").read_text(encoding="utf8")
    return named_source(text, name) if name else text.rstrip("\n")


def imports_for(references, source, book=BOOK):
    """Return the imports that parts of modules, in source, need, a line each.

    They are those of the modules that references take a part of.
    """
    needed, lines = names_of(source)[0], set()
    for module in {name.partition(".")[0] for name in references
                   if "." in name and "/" not in name}:
        text = (book / "mobilenet" / f"{module}.py").read_text(
            encoding="utf8")
        for node in ast.parse(text).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                lines |= {
                    ast.unparse(type(node)(**{**vars(node), "names": [alias]}))
                    for alias in node.names
                    if needed & set(bound_names(alias))}
    return "".join(f"{line}\n" for line in sorted(lines))


def embedded_cell(cell, book=BOOK):
    """Return the source that a cell with an embed list must hold.

    A closed cell has the imports of its parts too, and keeps its title.
    """
    parts = [embedded(reference, book) for reference in cell.metadata.embed]
    title = ""
    if cell.metadata.get("cellView") == "form":
        if imports := imports_for(
                cell.metadata.embed, "\n\n\n".join(parts), book):
            parts.insert(0, imports.rstrip("\n"))
        names = cell.metadata.embed
        title = TITLE + (
            "Recorded data\n" if all("/" in name for name in names)
            else "What the checks share\n" if names == ["verdicts"]
            else "Code from earlier chapters\n")
        if cell.source.startswith(TITLE):  # its own, such as "The counter"
            title = cell.source.partition("\n")[0] + "\n"
    return title + "\n\n\n".join(parts)


def closed(cell):
    """Return the metadata that a cell keeps, closed as its tags say.

    hide-input closes the code, hide-cell the outputs too.
    """
    tags = set(cell.metadata.get("tags", []))
    metadata = nbformat.from_dict(
        {key: cell.metadata[key] for key in KEPT if key in cell.metadata})
    if cell.cell_type == "code" and {"hide-input", "hide-cell"} & tags:
        metadata.cellView = "form"
        metadata.jupyter = {"source_hidden": True}
        if "hide-cell" in tags:
            metadata.jupyter.outputs_hidden = metadata["collapsed"] = True
    return metadata


def noise(outputs):
    """Return what a reader sees of stderr in a cell's outputs, but LOG."""
    text = "".join(output.get("text", "") for output in outputs or ()
                   if output.get("name") == "stderr")
    return [line for line in text.splitlines() if not LOG.match(line)]


def described(cell, output):
    """Return the metadata of an output: of an image, its alt text.

    nbconvert, and what follows IPython.display.Image(alt=...), look there,
    as they do for the size at which an image of twice the pixels is shown.
    """
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    own = output.get("metadata", {})
    return nbformat.from_dict({
        kind: {"alt": alt} | {key: own[kind][key] for key in SIZE
                              if key in own.get(kind, {})}
        for kind in output.get("data", {})
        if kind.startswith("image/") and alt})


def normalise(notebook):
    """Drop from a notebook what no run and no reader needs; keep the rest.

    Colab moves the id of a cell into its metadata: it goes back.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.setdefault("id", cell.metadata.get("id", f"cell-{number}"))
        cell.metadata = closed(cell)
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs
                if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "data" in output:
                    output.metadata = described(cell, output)


def sync(notebook, book=BOOK):
    """Write the embedded cells of a notebook and drop what it need not keep.

    Returns how many cells changed.
    """
    before = [json.dumps(cell, sort_keys=True) for cell in notebook.cells]
    normalise(notebook)
    for cell in notebook.cells:
        if cell.metadata.get("embed"):
            cell.source = embedded_cell(cell, book)
    after = [json.dumps(cell, sort_keys=True) for cell in notebook.cells]
    return sum(one != other for one, other in zip(before, after))


def bound_names(node):
    """Yield the names that running node binds in its own scope."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if isinstance(node, ast.alias):
        yield (node.asname or node.name).split(".")[0]
    if isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif not isinstance(node, (
            ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        for child in ast.iter_child_nodes(node):
            yield from bound_names(child)


@functools.cache
def names_of(source):
    """Return (names that a cell needs from elsewhere, names it defines)."""
    top = symtable.symtable(source, "cell", "exec")
    # From Python 3.12 on, the top's own names include the variables of its
    # comprehensions, which no later cell can use.
    own = {s.get_name() for s in top.get_symbols() if s.is_assigned()}
    needed, tables = set(), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        needed |= {
            s.get_name() for s in table.get_symbols()
            if s.is_referenced() and (table is top or s.is_global())}
    defined = set(bound_names(stamps.parsed(source)))
    return needed - own - defined, defined


def name_problems(code):
    """Yield a line for each cell that uses a name no cell above defines."""
    known = set(dir(builtins)) | {"display", "get_ipython"}
    for number, cell in code:
        try:
            needed, defined = names_of(cell.source)
        except SyntaxError as error:
            yield f"cell {number} is not plain Python: {error.msg}"
            continue
        if missing := sorted(needed - known):
            yield (f"cell {number} uses {', '.join(missing)}, which no cell"
                   " above defines")
        known |= defined


def output_problems(number, cell):
    """Yield a line for each thing wrong with a cell's stored outputs."""
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "error":
            yield f"cell {number} stores the error {output.ename}"
        if output.get("name") == "stderr":
            yield f"cell {number} stores text of stderr"
        if "image/svg+xml" in data:
            yield f"cell {number} stores SVG, which nbval cannot compare"
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if {"image/png", "image/jpeg"} & set(data) and len(alt) < 20:
            yield f"cell {number} shows a figure without alt text"
        if re.search(r"/(home|root|tmp|work|Users)/", str(output)):
            yield f"cell {number} stores a path of somebody's machine"
        if found := re.search(r" at 0x[0-9a-f]{6,}", str(output)):
            yield (f"cell {number} stores the address{found.group()}, another"
                   " in each run: print what a function returns, not it")


def code_problems(number, cell):
    """Yield a line for each rule that a code cell itself breaks."""
    lines = [line for line in cell.source.splitlines()
             if not line.startswith(TITLE)]
    tags = set(cell.metadata.get("tags", []))
    if unknown := sorted(tags - TAGS):
        yield f"cell {number} has unknown tags: {', '.join(unknown)}"
    if {"hide-input", "hide-cell"} & tags and not re.match(
            rf"{TITLE}\S.*\S", cell.source):
        yield (f"cell {number} is closed and has no first line {TITLE}...,"
               " which says what it holds")
    if not cell.metadata.get("embed"):
        if len(lines) > 15:
            yield f"cell {number} has {len(lines)} lines, over 15"
        if any(len(line) > 79 for line in lines):
            yield f"cell {number} has a line over 79 columns"
    if re.search(r"^\s*(import|from) .*mobilenet|^[!%]", cell.source, re.M):
        yield f"cell {number} needs more than this one file"
    if "nbval-ignore-output" in tags and not re.search(
            r"^\s*assert ", cell.source, re.M):
        yield f"cell {number} is not compared and asserts nothing"
    if name := cell.metadata.get("moving"):
        if not (BOOK / "_static" / "moving" / f"{name}.js").exists():
            yield f"cell {number} names no moving figure of _static: {name}"
        if not any("image/png" in output.get("data", {})
                   for output in cell.outputs):
            yield f"cell {number} has no still picture for {name}"


def text_problems(notebook):
    """Yield a line for each rule that the Markdown of a chapter breaks."""
    text = "\n".join(
        c.source for c in notebook.cells if c.cell_type == "markdown")
    if not notebook.cells[0].source.startswith("# "):
        yield "the first cell is not the chapter's title"
    for section in SECTIONS:
        if section not in text:
            yield f"there is no {section}"
    if found := MYST.search(text):
        yield f"{found.group()!r} in Markdown shows raw in Colab"
    if found := RAW.search(text):
        yield f"{found.group()!r} shows raw on the site: say it in words"


def form_problems(notebook, book=BOOK):
    """Yield a line for each thing that sync would mend."""
    if notebook.metadata != METADATA or notebook.nbformat_minor < 5:
        extra = ", ".join(sorted(set(notebook.metadata) - set(METADATA)))
        yield f"the notebook's metadata is noise ({extra or 'old'}): run sync"
    for number, cell in enumerate(notebook.cells):
        kept = closed(cell)
        if noise := sorted(set(cell.metadata) - set(kept)):
            yield (f"cell {number} has noise in its metadata"
                   f" ({', '.join(noise)}): run sync")
        elif cell.metadata != kept:
            yield f"cell {number} is closed on the site alone: run sync"
        if any(output.get("metadata", {}) != described(cell, output)
               for output in cell.get("outputs", [])):
            yield (f"cell {number} has noise in its outputs' metadata, or no"
                   " alt text there: run sync")
        names = cell.metadata.get("embed", [])
        try:
            if names and cell.source != embedded_cell(cell, book):
                yield (f"cell {number} differs from its source"
                       f" {', '.join(names)}: run sync")
        except (ValueError, OSError) as error:
            yield f"cell {number} embeds {', '.join(names)}: {error}"


def problems(notebook, book=BOOK):
    """Return a line for each rule of the book that a notebook breaks."""
    found = [*text_problems(notebook), *form_problems(notebook, book)]
    code = [
        (number, cell) for number, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"]
    found += [*name_problems(code), *stamps.problems(code)]
    if never := [str(n) for n, cell in code if not cell.execution_count]:
        found.append(
            f"never run: cells {', '.join(never)}: execute the chapter")
    if moved := [
            f"cell {number} as {cell.execution_count}, not {count}"
            for count, (number, cell) in enumerate(code, start=1)
            if cell.execution_count not in (count, None)]:
        found.append(
            f"{moved[0]}, and {len(moved) - 1} more cells were run in another"
            " order: execute the chapter")
    for number, cell in code:
        found += code_problems(number, cell)
        found += output_problems(number, cell)
    ignored = sum(
        "nbval-ignore-output" in cell.metadata.get("tags", [])
        for _, cell in code)
    if ignored * 5 > len(code):
        found.append(f"{ignored} of {len(code)} code cells are not compared")
    return found


def measured(notebook, keep):
    """Return {id: stored outputs} of the cells named in keep.

    A figure of what was measured is kept with the numbers that it shows.
    Raises ValueError for one that is not there, is compared, or shows what
    its code did not make.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = {
        cell.id: copy.deepcopy(cell.outputs)
        for cell, made in zip(code, stamps.stamps(code))
        if cell.id in keep
        and ("nbval-ignore-output" in cell.metadata.get("tags", [])
             or all("image/png" in one.get("data", {})
                    for one in cell.outputs))
        and cell.metadata.get("made", "")[9:] == made[9:]}
    if others := sorted(set(keep) - set(found)):
        raise ValueError(f"cannot keep the outputs of {', '.join(others)}:"
                         " not uncompared cells, or changed since they ran")
    return found


# Run after the cell whose metadata names its function as the clock: the
# function's results are noted, at most 101 quantiles of each, or taken from
# those of an earlier run, so that what is drawn from them can be drawn again.
CLOCK = """
import json as _json, pathlib as _pathlib, numpy as _np
_times, _file, _measure = [], _pathlib.Path({path!r}), {name}
_told = _json.loads(_file.read_text()) if {stored!r} else None

def {name}(call, *more, **settings):
    if _told is None:
        ms = _measure(call, *more, **settings)
        if len(ms) > 101:
            ms = _np.quantile(ms, _np.linspace(0, 1, 101))
        _times.append([float(f"{{one:.4g}}") for one in ms])
        return _np.array(_times[-1])
    call()
    if not _told:
        raise ValueError("more is timed than was recorded: measure anew")
    return _np.array(_told.pop(0))
"""
NOTE = """
if _told:
    raise ValueError("less is timed than was recorded: measure anew")
_file.write_text(_json.dumps(_times) + "\\n") if _told is None else None
"""


def with_clock(notebook, path, stored):
    """Return a notebook to run: with cells that note or tell times in path.

    Its other cells are those of notebook.
    """
    running = copy.copy(notebook)
    running.cells = []
    for cell in notebook.cells:
        running.cells.append(cell)
        if "clock" in cell.metadata:
            running.cells.append(nbformat.v4.new_code_cell(CLOCK.format(
                path=str(path), name=cell.metadata.clock, stored=stored)))
    if len(running.cells) > len(notebook.cells):
        running.cells.append(nbformat.v4.new_code_cell(NOTE))
    return running


def execute(notebook, keep=(), times=None, stored=False):
    """Run a notebook from top to bottom, alone in an empty folder.

    The cells named in keep, by their ids, run too, but keep their outputs.
    What a clock measures is noted in the file times, or where stored is true
    taken from it. Raises ValueError where a cell needs CIFAR-10 and
    CIFAR10_DIR is not set.
    """
    before = measured(notebook, keep)
    if stored and not times.exists() and any(
            "clock" in cell.metadata for cell in notebook.cells):
        raise ValueError(f"no times are noted in {times}: leave out --stored")
    if not os.environ.get("CIFAR10_DIR") and any(
            "real-data" in cell.metadata.get("tags", [])
            for cell in notebook.cells):
        raise ValueError(
            "this chapter shows real images: set CIFAR10_DIR to their folder")
    from nbclient import NotebookClient

    # A kernel's own environment: ours stays as it is. The one thing that a
    # chapter may look for are the trained weights.
    environment = {**os.environ, "BOOK_WEIGHTS": str(BOOK / "weights"),
                   "PYTHONHASHSEED": "0"}  # sets are timed in one order
    environment.pop("BOOK_QUICK", None)
    running = with_clock(notebook, times, stored) if times else notebook
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            running, timeout=None, startup_timeout=600, kernel_name="python3",
            resources={"metadata": {"path": folder}},
            coalesce_streams=True, extra_arguments=[SHARP],
        ).execute(env=environment)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        cell.outputs = before.get(cell.id, cell.outputs)
    normalise(notebook)
    stamps.stamp(notebook)


def check(paths):
    """Print all that files lack; return how much it is."""
    import contract

    book = contract.Book()
    lines = [f"{path.name}: {line}" for path in paths
             for line in contract.problems(path, book)]
    if EMBLEM.read_bytes() != emblem():
        lines.append(f"{EMBLEM.name} is not chapter 5's figure: run sync")
    print(*lines, sep="\n", end="\n" * bool(lines))
    return len(lines)


def renew(path, action, keep=(), stored=False):
    """Sync one notebook, or execute it too, and write it.

    The times that a chapter measures are noted in runs/, beside its name.
    """
    notebook = nbformat.read(path, as_version=4)
    try:
        changed = sync(notebook)
        if action == "execute":
            execute(notebook, keep, BOOK / "runs" / f"{path.stem}.json",
                    stored)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    nbformat.write(notebook, path)
    print(f"{path.name}: " + (
        "executed" if action == "execute" else f"{changed} cells changed"))


def emblem():
    """Return the PNG of chapter 5's drawing of the whole network.

    Where the chapter has none yet, what the file holds.
    """
    chapter = nbformat.read(BOOK / "05-architecture.ipynb", as_version=4)
    for cell in chapter.cells:
        if cell.metadata.get("moving") == "network" and cell.outputs:
            return base64.b64decode(cell.outputs[0].data["image/png"])
    return EMBLEM.read_bytes()


def all_files(action):
    """Return what an action takes where no file is named."""
    found = sorted(BOOK.glob("*.ipynb"))
    if action != "execute":
        found += sorted(ASSIGNMENTS.glob("*/*.ipynb"))
    return found + sorted(BOOK.glob("*.md")) * (action == "check")


def main():
    """Read the command line; exit 1 where a check finds something."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["sync", "check", "execute", "new"])
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--keep", nargs="+", default=[], metavar="ID")
    parser.add_argument("--stored", action="store_true", help=(
        "take the times that a chapter measures from its last run"))
    arguments = parser.parse_args()
    action, files = arguments.action, arguments.files
    try:
        if action == "new":
            import skeleton
            print(*(skeleton.write(path.name) for path in files), sep="\n")
            return 0
        files = files or all_files(action)
        if action == "check":
            return int(check(files) > 0)
        for path in files:
            renew(path, action, arguments.keep, arguments.stored)
        EMBLEM.write_bytes(emblem())
    except ValueError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
