"""Settings of every test run, of nbval on one chapter too."""

import collections
import os
import pathlib

import nbformat
import notebooks
import pytest

# Chapters shorten what trains to a few steps of the same code.
os.environ["BOOK_QUICK"] = "1"
# As book/mobilenet/__init__.py does and for its reason.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def pytest_collectstart(collector):
    """Leave stderr out of what nbval compares: TensorFlow logs there."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Fail where a chapter's cell warns, which a reader would see."""
    result = yield
    if found := notebooks.noise(getattr(item, "test_outputs", None)):
        pytest.fail("the cell makes noise:\n" + "\n".join(found), False)
    return result


ANSWERS = pathlib.Path(__file__).parent / "tests" / "answers"
# What takes longest, to be begun first; test_browser builds the site for all.
LONGEST = ("test_browser", "test_distributed", "test_live", "11-deployment",
           "test_explorer", "test_engines", "10-measured-speed",
           "test_assignments", "12-training-at-scale", "test_training",
           "test_site", "test_records", "08-training", "test_decks",
           "test_teaching", "test_moving")


def group_of(name):
    """Return the group of a test, by its node's name: its file."""
    return pathlib.PurePath(name.split("::")[0]).stem


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Run a group in one process, the groups in the order of their tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return Groups(config, log)


def answered(items):
    """Yield items, and after a chapter's last cell the answers to its checks.

    They are code of tests/answers, run where the chapter has just run.
    """
    for item, following in zip(items, [*items[1:], None]):
        yield item
        path = ANSWERS / f"{item.path.stem}.py"
        if item.path.suffix == ".ipynb" and path.exists() and (
                following is None or following.path != item.path):
            cell = nbformat.v4.new_code_cell(path.read_text(encoding="utf8"))
            yield type(item).from_parent(
                item.parent, name="answers", cell_num=item.cell_num + 1,
                cell=cell, options=collections.defaultdict(bool))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Begin with what takes longest; compare only what can be compared.

    Without the real images, cells that need them are run and not compared.
    """
    items[:] = answered(items)
    for item in items:
        cell = getattr(item, "cell", None)
        if cell and not os.environ.get("CIFAR10_DIR") and (
                "real-data" in cell.metadata.get("tags", [])):
            item.options["check"] = False
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(
        group_of(item.nodeid), len(order)))
