"""What binds the outputs of a cell, images too, to its code.

Only notebooks.py execute writes stamps, so changed code must be run.
"""

import ast
import functools
import hashlib
import json

# A cell is read by many rules.
parsed = functools.cache(ast.parse)


# Statements that change nothing but what is said on stderr, never stored.
QUIET = ("from warnings import filterwarnings", "filterwarnings(",
         "os.environ['TF_CPP_MIN_LOG_LEVEL'] = ")


def idle(statement):
    """Return whether a statement is a text alone, or one of QUIET."""
    if isinstance(statement, ast.Expr) and isinstance(
            statement.value, ast.Constant):
        return isinstance(statement.value.value, str)
    return isinstance(statement, ast.ImportFrom | ast.Expr | ast.Assign) and (
        ast.unparse(statement).startswith(QUIET))


def meaning(node):
    """Return a syntax tree as nested lists, without what changes no output.

    Those are docstrings, comments and what is QUIET; the same on every
    version of Python.
    """
    if isinstance(node, list):
        # The last line of a cell may be a text that is shown.
        return [meaning(one) for one in node if one is node[-1] or not (
            idle(one))]
    if isinstance(node, ast.AST):
        fields = [(name, meaning(value)) for name, value
                  in ast.iter_fields(node) if value not in (None, [])]
        return [type(node).__name__, *fields]
    return repr(node)


@functools.cache
def effect(source):
    """Return a hash of what code does: of its text where it is no Python."""
    try:
        return short_hash(meaning(parsed(source).body))
    except SyntaxError:
        return short_hash(source)


def short_hash(*parts):
    """Return a short hash of parts, as a text of eight characters."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def stamps(code):
    """Return what shows for each code cell that its outputs belong to it.

    "CODE-SHOWN": the first half binds the code of this cell and of all cells
    above, the second its own code to its outputs, images included.
    """
    found, above = [], ""
    for cell in code:
        does = effect(cell.source)
        above = short_hash(above, does)
        shown = [(output.get("text", ""), output.get("ename", ""),
                  {kind: value.strip() if isinstance(value, str) else value
                   for kind, value in sorted(output.get("data", {}).items())})
                 for output in cell.outputs]
        found.append(f"{above}-{short_hash(does, shown)}")
    return found


def stamp(notebook):
    """Write into each code cell what binds its outputs to the code."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, made in zip(code, stamps(code)):
        cell.metadata.made = made


def problems(code):
    """Yield a line for each cell whose outputs its code did not make."""
    told = False
    for (number, cell), made in zip(code, stamps([c for _, c in code])):
        stored = cell.metadata.get("made", "")
        (above, own), (was_above, _, was) = (
            made.split("-"), stored.partition("-"))
        if not cell.execution_count:
            continue  # which is a lack of its own
        if own != was and above == was_above:
            yield (f"cell {number} shows an output that its code did not"
                   " make: execute the chapter")
        elif own != was:
            yield (f"cell {number} was changed and not run: execute the"
                   " chapter")
        elif above != was_above and not told:
            yield (f"cell {number} ran below other code than stands above it"
                   " now: execute the chapter")
        told = told or made != stored
