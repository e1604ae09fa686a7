"""Leave out of the built site what its pages do not use.

The theme sends every page 1.5 MB of icons as a script, the same icons as
fonts, 500 KB of style rules in eight files and the search index. Here icons
and mathematical letters are cut to those that occur, the rules to those that
can match, figures become lossless WebP with their size beside them, and
scripts wait until the page is read. Nothing looks different for it.
"""

import html
import logging
import pathlib
import re

import tinycss2
import ziamath
from fontTools import subset
from PIL import Image

# The one stylesheet, and what all pages are made with.
STYLE = "_static/styles/site.css"
SHARED = ("book/_static", "book/_extensions")
# Scripts that set what only the theme's search-as-you-type and its version
# switcher read; the book has neither.
UNUSED = re.compile(r"DOCUMENTATION_OPTIONS\.(pagename|search_as_you_type)")
# A size in its style would keep a figure from shrinking with the page.
IMAGE = re.compile(
    r'<img\b([^>]*?)\bsrc="((?:\.\./)*_images/[^"]+)"(?: style="[^"]*")?')
# Names, punctuation and spaces have the colour of plain code: half of all
# elements of a chapter for nothing.
PLAIN = re.compile(r'<span class="(?:n|nn|p|w)">([^<]*)</span>')
# A figure is stored at 220 dots per inch, and shown at 110.
SHARP = 150
CLASSES = re.compile(r'\bclass="([^"]*)"')
STIX = pathlib.Path(
    ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
# Where the theme asks every box whether it scrolls, which lays out the whole
# page at once; book.js asks each when it is laid out.
BOXES = re.compile(r'\["pre",[^\]]+\]\.join\(", "\)')
# The upright letters of a formula that a browser draws in italics.
ITALICS = [*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C), 0x210E]


def lighten(app, pagename, _template, context, _doctree):
    """Set a page's scripts and figures, just before it is written."""
    if "script_files" not in context:
        return
    app.stylesheets = [
        str(sheet.filename).removeprefix("_static/")
        for sheet in context["css_files"]]
    context["script_files"] = [
        script for script in context["script_files"]
        if not UNUSED.match(script.attributes.get("body", ""))]
    # The search page runs its scripts in order, as it is read.
    if pagename != "search":
        context["script_files"] = [
            type(script)(script.filename, priority=script.priority,
                         **{**script.attributes, "defer": "defer"})
            if script.filename else script
            for script in context["script_files"]]
    seen = []

    def sized(match):
        seen.append(match[2])
        path, (width, height) = figure(app, pathlib.Path(match[2]).name)
        folder = match[2].rsplit("/", 1)[0]
        # What stands near the top is not put off.
        lazy = ' loading="lazy"' if len(seen) > 1 else ""
        return (f'<img width="{width}" height="{height}"{lazy}{match[1]}'
                f'src="{folder}/{path.name}"')

    context["body"] = PLAIN.sub(
        r"\1", IMAGE.sub(sized, context.get("body", "")))


