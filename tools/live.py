"""Measure the page On your device in the browsers of this machine.

    python tools/live.py [TIMES]     writes book/runs/live.csv and live.txt

Each network runs in each browser, in plain JavaScript and with SIMD, so many
times (5), in turn; the run with the least median is kept, since another
program can only make it longer. tools/engines.py names the browsers. Wants a
machine that does nothing else.
"""

import csv
import datetime
import itertools
import os
import pathlib
import platform
import re
import sys

import engines
import pages

ROOT = pathlib.Path(__file__).parent.parent
TABLE = ROOT / "book" / "runs" / "live.csv"
# What a reader does, and what is found.
LOAD = """
    const done = async (what) => {
        while (!what()) await new Promise((next) => setTimeout(next, 20));
        return what();
    };
    const find = (id) => document.getElementById(`live-${id}`);
    const [network, path] = given;
    find(network).click();
    await done(() => live.network()?.name === network);
    document.querySelector(`[name=live-engine][value=${path}]`).click();
    document.querySelector(".live-sample").click();
    await done(() => !find("asked").hidden);"""
MEASURE = LOAD + """
    find("guess").value = 0;
    find("predict").requestSubmit();
    await done(() => !find("measured").hidden);
    const found = live.found();
    const share = (kind) => 100 * found.shares.ms[kind];
    const rest = share("convolution") + share("dense");
    return [live.row().browser, network, found.engine, found.image.median,
            found.image.low, found.image.high, found.step,
            share("depthwise"), share("pointwise"), rest];"""
COLUMNS = (
    "browser", "network", "engine", "ms", "lower quartile", "upper quartile",
    "clock's step", "depthwise, % of time", "pointwise, %", "rest, %")
NETWORKS = sorted(
    path.stem for path in (ROOT / "book" / "weights").glob("*.live"))


def measured(home, name, network, path):
    """Return what the page says of a network in a browser: a list."""
    with engines.started(name) as one, one.open(1280) as window:
        window.goto(home + "book/live.html")
        browser, *rest = window.run(MEASURE, network, path)
        # WebKit's small browser calls itself Safari, by a number of its own.
        return ["WebKit" if name == "webkit" else browser, *rest]


def rows(times):
    """Return the least disturbed of so many runs each, as dicts."""
    # Not checked: the table that the page prints may not be there yet.
    pages.build(pages.PLACE / "ours", check=False)
    best = {}
    asked = list(itertools.product(
        engines.NAMES, NETWORKS, ("simd", "plain")))
    with pages.served(pages.PLACE / "ours" / "_build" / "html") as home:
        for _, key in itertools.product(range(times), asked):
            found = measured(home, *key)
            print(*found, flush=True)
            best[key] = min(best.get(key, found), found, key=lambda r: r[3])
    return [dict(zip(COLUMNS, [
        *best[key][:3], *(f"{number:.2f}" for number in best[key][3:7]),
        *(f"{number:.1f}" for number in best[key][7:])])) for key in asked]


def machine():
    """Return the name of this machine's processor and its cores."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpuinfo.read_text()) if (
        cpuinfo.exists()) else []
    name = names[0] if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores"


def main():
    """Write the table, and a line that says where it was made."""
    times = int(sys.argv[1]) if sys.argv[1:] else 5
    found = rows(times)
    with TABLE.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    TABLE.with_suffix(".txt").write_text(
        f"Measured on {datetime.date.today()} on {machine()}: the best of"
        f" {times} runs.\n", encoding="utf8")


if __name__ == "__main__":
    main()
