"""Keep links to headings that were renamed: each has its old anchors too.

anchors.csv has a row for each: the page, the anchor that the heading had, and
the one that it has now.
"""

import csv
import pathlib

from docutils import nodes
from sphinx.util import logging

ROWS = pathlib.Path(__file__).with_name("anchors.csv")


def old_anchors(page):
    """Return {new anchor: [old ones]} of a page such as book/explorer."""
    found = {}
    with ROWS.open(encoding="utf8", newline="") as file:
        for row in csv.DictReader(file):
            if row["page"] == page:
                found.setdefault(row["new"], []).append(row["old"])
    return found


def keep(app, doctree):
    """Give each section of a page its old anchors; warn of lost ones."""
    page = app.env.docname
    kept = old_anchors(page)
    taken = {name for part in doctree.findall(nodes.section)
             for name in part["ids"]}
    for part in doctree.findall(nodes.section):
        for name in list(part["ids"]):
            part["ids"] += [
                old for old in kept.pop(name, ()) if old not in taken]
    for name in kept:
        logging.getLogger(__name__).warning(
            "anchors.csv names #%s, which no heading has", name,
            location=page)


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-read", keep)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
