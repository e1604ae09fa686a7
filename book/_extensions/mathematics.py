r"""Hand displayed mathematics to MathJax as it is written.

Sphinx puts a formula of several lines into a "split", in which \tag is an
error, and cuts one at blank lines; Colab does neither.
"""

from docutils import nodes


def keep_as_written(app, doctree, _page):
    r"""Wrap each formula in \[ and \], and ask Sphinx to add nothing."""
    if app.builder.format != "html":
        return
    for formula in doctree.findall(nodes.math_block):
        if not formula.get("nowrap"):
            formula.children = [nodes.Text(rf"\[{formula.astext()}\]")]
            formula["nowrap"] = True


def setup(app):
    """Register with Sphinx, once references are resolved."""
    app.connect("doctree-resolved", keep_as_written)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
