#!/usr/bin/env python3
"""Seed faults one by one and say which of them the tests catch.

    python tools/faults.py [--draw N] [--seed S] [--only TEXT]

Faults written below by hand, and N drawn with a seed: constants and operators
in book/mobilenet, digits in the stored outputs of chapters. Each is made in a
copy of the tree, the tests that concern it are run until the first failure,
and a row is printed. A fault in a module must be caught by that module's own
tests: that the chapters then differ from their source would show any change
and is not counted. A fault in a page, or in a figure, is the contract's to
catch. Exit 1 if one is missed. Slow: half an hour on two cores.
"""

import argparse
import ast
import base64
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# (module, what stands there, what the fault makes of it)
MODULE_FAULTS = (
    ("convolution", "total // 2, total - total // 2",
     "total - total // 2, total // 2"),
    ("convolution", "outputs = -(-side // stride)",
     "outputs = side // stride"),
    ("convolution", "view[::stride, ::stride]", "view[::stride, ::1]"),
    ("convolution", '"yxcij,ijc->yxc"', '"yxcij,jic->yxc"'),
    ("convolution", "image[y * stride + i, x * stride + j, c]",
     "image[y * stride + i, x * stride + j + 1 - 1, 0]"),
    ("convolution", "if min(image.shape[:2]) < kernel:", "if False:"),
    ("costs", "params = kernel * kernel * channels * filters",
     "params = kernel * channels * filters"),
    ("costs", "params = (kernel * kernel + filters) * channels",
     "params = (kernel * kernel + channels) * filters"),
    ("costs", "math.ceil(width / stride)", "width // stride"),
    ("costs", '    layers.Dense: "dense",\n',
     '    layers.Dense: "dense",\n    layers.Conv2DTranspose: "up",\n'),
    ("costs", "if type(layer) not in {**COUNTED, **FREE}:",
     "if not isinstance(layer, tuple({**COUNTED, **FREE})):"),
    ("costs", "area * channels // layer.groups", "area * channels"),
    ("costs", "filtered = channels * layer.depth_multiplier",
     "filtered = channels"),
    ("costs", "weights + layer.use_bias * output[-1]",
     "layer.count_params()"),
    ("network", "(1024, 2), (1024, 1),", "(1024, 2), (1024, 2),"),
    ("network", '{"depthwise": (stride, 1), "pointwise": (1, stride)}',
     '{"pointwise": (stride, 1), "depthwise": (1, stride)}'),
    ("network", "filters, 1, strides[1], padding=\"same\","
     " use_bias=use_bias,",
     "filters, 1, strides[1], padding=\"same\", use_bias=False,"),
    ("network", '"relu6": 6.0', '"relu6": 6.5'),
    ("network", "        filters = int(alpha * filters)",
     "        filters = round(alpha * filters)"),
    ("network", "int(alpha * 32), 3, int(stem_stride)",
     "32, 3, int(stem_stride)"),
    ("network", 'layers.BatchNormalization(name=f"{name}_bn")',
     'layers.BatchNormalization(name=f"{name}_bn", epsilon=0.01)'),
    ("network", "filters, 3, stride, padding", "filters, 3, 1, padding"),
    ("cifar10", "transpose(0, 2, 3, 1)", "transpose(0, 3, 2, 1)"),
    ("cifar10", "image.tobytes() + bytes([label])", "image.tobytes()"),
    ("batches", "tf.float32) / 127.5 - 1", "tf.float32) / 127.5"),
    ("cifar10", "if (module, name) not in self.allowed:", "if False:"),
    ("batches", "(images[rest], labels[rest])",
     "(images[rest], labels[aside][:len(rest)])"),
    ("__main__", "seconds += time", "seconds = time"),
    ("__main__", "np.exp(logits - logits.max())",
     "np.exp(2 * (logits - logits.max()))"),
    ("training", "self.epochs * self.steps - step",
     "self.epochs * self.steps + step"),
    ("training", "range(done, recipe", "range(0, recipe"),
    ("training", "y_pred, from_logits=True", "y_pred, from_logits=False"),
    ("training", "run.history(done)", "[]"),
    ("training", "self.before + self.written", "self.written"),
    ("training", "config[\"momentum\"] = momentum", "pass"),
    ("training", "label_smoothing=self.smoothing", "label_smoothing=0"),
    ("training", "model.set_weights(weights)", "pass"),
    ("training", "steps * (recipe[\"epochs\"] - recipe[\"warmup\"])",
     "steps * recipe[\"epochs\"]"),
    ("batches", "result[flip] = result[flip, :, ::-1]",
     "result[flip] = result[flip, ::-1]"),
    ("distributed", "tf.reduce_sum(losses) / batch",
     "tf.reduce_mean(losses)"),
    ("distributed", "data.skip(done)", "data"),
    ("distributed", "read_losses(folder)[:done]", "read_losses(folder)"),
    ("distributed", "4 * params", "2 * params"),
    ("distributed", "random.experimental.stateless_shuffle(records, [1, 1])",
     "random.shuffle(records)"),
    ("paper", "weights = 9 * 3 * channels", "weights = 9 * channels"),
    ("paper", "body[:6] + body[11:]", "body[:6] + body[10:]"),
)

