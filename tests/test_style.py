"""The code is as pyproject.toml and tools/faults.py take it to be."""

import pathlib
import subprocess
import sys

import faults
import pytest

ROOT = pathlib.Path(__file__).parent.parent


def test_ruff_finds_nothing():
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", str(ROOT)],
        capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("module, sound, _", faults.MODULE_FAULTS)
def test_each_fault_to_be_seeded_has_its_one_place(module, sound, _):
    path = ROOT / "book" / "mobilenet" / f"{module}.py"
    assert path.read_text(encoding="utf8").count(sound) == 1


@pytest.mark.parametrize("page, sound, _", faults.PAGE_FAULTS)
def test_each_fault_to_be_seeded_in_a_page_has_its_one_place(page, sound, _):
    text = (ROOT / "book" / page).read_text(encoding="utf8")
    assert text.count(sound) == 1
