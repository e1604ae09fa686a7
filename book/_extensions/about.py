"""What a page says about itself to search engines and to those who share it.

Each page gets a description (its first paragraph), and where the address of
the published site is known also the tags and the card that a link to it
shows, and its place in the site map.
"""

import html
import pathlib
import textwrap
from urllib.parse import urljoin

import matplotlib
from docutils import nodes
from PIL import Image, ImageDraw, ImageFont

FRONT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<meta http-equiv="refresh" content="0; url={first}">
{tags}
</head>
<body><main><h1>{title}</h1>
<p><a href="{first}">Go to the book</a></p></main></body>
</html>
"""
BLUE, VERMILLION = "#0072B2", "#D55E00"
MISSING = "There is no page at this address."


def description(doctree):
    """Return the first paragraph of a page in at most 300 characters."""
    for paragraph in doctree.findall(nodes.paragraph):
        if paragraph.parent.tagname == "section":
            return textwrap.shorten(paragraph.astext(), 300, placeholder=" …")
    return ""


def tags(app, title, text, pagename, address):
    """Return the meta tags of a page, its card's too where it has one."""
    found = [("name", "description", text)]
    if address:
        card = urljoin(
            app.config.html_baseurl, f"_static/cards/{pagename}.png")
        found += [
            ("property", "og:site_name", app.config.html_title),
            ("property", "og:type", "article"),
            ("property", "og:title", title),
            ("property", "og:description", text),
            ("property", "og:url", address),
            ("property", "og:image", card),
            ("property", "og:image:alt", title),
            ("name", "twitter:card", "summary_large_image")]
    return "\n".join(
        f'<meta {kind}="{name}" content="{html.escape(value)}">'
        for kind, name, value in found)


def draw_card(book, title, path):
    """Draw the picture, 1200 by 630 pixels, that a shared link shows."""
    fonts = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
    large = ImageFont.truetype(fonts / "DejaVuSans-Bold.ttf", 60)
    small = ImageFont.truetype(fonts / "DejaVuSans.ttf", 34)
    card = Image.new("RGB", (1200, 630), "white")
    draw = ImageDraw.Draw(card)
    # The favicon: three channels filtered apart, one layer across them.
    for left in (80, 180, 280):
        draw.rectangle((left, 70, left + 80, 210), BLUE)
    draw.rectangle((80, 124, 360, 156), VERMILLION)
    draw.multiline_text(
        (80, 275), textwrap.fill(title, 28), "#282828", large,
        spacing=16)
    draw.text((80, 560), book, BLUE, small)
    path.parent.mkdir(parents=True, exist_ok=True)
    card.quantize(32).save(path, optimize=True)


def describe(app, pagename, _template, context, doctree):
    """Give a page what its template prints into its head."""
    base = app.config.html_baseurl
    title = html.unescape(context.get("title", app.config.html_title))
    context["about_page"] = ""
    if pagename == "404":
        context["about_page"] = tags(app, title, MISSING, pagename, "")
        if base:
            # It is shown at any address, so its links start from the top.
            context["metatags"] = f'<base href="{html.escape(base)}">'
    elif doctree is None:
        context["about_page"] = tags(
            app, title, f"{app.config.html_title}: {pagename}", pagename, "")
    else:
        address = context.get("pageurl", "") if base else ""
        context["about_page"] = tags(
            app, title, description(doctree), pagename, address)
        if address:
            draw_card(app.config.html_title, title, pathlib.Path(
                app.outdir, "_static", "cards", f"{pagename}.png"))


def finish(app, error):
    """Write the site's front door and, where its address is known, its map."""
    if error or app.builder.format != "html":
        return
    base, root = app.config.html_baseurl, app.config.root_doc
    first = app.builder.get_target_uri(root)
    title = app.config.html_title
    pathlib.Path(app.outdir, "index.html").write_text(FRONT.format(
        title=html.escape(title), first=first,
        tags=tags(app, title, description(app.env.get_doctree(root)), root,
                  urljoin(base, first) if base else "")), encoding="utf8")
    if base:
        addresses = "".join(
            "<url><loc>"
            + html.escape(urljoin(base, app.builder.get_target_uri(page)))
            + "</loc></url>\n" for page in sorted(app.env.found_docs))
        pathlib.Path(app.outdir, "sitemap.xml").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
            f"{addresses}</urlset>\n", encoding="utf8")


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", describe)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