# (page in book/, what stands there, what the fault makes of it)
PAGE_FAULTS = (
    ("04-counting-costs.ipynb", "says 569 million", "says 596 million"),
    ("04-counting-costs.ipynb", "98.3 % of the remaining",
     "93.8 % of the remaining"),
    ("04-counting-costs.ipynb", "does 27 times", "does 72 times"),
    ("04-counting-costs.ipynb", r'(\"standard\", by_hand)',
     r'(\"Standard\", by_hand)'),
    ("for-instructors.md", "| 20 | Count:", "| 25 | Count:"),
)


def constants_and_operators(source):
    """Return (start, end, replacement) of each small change one can draw."""
    lines = source.splitlines(keepends=True)
    starts = [sum(map(len, lines[:row])) for row in range(len(lines))]
    found = []
    for node in ast.walk(ast.parse(source)):
        if (isinstance(node, ast.Constant) and type(node.value) is int
                # What is made ahead, or at a time, changes the speed alone.
                and ".prefetch(" not in lines[node.lineno - 1]):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            found.append((start, end, str(node.value + 1)))
        if isinstance(node, ast.BinOp):
            swaps = {ast.Add: "-", ast.Sub: "+", ast.Mult: "+"}
            if type(node.op) in swaps:
                start = (starts[node.left.end_lineno - 1]
                         + node.left.end_col_offset)
                end = starts[node.right.lineno - 1] + node.right.col_offset
                middle = source[start:end]
                if middle.strip() in ("+", "-", "*"):
                    found.append((start, end, middle.replace(
                        middle.strip(), swaps[type(node.op)])))
    return found


def drawn_in_module(rng):
    """Return (path, new text, what was changed) of one fault in a module."""
    name = rng.choice([
        "batches", "convolution", "costs", "network", "records", "training"])
    path = ROOT / "book" / "mobilenet" / f"{name}.py"
    source = path.read_text(encoding="utf8")
    start, end, new = rng.choice(constants_and_operators(source))
    line = source.count("\n", 0, start) + 1
    text = source[:start] + new + source[end:]
    return path, text, f"line {line}: {source[start:end]!r} to {new!r}"


