"""RAM of chains against hand arithmetic and the interpreter of small chips.

The interpreter is PyPI's tflite-micro, where it is installed. The C array is
compiled by the system's compiler.
"""

import csv
import itertools
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from mobilenet import __main__ as command
from mobilenet import cifar10, memory, micro, network, quantization
from mobilenet.memory import Map

BOOK = pathlib.Path(__file__).parent.parent / "book"
REAL = os.environ.get("CIFAR10_DIR")
with (BOOK / "runs" / "microcontroller.csv").open(newline="") as file:
    RECORD = {row["name"]: row for row in csv.DictReader(file)}

# The image's side and the arguments of a short network.
SHORT = ((64, 1), (128, 2))
NETWORKS = [
    (32, {"alpha": 0.25}), (32, {"alpha": 0.25, "stem_stride": 1}),
    (32, {"alpha": 0.5}), (20, {"alpha": 0.25, "separable": False}),
    (33, {"alpha": 0.25}), (24, {"alpha": 1.0}),
    (16, {"alpha": 0.25, "stride_on": "pointwise"}),
    (40, {"alpha": 0.125, "stem_stride": 1}),
]
# Those of them for whose maps the planner leaves a hole.
HOLES = [0, 4]


def model_of(side, settings, classes=10):
    keras.utils.set_random_seed(1)
    return network.mobilenet_v1(
        (side, side, 3), classes, body=SHORT, **settings)


@pytest.mark.parametrize("sizes, most", [
    ([192, 128, 128, 256], 384), ([5, 7], 12), ([9, 1, 1, 1], 10),
    ([1, 2, 30, 4, 33], 37)])
def test_a_chain_needs_its_largest_pair_of_neighbours(sizes, most):
    assert memory.chain_peak(sizes) == most


def test_a_map_waits_for_the_shortcut_that_reads_it():
    images = keras.Input((4, 4, 2))
    first = layers.Conv2D(3, 3, padding="same")(images)
    second = layers.ReLU()(layers.BatchNormalization()(
        layers.Conv2D(3, 3, padding="same")(first)))
    model = keras.Model(images, layers.Add()([first, second]))
    assert [one.size for one in memory.lives(model)] == [32, 48, 48, 48]
    # The first map lives in all three steps.
    assert memory.needs(memory.lives(model)) == [32 + 48, 48 + 48, 3 * 48]
    assert memory.needs(memory.lives(model, 4))[0] == 4 * 80


def test_a_chain_of_layers_needs_what_its_sizes_say():
    maps = memory.lives(network.mobilenet_v1((224, 224, 3), 1000))
    assert max(memory.needs(maps)) == memory.chain_peak(
        [one.size for one in maps]) == 112 * 112 * (32 + 64)
    assert len(maps) == 30 and maps[-1].size == 1000


def test_mobilenet_v2_needs_what_mcunet_v2_prints():
    maps = memory.lives(keras.applications.MobileNetV2(weights=None))
    needs = memory.needs(maps)
    assert max(needs) == 112 * 112 * 96 + 56 * 56 * 96
    for one in maps:  # a depthwise layer writes over its input
        needs[one.first] -= one.size * ("depthwise" in one.name)
    assert max(needs) == 1372 * 1024


def test_pixels_are_there_twice_before_the_first_layer():
    maps = memory.lives(model_of(32, {"alpha": 0.25}))
    twice = memory.with_pixels(maps)
    assert memory.needs(twice) == [2 * 32 * 32 * 3, *memory.needs(maps)]


def test_the_planner_leaves_the_hole_that_it_leaves_by_hand():
    maps = [Map("image", 192, 0, 0), Map("stem", 128, 0, 1),
            Map("depthwise", 128, 1, 2), Map("pointwise", 256, 2, 2)]
    assert memory.plan(maps) == [0, 384, 256, 0]
    assert memory.planned_bytes(maps) == 512


