"""Dead channels: where they come from, and a network without them."""

import os
import pathlib

import keras
import numpy as np
import pytest
from mobilenet import (
    cifar10,
    costs,
    network,
    pruning,
    quantization,
    recipes,
    records,
)

REAL = os.environ.get("CIFAR10_DIR")
WEIGHTS = pathlib.Path(__file__).parent.parent / "book" / "weights"
CHAIN = ("better-stem-1", "best-more", "best-all")


def small_layers(stride=1):
    """Return random folded layers: a stem, a block of 6 channels, logits."""
    rng = np.random.default_rng(7)

    def layer(name, shape, stride=1, low=0):
        kernel = rng.normal(size=shape).astype("float32")
        bias = rng.normal(size=shape[-1]).astype("float32")
        return quantization.Folded(name, kernel, bias, stride, low, np.inf)

    return [layer("stem", (3, 3, 3, 6)),
            layer("block1_depthwise", (3, 3, 6), stride),
            layer("block1_pointwise", (1, 1, 6, 8)),
            layer("block2_depthwise", (3, 3, 8), stride),
            layer("block2_pointwise", (1, 1, 8, 5)),
            layer("logits", (1, 1, 5, 4), low=-np.inf)]


def with_dead(layers):
    """Return layers some of whose channels are narrow, and their masks."""
    dead = {"block1_depthwise": np.array([0, 1, 0, 0, 1, 1], bool),
            "block2_depthwise": np.array([1, 0, 0, 0, 0, 0, 0, 1], bool)}
    narrow = list(layers)
    for i, layer in enumerate(layers):
        if layer.name in dead:
            for j in (i - 1, i):
                narrow[j] = narrow[j]._replace(kernel=np.where(
                    dead[layer.name], 1e-3, 1.0) * narrow[j].kernel)
    return narrow, dead


def constants(layers, dead, i):
    """Return what the dead channels of layer i add to the layer after it."""
    after, gone = layers[i + 1], dead[layers[i].name]
    added = np.maximum(layers[i].bias, 0)[gone] @ after.kernel[0, 0][gone]
    later = layers[i + 2].name if i + 2 < len(layers) else ""
    return added[~dead[later]] if later in dead else added


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 10])
def test_pruned_network_computes_what_the_silenced_one_does(stride, side):
    """At the borders too: its logits are means over all positions."""
    layers, dead = with_dead(small_layers(stride))
    images = np.random.default_rng(8).normal(size=(3, side, side, 3))
    less = pruning.pruned(layers, dead)
    assert [len(layer.bias) for layer in less] == [3, 3, 6, 6, 5, 4]
    wanted = quantization.run(pruning.silenced(layers, dead), images)
    assert np.abs(quantization.run(less, images) - wanted).max() < 1e-5
    # The constants that dead channels leave behind do count.
    for i, layer in enumerate(layers):
        if layer.name in dead:
            assert layer.bias[dead[layer.name]].max() > 0
            bare = [*less]
            bare[i + 1] = less[i + 1]._replace(
                bias=less[i + 1].bias - constants(layers, dead, i))
            assert np.abs(quantization.run(bare, images) - wanted).max() > 0.01


def test_channel_is_dead_where_both_of_its_kernels_are_narrow():
    layers, dead = with_dead(small_layers())
    found = pruning.dead_channels(layers)
    assert found.keys() == dead.keys()
    assert all(np.array_equal(found[name], dead[name]) for name in dead)
    one = layers[:1] + small_layers()[1:2] + layers[2:]  # a wide depthwise
    assert not pruning.dead_channels(one)["block1_depthwise"].any()
    assert not any(mask.any() for mask in pruning.dead_channels(
        small_layers()).values())


def test_constant_before_a_padded_filter_is_none_behind_it():
    """Why a live depthwise filter must stay, whatever it is given."""
    constant = np.full((1, 4, 4, 1), 2.0)
    found = quantization.convolve(constant, np.ones((3, 3, 1)))[0, ..., 0]
    assert found[1, 1] == 18 and found[0, 1] == 12 and found[0, 0] == 8


def test_weight_without_a_gradient_decays_as_predicted():
    """By Keras's own optimiser and schedule, ten steps an epoch."""
    recipe = {**recipes.RECIPES["better-stem-1"], "epochs": 6, "warmup": 2,
              "validation": 100, "optimizer": {
                  "learning_rate": 0.2, "weight_decay": 0.3}}
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, 10 * 4, warmup_target=0.2, warmup_steps=10 * 2)
    optimizer = keras.optimizers.SGD(
        rate, momentum=0.9, nesterov=True, weight_decay=0.3)
    weight = keras.Variable([1.0])
    optimizer.build([weight])
    for _ in range(60):
        optimizer.apply([keras.ops.zeros(1)], [weight])
    predicted = pruning.decay_left(recipe, images=100 + 2560)
    assert float(weight[0]) == pytest.approx(predicted, rel=1e-4)
    # On paper: half the peak, times the decay, times the steps.
    full = pruning.decay_left(recipes.RECIPES["better-stem-1"])
    assert full == pytest.approx(np.exp(-0.1 * 0.005 * 176 * 30), rel=2e-3)


