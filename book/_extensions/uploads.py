"""Chapters that leave the site, for Colab: links that work from anywhere.

Where the address of the site is known, the notebooks that it offers for
download (_sources/) get absolute links, and chapters 11 and 14 the address of
their weights. publish.yml keeps them on a branch, too, from which Colab opens
them.
"""

import json
import os
import pathlib
import re
import shutil
from urllib.parse import urljoin

LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]+)\.(?:ipynb|md)(#[^)\s]*)?\)")
# Where on the site chapters 11 and 14 find the weights that they read.
WEIGHTS = "book/weights/"
READ = ("better-stem-1.npz", "best-all.npz")
# What a chapter has where it does not know the site.
UNKNOWN = 'WEIGHTS_URL = ""'


def absolute(text, page):
    """Return Markdown of the page at an address with no relative link."""
    return LINK.sub(
        lambda link: f"]({urljoin(page, link[1])}.html{link[2] or ''})", text)


def travelling(notebook, page, base):
    """Return a notebook, a dict, that knows where on the web it comes from.

    page is the address of its page on the site, base that of the site.
    """
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        text = absolute(text, page) if cell["cell_type"] == "markdown" else (
            text.replace(
                UNKNOWN, f'WEIGHTS_URL = "{urljoin(base, WEIGHTS)}"'))
        cell["source"] = text.splitlines(keepends=True)
    return notebook


def launch(_app, pagename, _template, context, _doctree):
    """Let Colab open a chapter from the branch of those that can travel."""
    branch = os.environ.get("BOOK_COLAB_BRANCH")
    for group in context.get("header_buttons", ()) if branch else ():
        for button in group.get("buttons", ()):
            if button.get("text") == "Colab":
                place = button["url"].partition("/blob/")[0]
                button["url"] = f"{place}/blob/{branch}/{pagename}.ipynb"


def write(app, error):
    """Make the notebooks that the site offers ready to travel."""
    base = app.config.html_baseurl
    if error or not base or app.builder.format != "html":
        return
    out = pathlib.Path(app.outdir)
    for path in sorted(out.glob("_sources/**/*.ipynb")):
        name = path.relative_to(out / "_sources").with_suffix(".html")
        notebook = json.loads(path.read_text(encoding="utf8"))
        path.write_text(json.dumps(
            travelling(notebook, urljoin(base, name.as_posix()), base),
            ensure_ascii=False, indent=1) + "\n", encoding="utf8")
    (out / WEIGHTS).mkdir(parents=True, exist_ok=True)
    for file in READ:
        shutil.copyfile(
            pathlib.Path(app.srcdir, WEIGHTS, file), out / WEIGHTS / file)


def setup(app):
    """Register with Sphinx, behind the theme, which makes the buttons."""
    app.connect("html-page-context", launch, priority=900)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
