"""Settings of every test run, of nbval on one chapter too."""

import os

# Chapters shorten what trains to a few steps of the same code.
os.environ["BOOK_QUICK"] = "1"
# As book/mobilenet/__init__.py does and for its reason.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def pytest_collectstart(collector):
    """Leave stderr out of what nbval compares: TensorFlow logs there."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)


def pytest_collection_modifyitems(items):
    """Without the real images, do not compare cells that need them."""
    if os.environ.get("CIFAR10_DIR"):
        return
    for item in items:
        cell = getattr(item, "cell", None)
        if cell and "real-data" in cell.metadata.get("tags", []):
            item.options["check"] = False
