"""The built site as files: complete, self-contained, its links right."""

import html
import html.parser
import json
import pathlib
import re
import runpy
import subprocess
import sys
import unittest.mock
import urllib.parse
import xml.etree.ElementTree

import lean_site
import pages
import pytest
import repository_links
import uploads
import yaml
from fontTools.ttLib import TTFont
from PIL import Image

ROOT = pathlib.Path(__file__).parent.parent
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))
# As tests/conftest.py publishes it.
FORK = "https://github.com/someone/a-fork"
HUB = "https://hub.example.org"
HOME = "https://someone.github.io/a-fork/"


class Page(html.parser.HTMLParser):
    """Collect the tags of a page as (tag, {attribute: value})."""

    def __init__(self, path):
        super().__init__()
        self.path, self.tags = path, []
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def values(self, attribute, *tags):
        return [
            found[attribute] for tag, found in self.tags
            if attribute in found and (not tags or tag in tags)]

    def meta(self, name):
        return [
            found["content"] for tag, found in self.tags if tag == "meta"
            and name in (found.get("name"), found.get("property"))]


def pages_of(site):
    """Return every page of a site, {path below its top: Page}."""
    return {
        path.relative_to(site).as_posix(): Page(path)
        for path in site.rglob("*.html") if "_static" not in path.parts}


def test_the_theme_does_not_lay_out_the_whole_page(published):
    script = published / "_static" / "scripts" / "pydata-sphinx-theme.js"
    text = script.read_text(encoding="utf8")
    assert text.count('querySelectorAll("[data-box]")') == 1
    assert not lean_site.BOXES.search(text)


def test_every_chapter_launches_its_own_file_from_the_fork(published):
    site = pages_of(published)
    for chapter in CHAPTERS:
        page = site[f"book/{chapter}.html"]
        links = [urllib.parse.urlparse(link)
                 for link in page.values("href", "a")]
        colab = [
            link.path for link in links
            if link.netloc == "colab.research.google.com"
            and link.path.startswith("/github/")]
        hub = [urllib.parse.parse_qs(link.query) for link in links
               if link.netloc == urllib.parse.urlparse(HUB).netloc]
        assert len(colab) == len(hub) == 1, chapter
        assert colab[0].startswith("/github/someone/a-fork/blob/colab/")
        assert hub[0]["repo"] == [FORK]
        for file in (colab[0].split("/", 6)[6],
                     hub[0]["urlpath"][0].split("a-fork/", 1)[1]):
            assert file == f"book/{chapter}.ipynb"
            assert (ROOT / file).is_file()


def downloads(folder, chapter):
    """Yield the notebooks, dicts, that a chapter's page offers."""
    page = Page(folder / "book" / f"{chapter}.html")
    for link in page.values("href", "a"):
        if link.endswith(".ipynb") and not urllib.parse.urlparse(link).netloc:
            yield json.loads((folder / "book" / link).read_text())


def test_every_chapter_can_be_downloaded_and_is_the_notebook(private):
    for chapter in CHAPTERS:
        path = ROOT / "book" / f"{chapter}.ipynb"
        found = list(downloads(private, chapter))
        assert found, chapter
        for notebook in found:
            assert notebook == json.loads(path.read_text())


def test_from_an_upload_every_link_leads_to_a_page_of_the_site(published):
    led = 0
    for chapter in CHAPTERS:
        (notebook,) = downloads(published, chapter)
        text = "\n".join("".join(cell["source"]) for cell in notebook["cells"]
                         if cell["cell_type"] == "markdown")
        assert not re.search(
            r"\]\((?![a-z]+:)[^)\s]*\.(ipynb|md)\b", text), chapter
        for link in re.findall(rf"\]\({HOME}([^)#]*)", text):
            assert (published / link).is_file(), link
            led += 1
    assert led > 100


def test_a_chapter_that_travels_has_its_code_and_outputs_unchanged(published):
    for chapter in CHAPTERS:
        (notebook,) = downloads(published, chapter)
        own = json.loads((ROOT / "book" / f"{chapter}.ipynb").read_text())
        told = 0
        for cell, mine in zip(notebook["cells"], own["cells"]):
            if mine["cell_type"] == "code":
                address = re.search(
                    r'(?m)^WEIGHTS_URL = "(.+)"', "".join(cell["source"]))
                if address:
                    told += 1
                    folder = published / address[1].removeprefix(HOME)
                    for name in ("better-stem-1.npz", "best-all.npz"):
                        file = folder / name
                        assert file.read_bytes() == (
                            ROOT / file.relative_to(published)).read_bytes()
                    cell["source"] = [line.replace(address[1], "")
                                      for line in cell["source"]]
                assert cell == mine
        assert told == (chapter[:2] in ("11", "14")), chapter


@pytest.mark.parametrize("text, absolute", [
    ("[4](04-a.ipynb)", "[4](https://a.org/b/book/04-a.html)"),
    ("[4](04-a.ipynb#the-rule), [x](glossary.md)",
     "[4](https://a.org/b/book/04-a.html#the-rule),"
     " [x](https://a.org/b/book/glossary.html)"),
    ("[p](https://c.org/d.ipynb) [h](#here) `f[0](x)`", None)])
