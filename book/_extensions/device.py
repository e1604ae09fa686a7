"""What the page On your device shows and loads, made while the site is built.

Its networks, weights/NAME.live, become scripts, since a page that is opened
from a disk can load nothing else: _static/live/NAME.js has the file,
compressed, in letters. The page's own scripts become one, live-joined.js,
since a request each would be too many. Its pictures are photographs that
scikit-image carries, each without any right reserved; they go into the page.
"""

import base64
import gzip
import html
import importlib.util
import io
import pathlib

from PIL import Image
from sphinx.errors import ExtensionError

# File in skimage/data, what it is, what it shows. All but the first two are
# of no class. CC0, by Stefan van der Walt, Andreas Preuss and Rachel
# Michetti; NASA's and SpaceX's are in the public domain.
PICTURES = (
    ("chelsea.png", "cat", "The face of a cat"),
    ("horse.png", "horse", "The black outline of a horse"),
    ("rocket.jpg", "rocket", "A rocket that takes off"),
    ("coffee.png", "cup of coffee", "A cup of coffee"),
    ("astronaut.png", "astronaut", "An astronaut in her suit"),
)
# The page's scripts in _static/, each after those that it needs.
SCRIPTS = ("live-kernels", "live-network", "live-picture", "live-measure",
           "live-page", "live-maps", "live-cost", "live")
PLACE = "<!-- live: pictures -->"
SIDE = 96


def thumbnail(path):
    """Return the middle square of a picture as the bytes of a small JPEG."""
    with Image.open(path) as opened:
        picture = opened.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("RGB")
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    picture = picture.crop((left, top, left + side, top + side))
    content = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(
        content, "JPEG", quality=80, optimize=True)
    return content.getvalue()


def buttons():
    """Return the HTML of the page's pictures, a button each."""
    found = importlib.util.find_spec("skimage")
    if found is None:
        raise ExtensionError(
            "no scikit-image, whose pictures the page On your device shows:"
            " pip install -r requirements.txt")
    folder = pathlib.Path(found.origin).parent / "data"
    return "\n".join(
        f'<button type="button" class="live-sample"'
        f' data-truth="{truth}"><img alt="{html.escape(text)}"'
        f' width="{SIDE}" height="{SIDE}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(thumbnail(folder / name)).decode()}"></button>'
        for name, truth, text in PICTURES)


def show(_app, _pagename, _template, context, _doctree):
    """Put the pictures into the page that has a place for them."""
    if PLACE in context.get("body", ""):
        context["body"] = context["body"].replace(PLACE, buttons())


def script(path):
    """Return the script that carries the network in a file."""
    letters = base64.b64encode(
        gzip.compress(path.read_bytes(), 9, mtime=0)).decode()
    return (f"(window.liveFiles ??= {{}})[{path.stem!r}] ="
            f" {letters!r};\n")


def finish(app, error):
    """Write the networks' scripts and the page's own, joined."""
    if error or app.builder.format != "html":
        return
    folder = pathlib.Path(app.outdir, "_static", "live")
    folder.mkdir(parents=True, exist_ok=True)
    book = pathlib.Path(app.srcdir, "book")
    (folder.parent / "live-joined.js").write_text("\n".join(
        (book / "_static" / f"{name}.js").read_text(encoding="utf8")
        for name in SCRIPTS), encoding="utf8")
    for path in (book / "weights").glob("*.live"):
        (folder / f"{path.stem}.js").write_text(
            script(path), encoding="ascii")


def setup(app):
    """Register with Sphinx: the scripts after the styles were cut."""
    app.connect("html-page-context", show)
    app.connect("build-finished", finish, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