@pytest.mark.parametrize("seed", range(8))
def test_no_two_maps_of_a_plan_share_a_byte_while_they_live(seed):
    rng = np.random.default_rng(seed)
    maps = [Map(str(i), int(rng.integers(1, 200)), first,
                first + int(rng.integers(3)))
            for i, first in enumerate(rng.integers(0, 9, 12).tolist())]
    bytes_of = {}
    for one, offset in zip(maps, memory.plan(maps)):
        assert offset % 16 == 0
        for step in range(one.first, one.last + 1):
            taken = bytes_of.setdefault(step, set())
            mine = set(range(offset, offset + one.size))
            assert not taken & mine
            taken |= mine
    highest = 1 + max(map(max, bytes_of.values()))
    assert memory.planned_bytes(maps) == 16 * math.ceil(highest / 16)


@pytest.fixture(scope="module", params=range(len(NETWORKS)))
def measured(request):
    """Return a short network's number, its Keras model and its int8 file."""
    pytest.importorskip("tflite_micro", reason="needs tflite-micro, which is"
                        " there for Linux on x86-64 alone")
    side, settings = NETWORKS[request.param]
    model = model_of(side, settings)
    content = quantization.converted(model, "int8", command.noise(side))
    return request.param, model, content


def test_the_interpreter_reserves_what_the_rule_predicts(measured):
    number, model, content = measured
    maps = memory.with_pixels(memory.lives(model))
    head, tail = micro.arena_parts(content)
    assert head == memory.planned_bytes(maps)
    aligned = [one._replace(size=16 * math.ceil(one.size / 16))
               for one in maps]
    assert (head > max(memory.needs(aligned))) == (number in HOLES)
    assert 0 <= head + tail - micro.smallest_arena(content) <= 16


def test_the_interpreter_answers_as_litert_does_to_one_step(measured):
    pytest.importorskip("ai_edge_litert", reason="there is no LiteRT to ask")
    _, model, content = measured
    images = command.noise(model.input.shape[1], 5)
    logits = micro.micro_logits(content, images)
    assert np.abs(logits - micro.litert_steps(content, images)).max() <= 1
    assert np.unique(logits).size > 5


def test_an_arena_that_is_too_small_is_refused(measured):
    _, _, content = measured
    with pytest.raises(RuntimeError):
        micro.micro_interpreter(content, sum(micro.arena_parts(content)) - 64)


