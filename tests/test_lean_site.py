"""What the site leaves out is what no page uses, and nothing else."""

import io
import os
from types import SimpleNamespace

import lean_site
import pytest
import tinycss2
import ziamath
from fontTools.ttLib import TTFont


def pruned(style, *names):
    return "".join(lean_site.pruned(
        tinycss2.parse_stylesheet(style, skip_whitespace=True), {*names}))


@pytest.mark.parametrize("style, names, kept", [
    (".a{x:1}", "a", ".a{x:1}"),
    (".a{x:1}", "b", ""),
    (".a .b{x:1}", "a", ""),
    (".a.b>p{x:1}", "ab", ".a.b>p{x:1}"),
    (".a,.b,p{x:1}", "b", ".b,p{x:1}"),
    ("p:not(.a){x:1}", "", "p:not(.a){x:1}"),
    ("p[class~=a]{x:1.5}", "", "p[class~=a]{x:1.5}"),
    ("@media print{.a{x:1}.b{x:1}}", "a", "@media print{.a{x:1}}"),
    ("@media print{.a{x:1}}", "", ""),
    ("@font-face{font-family:F}", "", "@font-face{font-family:F}"),
])
def test_a_rule_stays_if_its_classes_occur(style, names, kept):
    assert pruned(style, *names) == kept


def test_a_broken_style_sheet_is_an_error():
    with pytest.raises(ValueError, match="style rules"):
        pruned("p{x:1} }")


@pytest.fixture(scope="module")
def font(tmp_path_factory):
    path = tmp_path_factory.mktemp("font") / "cut.woff2"
    lean_site.cut(lean_site.STIX, path, map(ord, "x′√("))
    return TTFont(io.BytesIO(path.read_bytes()))


def test_a_cut_font_has_the_letters_asked_for_and_is_small(font):
    letters = {*font.getBestCmap()}
    assert letters >= {*map(ord, "x′√(")} and ord("y") not in letters
    assert len(font.getGlyphOrder()) < 60


def test_every_root_sign_is_as_wide_as_the_smallest(font):
    whole = TTFont(lean_site.STIX)
    widths = {}
    for name, each in (("cut", font), ("whole", whole)):
        variants = each["MATH"].table.MathVariants
        root = each.getBestCmap()[ord("√")]
        row = variants.VertGlyphConstruction[
            variants.VertGlyphCoverage.glyphs.index(root)]
        widths[name] = {
            each["hmtx"][one.VariantGlyph][0]
            for one in row.MathGlyphVariantRecord}
    assert len(widths["whole"]) > 1
    assert widths["cut"] == {min(widths["whole"])}


def test_a_prime_is_the_large_one_for_superscripts(font):
    whole = TTFont(lean_site.STIX)

    def height(each):
        glyph = each["glyf"][each.getBestCmap()[0x2032]]
        return glyph.yMax - glyph.yMin

    assert height(font) > 1.3 * height(whole)


def test_ziamath_still_carries_the_font():
    assert lean_site.STIX.is_file(), ziamath.__file__


@pytest.mark.parametrize("name", [
    "_static/book.css", "_static/moving/window.js", "_extensions/anchors.csv",
    "_extensions/about.py"])
def test_a_site_is_made_anew_when_what_all_pages_share_changes(
        name, tmp_path):
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "html")
    env = SimpleNamespace(found_docs={"a", "b"})
    shared = tmp_path / "book" / name
    style = app.outdir / lean_site.STYLE
    for path in (shared, style):
        path.parent.mkdir(parents=True)
    shared.touch()
    assert lean_site.outdated(app, env) == []
    style.touch()
    os.utime(shared, (0, style.stat().st_mtime - 1))
    assert lean_site.outdated(app, env) == []
    os.utime(shared, (0, style.stat().st_mtime + 1))
    assert {*lean_site.outdated(app, env)} == env.found_docs