@pytest.fixture(scope="module", params=["better-stem-1", "best-all"])
def trained(request):
    """Return a kept network's name, and the network."""
    model = network.mobilenet_v1((32, 32, 3), 10, stem_stride=1)
    records.load_weights(model, WEIGHTS / f"{request.param}.npz")
    return request.param, model


def test_smallest_gammas_are_those_that_only_decayed(trained):
    """Predicted from the recipes alone, to three digits."""
    name, model = trained
    predicted = np.prod([
        pruning.decay_left(recipes.RECIPES[part])
        for part in CHAIN[:CHAIN.index(name) + 1]])
    for layer in ("stem", "block12_pointwise"):
        gamma = np.abs(model.get_layer(f"{layer}_bn").gamma)
        assert gamma.min() == pytest.approx(predicted, rel=5e-3)
        # Not by chance: several channels of each layer are at that value.
        assert np.mean(np.abs(gamma / predicted - 1) < 0.1) > 0.05
    expected = {"better-stem-1": 0.0713, "best-all": 0.00387}[name]
    assert predicted == pytest.approx(expected, rel=5e-3)


def test_long_training_leaves_1695_dead_channels(trained):
    name, model = trained
    layers = quantization.folded_layers(model)
    dead = pruning.dead_channels(layers)
    count = sum(mask.sum() for mask in dead.values())
    if name != "best-all":
        assert count < 100
        return
    assert count == 1695
    less = pruning.pruned(layers, dead)
    assert sum(layer.kernel.size for layer in layers) == 3_195_328
    assert sum(layer.kernel.size for layer in less) == 1_239_574
    table = costs.count(pruning.folded_model(less))
    assert costs.count(model).macs.sum() == 46_354_432
    assert table.macs.sum() == 30_665_692


@pytest.fixture(scope="module")
def long_trained():
    """Return best-all in Keras, and its Folded layers."""
    model = network.mobilenet_v1((32, 32, 3), 10, stem_stride=1)
    records.load_weights(model, WEIGHTS / "best-all.npz")
    return model, quantization.folded_layers(model)


@pytest.fixture(scope="module")
def test_images():
    """Return the 10,000 test images; no test here needs their labels."""
    return quantization.scaled(cifar10.load_cifar10(REAL)[1][0])


@pytest.fixture(scope="module")
def answers(long_trained, test_images):
    return long_trained[0].predict(
        test_images, 250, verbose=0).argmax(axis=1)


@pytest.mark.skipif(not REAL, reason="CIFAR10_DIR is not set")
def test_pruned_network_gives_the_same_answers_to_10000_images(
        long_trained, test_images, answers):
    """A third of the multiply-adds less, and not one other answer."""
    layers = long_trained[1]
    less = pruning.folded_model(
        pruning.pruned(layers, pruning.dead_channels(layers)))
    found = less.predict(test_images, 250, verbose=0).argmax(axis=1)
    assert len(answers) == 10_000 and len(np.unique(answers)) == 10
    assert np.sum(found != answers) == 0


@pytest.mark.skipif(not REAL, reason="CIFAR10_DIR is not set")
def test_one_useless_channel_collapses_a_layers_grid_and_not_its_own(
        long_trained, test_images, answers):
    """64 times as wide as the widest; in 500 answers, at 8 bits."""
    layers = long_trained[1]
    useless = pruning.with_useless(layers, 64)
    model = pruning.folded_model(useless)

    def same(given):
        pruning.set_folded(model, given)
        found = model.predict(test_images[:500], 250, verbose=0)
        return np.mean(found.argmax(axis=1) == answers[:500])

    assert same(useless) > 0.98
    assert same(quantization.rounded_kernels(layers, False)) > 0.98
    assert same(quantization.rounded_kernels(useless, False)) < 0.3
    assert same(quantization.rounded_kernels(useless, True)) > 0.98


def test_folded_model_computes_what_numpy_does():
    """ReLU6 and strides too."""
    layers = [layer._replace(high=6.0) if layer.low == 0 else layer
              for layer in small_layers(stride=2)]
    images = np.random.default_rng(9).normal(size=(2, 9, 7, 3))
    model = pruning.folded_model(layers, (9, 7, 3))
    found = model.predict(images.astype("float32"), verbose=0)
    wanted = quantization.run(layers, images)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
