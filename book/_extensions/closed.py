"""Show on a closed cell what it holds: its own title.

The first line of a closed cell's code is "# @title ..."; the site would
say "Show code cell source" for all of them. The line is left out of the code
below, where it would be said twice.
"""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

MARK = "# @title "


class Titles(SphinxPostTransform):
    """Set what closed cells show, before MyST-NB closes them (at 199)."""

    default_priority = 190
    formats = ("html",)

    def run(self, **_options):
        """Set it on the page at hand."""
        for cell in self.document.findall(nodes.container):
            for code in cell.findall(nodes.literal_block):
                title, _, rest = code.astext().partition("\n")
                if cell.get("hide_mode") and title.startswith(MARK):
                    title = title.removeprefix(MARK)
                    cell["prompt_show"] = cell["prompt_hide"] = title
                    # Sphinx colours code that is as it was read.
                    code.rawsource = rest
                    code.children = [nodes.Text(rest)]
                break


def setup(app):
    """Register with Sphinx."""
    app.add_post_transform(Titles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
