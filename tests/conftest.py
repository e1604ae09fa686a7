"""The site, built once for all tests that look at it, in two ways."""

import contextlib
import os
import shutil

import engines
import pages
import pytest
from tiny import trained

FORK = "https://github.com/someone/a-fork"
HUB = "https://hub.example.org"


def built_once(factory, name, build):
    """Return a site's folder: one of the run's processes builds it for all."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder, done = folder / name, folder / f"{name} is done"
    try:
        folder.mkdir()
    except FileExistsError:
        engines.waited(done.exists, 1800)
    else:
        try:
            build(folder)
        finally:
            done.touch()
    if not (folder / "_build" / "html" / "index.html").exists():
        raise ValueError("the site could not be built: see the first error")
    return folder / "_build" / "html"


@pytest.fixture(scope="session")
def private(tmp_path_factory):
    """The site as built where there is no repository; its folder."""
    return built_once(tmp_path_factory, "private", pages.build)


@pytest.fixture(scope="session")
def published(private, tmp_path_factory):
    """The site as a fork on GitHub publishes it, with a hub; its folder."""
    def build(folder):
        # What was read stays read; every page is written again.
        shutil.copytree(private.parent, folder / "_build")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BOOK_JUPYTERHUB_URL", HUB)
            patch.setenv("BOOK_COLAB_BRANCH", "colab")
            pages.build(folder, repository=FORK)

    return built_once(tmp_path_factory, "published", build)


@contextlib.contextmanager
def needed():
    """Skip a test for what ValueError says is not there; in CI it fails."""
    try:
        yield
    except ValueError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def running():
    """A Chromium; without one the test is skipped, and in CI it fails.

    For one file at a time: while it runs, no kernel of a notebook can.
    """
    with needed():
        pages.chromium()
    with pages.browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Return (folder, model, rows) of one run of three epochs."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "tiny"
    return folder, *trained(folder)


@pytest.fixture(scope="module", params=engines.NAMES)
def engine(request):
    """Each engine; one that is not there skips its tests, and in CI fails."""
    if request.param == "chromium":
        # Playwright runs once.
        yield engines.Chromium(request.getfixturevalue("running"))
        return
    with contextlib.ExitStack() as stack:
        with needed():
            one = stack.enter_context(engines.started(request.param))
        yield one
