r"""Mathematics as MathML, made while the site is built.

A browser draws MathML itself: no script, nothing to wait for, and a screen
reader reads it. The number of a formula is taken out of it, because MathML
has no \tag, and set beside it by book.css. The letters come from STIX Two
Math, cut by lean_site.py to what the book's formulas need.
"""

import html
import re

import math_core
from docutils import nodes
from sphinx.util import logging

TAG = re.compile(r"\\tag\{([^{}]+)\}")
CELL = re.compile(r"<mtd\b[^>]*>")
# A formula in a line, or several, with what touches them: no space, and
# nothing after a hyphen.
WHOLE = re.compile(
    r"[^\s<>–-]*(?:<math>(?:(?!</math>).)*</math>[^\s<>–-]*)+", re.DOTALL)
CONVERTER = math_core.LatexToMathML(fancy_error=False)
logger = logging.getLogger(__name__)


def converted(source, displaystyle):
    """Return a formula's MathML and its number, or "".

    Raises math_core.LatexError for a formula that does not parse.
    """
    number = TAG.search(source) if displaystyle else None
    formula = CONVERTER.convert_with_local_state(
        TAG.sub("", source).strip() if number else source,
        displaystyle=displaystyle)
    # WebKit stretches no bracket that stands in a cell alone.
    formula = CELL.sub(r"\g<0><mrow>", formula).replace(
        "</mtd>", "</mrow></mtd>")
    return formula, number[1] if number else ""


def displayed(formula, number):
    """Return the box of a formula that stands alone, its number beside it."""
    name = f' id="equation-{number}"' if number else ""
    return (f'<div class="formula"{name}>{formula}'
            + (f'<span class="number">({number})</span>' if number else "")
            + "</div>\n")


def mathml(node, displaystyle):
    """Return the same for a node of a page.

    A formula that does not parse is a warning at its place in the book, and
    a build that counts warnings as errors fails on it.
    """
    source = node.astext()
    try:
        return converted(source, displaystyle)
    except math_core.LatexError as error:
        logger.warning("formula %r: %s", source, error, location=node)
        return f"<code>{html.escape(source)}</code>", ""


def visit_math(writer, node):
    """Write a formula in a line of text."""
    formula, _ = mathml(node, displaystyle=False)
    writer.body.append(formula)
    raise nodes.SkipNode


def visit_math_block(writer, node):
    """Write a displayed formula, its number beside it."""
    writer.body.append(displayed(*mathml(node, displaystyle=True)))
    raise nodes.SkipNode


def hold(_app, _pagename, _template, context, _doctree):
    """Keep a formula's bracket or full stop in the line of the formula."""
    if "body" in context:
        context["body"] = WHOLE.sub(
            lambda found: f'<span class="whole">{found[0]}</span>',
            context["body"])


def setup(app):
    """Register with Sphinx as the renderer that _config.yml names."""
    app.add_html_math_renderer(
        "mathml", (visit_math, None), (visit_math_block, None))
    app.connect("html-page-context", hold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