def written_out(side, classes, alpha=1.0, stem_stride=2, separable=True,
                body=network.BODY):
    """Return the Maps of MobileNet v1 from its shapes alone, no Keras."""
    channels, sizes = int(32 * alpha), [3 * side**2]
    side = -(-side // stem_stride)
    sizes.append(channels * side**2)
    for filters, stride in body:
        side = -(-side // stride)
        sizes += [channels * side**2] * separable
        channels = int(filters * alpha)
        sizes.append(channels * side**2)
    sizes += [channels, classes]
    return [Map(str(step), size, max(step - 1, 0), min(step, len(sizes) - 2))
            for step, size in enumerate(sizes)]


@pytest.mark.parametrize("number", [
    number for number, (_, settings) in enumerate(NETWORKS)
    if "stride_on" not in settings])
def test_lives_are_those_of_a_network_written_out(number):
    side, settings = NETWORKS[number]
    found = memory.lives(model_of(side, settings))
    assert [one[1:] for one in found] == [one[1:] for one in written_out(
        side, 10, **settings, body=SHORT)]


@pytest.mark.parametrize("name", RECORD)
def test_the_record_has_the_arena_that_the_rule_predicts(name):
    row = {key: int(value) for key, value in RECORD[name].items()
           if value.isdigit()}
    maps = memory.with_pixels(written_out(
        row["side"], row["classes"], **json.loads(RECORD[name]["network"])))
    assert row["head"] == memory.planned_bytes(maps)
    assert 0 <= row["head"] + row["tail"] - row["smallest"] <= 16
    assert 0 <= row["steps"] <= 1


def test_the_record_is_of_the_networks_that_the_command_measures():
    assert list(RECORD) == list(command.MICRO)
    for name, (side, classes, settings) in command.MICRO.items():
        row = RECORD[name]
        assert (int(row["side"]), int(row["classes"])) == (side, classes)
        assert json.loads(row["network"]) == json.loads(json.dumps(settings))


@pytest.mark.parametrize("name", ["best-all", "small"])
def test_the_record_is_of_the_trained_file_that_the_book_keeps(name):
    content = (BOOK / "weights" / f"{name}.tflite").read_bytes()
    assert len(content) == int(RECORD[name]["flash"])
    assert 8000 < int(RECORD[name]["correct"]) <= 10000


def test_the_small_network_fits_with_room_for_the_firmware():
    row = RECORD["small"]
    assert int(row["head"]) + int(row["tail"]) <= 200 * 1024
    assert int(row["flash"]) <= 900 * 1024


@pytest.mark.skipif(not REAL, reason="needs the real images: CIFAR10_DIR")
def test_the_small_network_classifies_the_test_images_as_recorded():
    content = (BOOK / "weights" / "small.tflite").read_bytes()
    _, (images, labels) = cifar10.load_cifar10()
    answers = quantization.litert_logits(content, images, 2, 250)
    correct = np.sum(answers.argmax(axis=1) == labels)
    # The kernels that are fast round otherwise, and change a few answers.
    assert abs(correct - int(RECORD["small"]["correct"])) < 40


PROGRAM = """
#include <stdio.h>
#include "%s.h"
int main(void) {
  fwrite(%s_model, 1, sizeof %s_model, stdout);
  fprintf(stderr, "%%d %%d %%d", %s_BYTES, %s_SIDE, %s_ARENA);
  return (size_t)%s_model %% 16;
}
"""


@pytest.mark.parametrize("language", [
    ["cc", "-std=c11"], ["c++", "-std=c++17", "-x", "c++"]])
@pytest.mark.parametrize("name", ["best-all", "small"])
def test_the_exported_array_is_the_file_byte_for_byte(
        name, language, tmp_path, monkeypatch, capsys):
    if not shutil.which(language[0]):
        pytest.skip(f"needs a compiler, {language[0]}")
    content = command.micro_file("best-all")[:300_000]
    monkeypatch.setattr(command, "micro_file", lambda name: content)
    monkeypatch.chdir(tmp_path)
    command.export(name)
    assert f"{name}.h: 300,000 bytes" in capsys.readouterr().out
    c_name = name.replace("-", "_")
    (tmp_path / "main.c").write_text(PROGRAM % (
        name, *[c_name] * 2, *[c_name.upper()] * 3, c_name))
    subprocess.run([*language, "-Wall", "-Werror", "main.c"], check=True)
    run = subprocess.run(["./a.out"], capture_output=True)
    assert run.returncode == 0 and run.stdout == content
    arena = int(RECORD[name]["head"]) + int(RECORD[name]["tail"])
    assert run.stderr.decode() == f"300000 32 {arena}"


def test_lines_of_an_array_are_short_and_hold_every_byte():
    text = memory.c_array(bytes(range(256)), "x")
    assert max(map(len, text.splitlines())) < 80
    numbers = text.partition("{")[2].partition("}")[0].split(",")
    assert list(map(int, numbers)) == list(range(256))


def test_the_command_measures_what_it_is_asked_for_and_keeps_the_rest(
        tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(command, "micro_row", lambda name: {
        "name": name, "head": next(numbers)})
    numbers = itertools.count()
    for names in ("small", "0.25, 96 pixels"), ("small",):
        monkeypatch.setattr(
            sys, "argv", ["mobilenet", "microcontroller", *names])
        command.main()
    lines = (tmp_path / "microcontroller.csv").read_text().splitlines()
    assert lines == ["name,head", "small,2", '"0.25, 96 pixels",1']
    monkeypatch.setattr(sys, "argv", ["mobilenet", "microcontroller", "big"])
    with pytest.raises(SystemExit, match="no network is called big"):
        command.main()


def test_without_the_interpreter_one_line_says_how_to_get_it(
        monkeypatch, tmp_path):
    monkeypatch.setattr(command, "RUNS", tmp_path)
    monkeypatch.setattr(
        command.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["mobilenet", "microcontroller"])
    with pytest.raises(SystemExit, match="pip install tflite-micro$"):
        command.main()
    assert not list(tmp_path.iterdir())