def drawn_in_output(rng):
    """Return (path, new text, what was changed) of one digit in an output."""
    path = rng.choice(sorted((ROOT / "book").glob("*.ipynb")))
    notebook = json.loads(path.read_text(encoding="utf8"))
    places = [
        (number, output["text"], row)
        for number, cell in enumerate(notebook["cells"])
        if cell["cell_type"] == "code"
        and not {"nbval-ignore-output", "real-data"}.intersection(
            cell["metadata"].get("tags", []))
        for output in cell["outputs"] if "text" in output
        for row, line in enumerate(output["text"])
        if any(letter.isdigit() for letter in line)]
    number, text, row = rng.choice(places)
    line = text[row]
    at = rng.choice([i for i, letter in enumerate(line) if letter.isdigit()])
    text[row] = line[:at] + str((int(line[at]) + 1) % 10) + line[at + 1:]
    return (path, json.dumps(notebook),
            f"cell {number}: {line.strip()!r} to {text[row].strip()!r}")


def figure_replaced():
    """Return the fault whose first figure of chapter 4 is another's PNG."""
    path = ROOT / "book" / "04-counting-costs.ipynb"
    notebook = json.loads(path.read_text(encoding="utf8"))
    data = next(output["data"] for cell in notebook["cells"]
                for output in cell.get("outputs", ())
                if "image/png" in output.get("data", ()))
    data["image/png"] = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    return path, json.dumps(notebook), "its figure to 8 bytes", "hand"


def faults(draw, seed):
    """Yield (path, new text, what was changed, "hand" or "drawn")."""
    for name, before, after in MODULE_FAULTS:
        path = ROOT / "book" / "mobilenet" / f"{name}.py"
        source = path.read_text(encoding="utf8")
        if source.count(before) < 1:
            raise SystemExit(f"{path.name} no longer has {before!r}")
        text = source.replace(before, after)
        yield path, text, f"{before!r} to {after!r}", "hand"
    for name, before, after in PAGE_FAULTS:
        path = ROOT / "book" / name
        source = path.read_text(encoding="utf8")
        if source.count(before) != 1:
            raise SystemExit(f"{name} no longer has {before!r} once")
        yield (path, source.replace(before, after),
               f"{before!r} to {after!r}", "hand")
    yield figure_replaced()
    rng = random.Random(seed)
    for number in range(draw):
        one = (drawn_in_module, drawn_in_output)[number % 2](rng)
        yield (*one, "drawn")


def tests_for(path, source):
    """Return the pytest arguments that must notice a fault in path.

    source is "hand" or "drawn": a page's fault by hand is in its words.
    """
    if source == "hand" and path.parent.name == "book":
        return ["tests/test_contract.py", "tests/test_teaching.py", "-k",
                f"lacks_nothing and {path.stem} or minutes or plan"]
    if path.suffix == ".ipynb":
        return [str(path.relative_to(ROOT))]
    if path.stem == "__main__":
        return ["tests/test_experiments.py", "tests/test_classify.py",
                "-k", "race or shares"]
    return [f"tests/test_{path.stem}.py"]


def caught(tree, path, text, source):
    """Return whether the tests fail once path in tree holds text."""
    target = tree / path.relative_to(ROOT)
    original = target.read_text(encoding="utf8")
    target.write_text(text, encoding="utf8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", *tests_for(path, source)],
        cwd=tree, capture_output=True, text=True)
    target.write_text(original, encoding="utf8")
    if run.returncode not in (0, 1, 2):
        raise SystemExit(run.stdout + run.stderr)
    return run.returncode != 0


def main():
    """Print a row for each fault; return 1 if one is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of a file's name")
    arguments = parser.parse_args()
    missed = total = 0
    with tempfile.TemporaryDirectory() as place:
        tree = pathlib.Path(place) / "book"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(
            "_build", ".git", "__pycache__", "*.keras", ".*_cache"))
        for path, text, what, source in faults(
                arguments.draw, arguments.seed):
            if arguments.only not in path.name:
                continue
            start = time.monotonic()
            found = caught(tree, path, text, source)
            missed, total = missed + (not found), total + 1
            print(f"{'caught' if found else 'MISSED'} {source:5}"
                  f" {time.monotonic() - start:4.0f} s {path.name}: {what}",
                  flush=True)
    print(f"{total - missed} of {total} caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
