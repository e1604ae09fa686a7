"""Mend what keeps some readers from a page, as axe-core finds it.

Each change is to what Sphinx and its extensions write; what the book itself
says is in its pages.
"""

import re

# The label hides the words that a reader sees, and says less.
LABEL = re.compile(r'<summary aria-label="Toggle hidden content">')
# The empty corner of a table is no heading.
CORNER = re.compile(r'<th(?: class="head")?>(?:<p></p>)?</th>')


def mend(_app, _pagename, _template, context, _doctree):
    """Change the body of a page, just before it is written."""
    if "body" in context:
        context["body"] = CORNER.sub(
            "<td></td>", LABEL.sub("<summary>", context["body"]))


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