def test_links_become_absolute_and_others_stay(text, absolute):
    page = "https://a.org/b/book/01-a.html"
    assert uploads.absolute(text, page) == (absolute or text)


def test_without_a_repository_no_page_links_to_one(private):
    for name, page in pages_of(private).items():
        for link in page.values("href", "a"):
            assert "colab.research.google.com/github" not in link, name
            assert "executablebooks" not in link, name
            assert "/blob/None" not in link and "/None" not in link, name
        assert not page.meta("og:url"), name
    assert not (private / "sitemap.xml").exists()


def test_no_page_asks_another_host_for_anything(private):
    for name, page in pages_of(private).items():
        asked = page.values("src") + page.values("srcset") + [
            found["href"] for tag, found in page.tags
            if tag == "link" and found.get("rel") != "canonical"]
        assert asked or name == "index.html", name
        for address in asked:
            assert not urllib.parse.urlparse(address).netloc, address
    style = (private / "_static/styles/site.css").read_text(encoding="utf8")
    for address in re.findall(r"url\((.*?)\)", style):
        assert not re.match(r"""["']?(https?:)?//""", address), address


def test_the_icon_fonts_have_every_icon_of_the_style(private):
    style = (private / "_static/styles/site.css").read_text(encoding="utf8")
    letters = set()
    for font in private.glob("_static/vendor/fontawesome/webfonts/*.woff2"):
        letters |= set(TTFont(font).getBestCmap())
    icons = {*map(ord, re.findall("[\ue000-\uf8ff]", style))}
    assert 0xF010 in icons  # "Hide Search Matches"
    assert icons <= letters


def test_building_again_without_a_change_keeps_the_style(private):
    style = private / "_static/styles/site.css"
    before = style.read_bytes()
    pages.build(private.parent.parent)
    assert style.read_bytes() == before and len(before) > 50_000


def test_every_link_inside_the_book_leads_somewhere(private):
    site = pages_of(private)
    for name, page in site.items():
        for link in page.values("href", "a") + page.values("href", "link"):
            parts = urllib.parse.urlparse(link)
            if parts.scheme or parts.netloc:
                continue
            target = page.path
            if parts.path:
                target = (page.path.parent
                          / urllib.parse.unquote(parts.path)).resolve()
            assert target.is_file(), (name, link)
            if parts.fragment and target.suffix == ".html":
                there = site[target.relative_to(private).as_posix()]
                assert urllib.parse.unquote(parts.fragment) in (
                    there.values("id")), (name, link)


def test_every_picture_says_what_it_shows_and_keeps_its_place(private):
    lazy = 0
    for name, page in pages_of(private).items():
        for tag, found in page.tags:
            if tag != "img":
                continue
            # MyST-NB writes the file's name where a cell says nothing.
            assert re.fullmatch(r"(?!.*_images/).{5,}", found.get("alt", "")
                                ), (name, found)
            if "_images/" in found["src"]:
                with Image.open(page.path.parent / found["src"]) as image:
                    shown = int(found["width"]), int(found["height"])
                    halved = tuple(side // 2 for side in image.size)
                    assert shown in (image.size, halved), name
                lazy += found.get("loading") == "lazy"
    assert lazy


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_closed_cell_shows_its_own_title(private, name):
    chapter = json.loads(
        (ROOT / "book" / f"{name}.ipynb").read_text(encoding="utf8"))
    titles = [
        "".join(cell["source"]).partition("\n")[0].removeprefix("# @title ")
        for cell in chapter["cells"] if "cellView" in cell["metadata"]]
    page = (private / "book" / f"{name}.html").read_text(encoding="utf8")
    shown = re.findall(
        r'<p class="(collapsed|expanded) admonition-title">(.*?)</p>', page)
    assert [html.unescape(words) for _, words in shown[::2]] == titles
    assert [words for _, words in shown[::2]] == [
        words for _, words in shown[1::2]]
    # It is said once, also where the code is marked by colours.
    assert "@title" not in re.sub(r"<[^>]+>", "", page)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_figure_of_twice_the_pixels_is_shown_at_its_size(private, name):
    chapter = json.loads(
        (ROOT / "book" / f"{name}.ipynb").read_text(encoding="utf8"))
    sizes = [
        (str(size["width"]), str(size["height"]))
        for cell in chapter["cells"] for output in cell.get("outputs", [])
        for size in [output.get("metadata", {}).get("image/png", {})]
        if "width" in size]
    page = Page(private / "book" / f"{name}.html")
    pictures = [found for tag, found in page.tags if tag == "img"
                and "_images/" in found["src"]]
    assert not any("style" in found for found in pictures)
    shown = [(found["width"], found["height"]) for found in pictures]
    assert [size for size in shown if size in sizes] == sizes


def test_every_page_describes_itself(published):
    seen = {}
    for name, page in pages_of(published).items():
        (text,) = page.meta("description")
        assert 20 < len(text) <= 300, (name, text)
        if name.startswith("book/"):
            assert text not in seen, (name, seen[text])
            seen[text] = name


def test_a_shared_link_shows_a_card(published):
    for name, page in pages_of(published).items():
        if name.startswith("book/"):
            assert page.meta("og:url") == [HOME + name]
            (card,) = page.meta("og:image")
            assert card.startswith(HOME)
            with Image.open(published / card.removeprefix(HOME)) as image:
                assert image.size == (1200, 630)
        for field in page.meta("og:title"):
            assert "<" not in field and len(field) > 5


def test_the_site_map_lists_every_page_of_the_book(published):
    root = xml.etree.ElementTree.parse(published / "sitemap.xml").getroot()
    listed = [element.text for element in root.findall(".//{*}loc")]
    assert sorted(listed) == sorted(
        HOME + name for name in pages_of(published)
        if name.startswith("book/"))


def test_the_missing_page_leads_home_from_any_address(published):
    page = pages_of(published)["404.html"]
    assert page.values("href", "base") == [HOME]
    for link in page.values("href", "a", "link") + page.values("src"):
        path = urllib.parse.urlparse(urllib.parse.urljoin(HOME, link))
        if path.netloc == "someone.github.io":
            file = path.path.removeprefix("/a-fork/")
            assert (published / file).is_file(), link


@pytest.mark.parametrize("formula", [
    r"\frac{1}{2", r"\unknown x", r"a_b_c", r"\begin{aligned} a"])
def test_a_formula_that_does_not_parse_fails_the_build(tmp_path, formula):
    (tmp_path / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'book/_extensions')!r})\n"
        "extensions = ['myst_parser', 'mathematics']\n"
        "html_math_renderer = 'mathml'\n"
        "myst_enable_extensions = ['dollarmath']\n")
    (tmp_path / "index.md").write_text(f"# A title\n\n$${formula}$$\n")
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-b", "html", str(tmp_path),
         str(tmp_path / "out")], capture_output=True, text=True)
    assert run.returncode
    assert "formula" in run.stderr and "index.md" in run.stderr


