"""The work and traffic of layers, by hand and by TensorFlow, and the timer."""

import time

import pytest
import tensorflow as tf
from mobilenet.costs import conv_cost, separable_cost
from mobilenet.speed import Layer, kernel_shape, least_ms, timed, work


def test_work_of_three_layers_counted_on_paper():
    # A 10 x 10 map: 1,600 numbers in 16 channels, 3,200 in 32.
    assert work(Layer("depthwise", 10, 16, 16)) == (
        100 * 144, 4 * (1600 + 144 + 1600))
    assert work(Layer("pointwise", 10, 16, 32)) == (
        100 * 512, 4 * (1600 + 512 + 3200))
    assert work(Layer("standard", 10, 16, 32)) == (
        100 * 4608, 4 * (1600 + 4608 + 3200))


def test_a_batch_moves_more_maps_and_the_same_weights():
    macs, moved = work(Layer("standard", 10, 16, 32), batch=3)
    assert macs == 3 * 100 * 4608
    assert moved == 4 * (3 * 1600 + 4608 + 3 * 3200)


def test_bytes_are_proportional_to_the_size_of_a_number():
    layer = Layer("depthwise", 7, 8, 8, 2)
    assert work(layer, size=1)[1] * 4 == work(layer)[1]
    assert work(layer, size=1)[0] == work(layer)[0]


@pytest.mark.parametrize("side,stride", [(8, 1), (8, 2), (7, 2)])
def test_multiply_adds_are_those_of_chapter_4(side, stride):
    standard, _ = work(Layer("standard", side, 6, 10, stride))
    assert standard == conv_cost(side, side, 6, 10, stride=stride).macs
    depthwise, _ = work(Layer("depthwise", side, 6, 6, stride))
    small = -(-side // stride)
    pointwise, _ = work(Layer("pointwise", small, 6, 10))
    assert depthwise + pointwise == separable_cost(
        side, side, 6, 10, stride=stride).macs


@pytest.mark.parametrize("layer", [
    Layer("standard", 7, 3, 5, 2), Layer("depthwise", 6, 4, 4, 2),
    Layer("pointwise", 5, 3, 2)])
def test_the_bytes_are_those_of_tensorflow_s_arrays(layer):
    x = tf.ones((2, layer.side, layer.side, layer.channels))
    kernel = tf.ones(kernel_shape(layer))
    stride = layer.stride
    if layer.kind == "depthwise":
        y = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
    else:
        y = tf.nn.conv2d(x, kernel, stride, "SAME")
    assert y.shape[-1] == layer.filters
    arrays = sum(array.numpy().nbytes for array in (x, kernel, y))
    assert work(layer, batch=2)[1] == arrays


@pytest.mark.parametrize("layer", [
    Layer("grouped", 4, 2, 2), Layer("depthwise", 4, 2, 4),
    Layer("pointwise", 4, 2, 2, 2)])
def test_a_layer_that_mobilenet_lacks_is_refused_by_name(layer):
    with pytest.raises(ValueError, match=f"not Layer.*{layer.kind}"):
        work(layer)


def test_the_least_time_is_that_of_the_slower_of_the_two():
    assert least_ms(8e9, 1e9, peak=4e9, bandwidth=1e9) == 2000
    assert least_ms(8e9, 3e9, peak=4e9, bandwidth=1e9) == 3000


def test_two_calls_warm_up_and_are_not_timed():
    naps = iter([0.2, 0.2] + [0.0] * 10)
    taken = timed(lambda: time.sleep(next(naps)), seconds=0, least=10)
    assert len(taken) == 10
    assert next(naps, "none is left") == "none is left"
    assert taken.max() < 200


def test_calls_are_timed_in_milliseconds_until_the_seconds_are_over():
    begun = time.perf_counter()
    taken = timed(lambda: time.sleep(0.002), seconds=0.1, least=1)
    assert time.perf_counter() - begun >= 0.1
    assert len(taken) > 1
    assert (taken >= 2).all()
