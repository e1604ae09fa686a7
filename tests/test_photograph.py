"""The photograph and the trained layers of chapters 2 and 3."""

import keras
import mobilenet.__main__ as command
import numpy as np
import pytest
from mobilenet import convolution, photograph, recipes, records

TEXT = (command.WEIGHTS / "first-block.txt").read_text(encoding="utf8")


@pytest.fixture(scope="module")
def layers():
    return photograph.from_text(TEXT)


def test_the_photograph_is_square_and_goes_from_dark_to_light():
    cat = photograph.photograph(96)
    assert cat.shape == (96, 96, 3)
    assert -1 <= cat.min() < -0.8 and 0.6 < cat.max() <= 1


def test_the_text_is_what_the_command_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(
        command.records, "write_whole",
        lambda path, write: write((tmp_path / path.name).open("wb")))
    monkeypatch.setattr(command, "print", lambda *_: None, raising=False)
    command.first_block()
    assert (tmp_path / "first-block.txt").read_text(encoding="utf8") == TEXT


def test_text_and_layers_are_one_thing(layers):
    assert photograph.as_text(layers) == TEXT
    assert [[part.shape for part in layer] for layer in layers.values()] == [
        list(shapes) for shapes in photograph.SHAPES.values()]


def test_the_layers_compute_what_the_trained_network_computes(layers):
    recipe = recipes.RECIPES[command.CLASSIFIER]
    trained = command.built(recipe)
    records.load_weights(trained, command.WEIGHTS / "best-all.npz")
    cat = photograph.photograph(32)
    expected = keras.Model(trained.input, trained.layers[9].output)(cat[None])
    maps = cat
    for convolve, layer in zip(
            (convolution.conv2d, convolution.depthwise_conv2d,
             convolution.pointwise_conv2d), layers.values(), strict=True):
        weights, biases = layer
        maps = np.maximum(convolve(maps, weights) + biases, 0)
    assert maps.max() > 1
    np.testing.assert_allclose(maps, expected[0], atol=0.01)