@pytest.mark.parametrize("remote, url", [
    ("https://github.com/a/b.git", "https://github.com/a/b"),
    ("git@github.com:a/b.git", "https://github.com/a/b"),
    ("ssh://git@gitlab.com/a/b", "https://gitlab.com/a/b"),
    ("https://name:token@github.com/a/b/", "https://github.com/a/b"),
    ("/srv/git/b.git", ""),
    ("", ""),
])
def test_a_remote_becomes_an_address_without_secrets(
        monkeypatch, remote, url):
    monkeypatch.setenv("BOOK_REPO_URL", remote)
    assert repository_links.repository_url(str(ROOT)) == url


@pytest.mark.parametrize("repository, url", [
    ("https://github.com/Some-One/book", "https://some-one.github.io/book/"),
    ("https://github.com/a/a.github.io", "https://a.github.io/"),
    ("https://gitlab.com/a/b", ""),
    ("", ""),
])
def test_a_repository_is_published_on_its_own_pages(repository, url):
    assert repository_links.pages_url(repository) == url


def test_the_git_remote_is_used_where_no_address_is_set(monkeypatch, tmp_path):
    monkeypatch.delenv("BOOK_REPO_URL", raising=False)
    assert repository_links.repository_url(str(tmp_path)) == ""
    for command in (["init", "-q"],
                    ["remote", "add", "origin", "git@github.com:a/b.git"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    url = repository_links.repository_url(str(tmp_path))
    assert url == "https://github.com/a/b"


def test_a_fork_is_renamed_in_one_place(tmp_path, monkeypatch):
    root = pathlib.Path(pages.__file__).parent.parent
    for name in ("_config.yml", "CITATION.cff", "course/nbgrader_config.py",
                 "course/grade.py", "course/apart.py", "course/wire.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((root / name).read_bytes())
    settings = tmp_path / "_config.yml"
    settings.write_text(settings.read_text("utf8").replace(
        pages.title(), "Small Networks, 2027"), "utf8")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setenv("BOOK_REPO_URL", "https://github.com/Someone/nets")
    assert pages.slug() == "small-networks-2027"
    cited = yaml.safe_load(pages.citation("v2.1", "2027-03-01"))
    assert cited["title"] == "Small Networks, 2027"
    assert cited["repository-code"] == "https://github.com/Someone/nets"
    assert cited["url"] == "https://someone.github.io/nets/"
    assert cited["version"] == "2.1"
    assert str(cited["date-released"]) == "2027-03-01"
    pytest.importorskip("nbgrader")
    made = unittest.mock.MagicMock()
    runpy.run_path(str(tmp_path / "course" / "nbgrader_config.py"),
                   {"get_config": lambda: made})
    assert made.CourseDirectory.course_id == pages.slug()