def figure(app, name):
    """Write a PNG as lossless WebP where that is smaller; path and size.

    The size is the one at which it is shown, which a figure of twice the
    pixels tells by its dots per inch.
    """
    source = next(
        pathlib.Path(app.srcdir, path)
        for path, written in app.builder.images.items() if written == name)
    target = pathlib.Path(app.outdir, "_images", name)
    with Image.open(source) as image:
        twice = image.info.get("dpi", (0, 0))[0] > SHARP
        size = [side // (1 + twice) for side in image.size]
        smaller = target.with_suffix(".webp")
        if source.suffix == ".png" and not smaller.exists():
            smaller.parent.mkdir(exist_ok=True)
            image.save(smaller, lossless=True, quality=60)
    if smaller.exists() and smaller.stat().st_size < source.stat().st_size:
        target = smaller
    return target, size


def cut(source, target, characters):
    """Write the font of those characters alone, as WOFF2."""
    options = subset.Options()
    options.flavor = "woff2"
    options.hinting = False
    options.layout_features = []
    font = subset.load_font(source, options)
    if "MATH" in font:
        adapt(font)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    subset.save_font(font, target, options)


def adapt(font):
    """Change two things of STIX Two Math that Chromium does not do itself.

    It takes the prime of running text, which a superscript makes tiny, not
    the one that the font has for superscripts. And it reserves for a root in
    a line of text the width of the widest root sign; so all get one width.
    """
    for table in font["cmap"].tables:
        table.cmap[0x2032] = "minute.ssty"
    variants = font["MATH"].table.MathVariants
    root = font.getBestCmap()[ord("√")]
    row = variants.VertGlyphConstruction[
        variants.VertGlyphCoverage.glyphs.index(root)]
    width = font["hmtx"][root][0]
    for name in {
            *(one.VariantGlyph for one in row.MathGlyphVariantRecord),
            *(part.glyph for part in row.GlyphAssembly.PartRecords)}:
        advance, bearing = font["hmtx"][name]
        factor = width / advance
        glyph = font["glyf"][name]
        glyph.coordinates.scale((factor, 1))
        glyph.coordinates.toInt()
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (width, round(bearing * factor))


def selectors(prelude):
    """Split a rule's prelude at its commas; return lists of tokens."""
    found = [[]]
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            found.append([])
        else:
            found[-1].append(token)
    return found


def can_match(selector, names):
    """Say whether every class of a selector occurs; not(...) may lack it."""
    return all(
        token.value in names
        for before, token in zip(selector, selector[1:])
        if token.type == "ident" and before.type == "literal"
        and before.value == ".")


def pruned(rules, names):
    """Yield the rules that can match a page with those class names."""
    for rule in rules:
        if rule.type == "qualified-rule":
            kept = [
                tinycss2.serialize(one).strip()
                for one in selectors(rule.prelude) if can_match(one, names)]
            if kept:
                yield f"{','.join(kept)}{{{tinycss2.serialize(rule.content)}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in (
                "media", "supports"):
            inside = "".join(pruned(tinycss2.parse_rule_list(
                rule.content, skip_comments=True, skip_whitespace=True),
                names))
            if inside:
                yield (f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}"
                       f"{{{inside}}}")
        elif rule.type == "error":
            raise ValueError(f"style rules: {rule.message}")
        else:
            yield rule.serialize()


def outdated(app, env, *_):
    """Return all pages where what they are made with is newer than the site.

    Sphinx compares a page with its text and the templates alone, and copies
    style sheets and scripts only if there is a page to write.
    """
    style = pathlib.Path(app.outdir, STYLE)
    if not style.exists():
        return []
    since = style.stat().st_mtime
    return list(env.found_docs) if any(
        path.stat().st_mtime > since for folder in SHARED
        for path in pathlib.Path(app.srcdir, folder).rglob("*.*")) else []


def finish(app, error):
    """Write fonts and the one stylesheet for all pages that are there."""
    # Without a page that changed none was written, and all is there already.
    if error or app.builder.format != "html" or not app.stylesheets:
        return
    static = pathlib.Path(app.outdir, "_static")
    pages = [
        path.read_text(encoding="utf8")
        for path in pathlib.Path(app.outdir).rglob("*.html")
        if static not in path.parents]
    theme = static / "scripts" / "pydata-sphinx-theme.js"
    theme.write_text(BOXES.sub(
        '"[data-box]"', theme.read_text(encoding="utf8")), encoding="utf8")
    scripts = "".join(
        path.read_text(encoding="utf8") for path in static.rglob("*.js")
        if path.name != "fontawesome.js")
    names = set(re.findall(r"[\w-]+", scripts))
    for page in pages:
        for value in CLASSES.findall(page):
            names.update(value.split())

    formulas = "".join(
        part for page in pages
        for part in re.findall(r"<math\b.*?</math>", page, re.DOTALL))
    letters = html.unescape(re.sub(r"<[^>]+>", "", formulas)) + "√"
    cut(STIX, static / "mathematics.woff2", [*map(ord, letters), *ITALICS])

    sheets = []
    for sheet in ["basic.css", "styles/pydata-sphinx-theme.css",
                  *app.stylesheets]:
        text = (static / sheet).read_text(encoding="utf8")
        sheets.extend(pruned(tinycss2.parse_stylesheet(
            text, skip_comments=True, skip_whitespace=True), names))
    style = "\n".join(['@charset "utf-8";', *sheets])
    pathlib.Path(app.outdir, STYLE).write_text(style, encoding="utf8")

    icons = {*map(ord, re.findall(r':"([\ue000-\uf8ff])"', style))}
    for font in (static / "vendor/fontawesome/webfonts").glob("*.ttf"):
        cut(font, font.with_suffix(".woff2"), icons)


def setup(app):
    """Register with Sphinx, after the theme has filled in a page."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    app.stylesheets = []
    app.connect("env-get-outdated", outdated)
    app.connect("html-page-context", lighten, priority=900)
    # The theme writes the colours of code last.
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
