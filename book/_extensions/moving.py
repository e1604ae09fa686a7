"""Put a moving figure under the picture of a cell that names one.

A code cell whose metadata says {"moving": "window"} draws a still picture.
On the site a button stands below it, and on a click the figure of
_static/moving/window.js takes the button's place. Where no script runs, on
paper and in Colab there is the picture alone.
"""

import pathlib

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform

FIGURES = pathlib.Path(__file__).parent.parent / "_static" / "moving"


def named(node):
    """Return the name of a cell's moving figure, or None."""
    return node.get("cell_metadata", {}).get("moving")


class MovingFigures(SphinxPostTransform):
    """Add the place of each moving figure, and to its page the scripts."""

    default_priority = 900
    formats = ("html",)

    def run(self, **_options):
        """Add them to the page at hand."""
        cells = [node for node in self.document.findall(nodes.container)
                 if named(node)]
        static = "../" * self.env.docname.count("/") + "_static/"
        for number, cell in enumerate(cells):
            name = named(cell)
            if not (FIGURES / f"{name}.js").exists():
                raise ExtensionError(
                    f"{self.env.docname}: no moving figure is called {name}")
            scripts = ["costs", "moving"] * (number == 0) + [f"moving/{name}"]
            sheet = f'<link rel="stylesheet" href="{static}moving.css">'
            cell.append(nodes.raw("", "".join([
                sheet * (number == 0),
                f'<div class="moving" data-moving="{name}"></div>',
                *(f'<script src="{static}{script}.js" defer></script>'
                  for script in scripts)]), format="html"))


def setup(app):
    """Register with Sphinx."""
    app.add_post_transform(MovingFigures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
