"""The built site: complete, self-contained, its launch links right."""

import html.parser
import os
import pathlib
import subprocess
import sys
import urllib.parse

import pytest
import repository_links

ROOT = pathlib.Path(__file__).parent.parent
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))


class Page(html.parser.HTMLParser):
    """Collect the tags of a page as (tag, {attribute: value})."""

    def __init__(self, path):
        super().__init__()
        self.tags = []
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def values(self, attribute, *tags):
        return [
            found[attribute] for tag, found in self.tags
            if attribute in found and (not tags or tag in tags)]


def built(folder, repository):
    """Build the site strictly with that repository; return its pages."""
    run = subprocess.run(
        [sys.executable, "-c",
         "from jupyter_book.cli.main import main; main()", "build", str(ROOT),
         "-W", "-n", "--keep-going", "--path-output", str(folder)],
        env={**os.environ, "BOOK_REPO_URL": repository},
        capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return folder / "_build" / "html"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return built(tmp_path_factory.mktemp("published"),
                 "https://github.com/someone/a-fork")


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    return built(tmp_path_factory.mktemp("private"), "")


def pages(site):
    return {path.stem: Page(path) for path in site.glob("book/*.html")}


def test_every_chapter_launches_its_own_file_from_the_fork(published):
    for chapter in CHAPTERS:
        links = [
            link for link in pages(published)[chapter].values("href", "a")
            if "colab.research.google.com/github" in link]
        assert links, chapter
        for link in links:
            path = urllib.parse.urlparse(link).path
            assert path.startswith("/github/someone/a-fork/blob/"), link
            assert (ROOT / path.split("/", 6)[6]).is_file(), link


def test_without_a_repository_no_page_links_to_one(private):
    for name, page in pages(private).items():
        for link in page.values("href", "a"):
            assert "colab.research.google.com/github" not in link, name
            assert "executablebooks" not in link, name
            assert "/blob/None" not in link and "/None" not in link, name


def test_no_page_asks_another_host_for_anything(private):
    for name, page in pages(private).items():
        asked = page.values("src", "script", "img", "iframe") + [
            found["href"] for tag, found in page.tags
            if tag == "link" and found.get("rel") != "canonical"]
        assert asked, name
        for address in asked:
            assert not urllib.parse.urlparse(address).netloc, address


def test_every_picture_says_what_it_shows(private):
    for name, page in pages(private).items():
        for tag, found in page.tags:
            if tag == "img":
                assert len(found.get("alt", "")) > 4, (name, found)


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


def test_the_git_remote_is_used_where_no_address_is_set(monkeypatch, tmp_path):
    monkeypatch.delenv("BOOK_REPO_URL", raising=False)
    assert repository_links.repository_url(str(tmp_path)) == ""
    for command in (["init", "-q"],
                    ["remote", "add", "origin", "git@github.com:a/b.git"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    url = repository_links.repository_url(str(tmp_path))
    assert url == "https://github.com/a/b"
