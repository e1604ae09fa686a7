"""The NumPy convolutions against TensorFlow's and against hand arithmetic.

TensorFlow computes here in float64, as NumPy does, so that 1e-10 leaves room
for nothing but the order of the additions.
"""

import numpy as np
import pytest
import tensorflow as tf
from mobilenet import convolution

# (height, width): even, odd, and unequal both ways; none below the largest
# kernel, so that "valid" is defined for all.
SIDES = [(8, 8), (7, 7), (6, 9), (11, 5)]
EVERY_SETTING = pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(kernel, stride, padding) for kernel in (1, 2, 3, 4, 5)
     for stride in (1, 2, 3) for padding in ("same", "valid", 1, 2)])


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def tensorflow_answer(operation, image, weights, stride, padding):
    """Return what TensorFlow gives; a whole number is tf.pad, then VALID."""
    if isinstance(padding, int):
        sides = [padding, padding]
        image, padding = tf.pad(image, [sides, sides, [0, 0]]), "valid"
    strides = [1, stride, stride, 1]
    return operation(image[None], weights, strides, padding.upper())[0]


@pytest.mark.parametrize(("height", "width"), SIDES)
@EVERY_SETTING
def test_conv2d_equals_tensorflow(height, width, kernel, stride, padding):
    image, weights = random(height, width, 3), random(kernel, kernel, 3, 4)
    expected = tensorflow_answer(
        tf.nn.conv2d, image, weights, stride, padding)
    actual = convolution.conv2d(image, weights, stride, padding)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=1e-10)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 8)])
@EVERY_SETTING
def test_conv2d_loops_equal_tensorflow(
        height, width, kernel, stride, padding):
    image, weights = random(height, width, 2), random(kernel, kernel, 2, 2)
    expected = tensorflow_answer(
        tf.nn.conv2d, image, weights, stride, padding)
    actual = convolution.conv2d_loops(image, weights, stride, padding)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=1e-10)


@pytest.mark.parametrize(("height", "width"), SIDES)
@EVERY_SETTING
def test_depthwise_conv2d_equals_tensorflow(
        height, width, kernel, stride, padding):
    image, weights = random(height, width, 5), random(kernel, kernel, 5)
    expected = tensorflow_answer(
        tf.nn.depthwise_conv2d, image, weights[..., None], stride, padding)
    actual = convolution.depthwise_conv2d(image, weights, stride, padding)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=1e-10)


@pytest.mark.parametrize(("height", "width"), [*SIDES, (1, 1), (1, 4)])
def test_pointwise_conv2d_equals_tensorflow(height, width):
    image, weights = random(height, width, 3), random(3, 4)
    expected = tf.nn.conv2d(image[None], weights[None, None], 1, "VALID")[0]
    actual = convolution.pointwise_conv2d(image, weights)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=1e-10)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("sides", [(1, 1), (1, 3), (2, 1)])
def test_same_padding_serves_images_smaller_than_the_kernel(kernel, sides):
    image, weights = random(*sides, 2), random(kernel, kernel, 2, 2)
    expected = tf.nn.conv2d(image[None], weights, 2, "SAME")[0]
    actual = convolution.conv2d(image, weights, 2, "same")
    np.testing.assert_allclose(actual, expected, atol=1e-10)


@pytest.mark.parametrize(
    "function", [convolution.conv2d, convolution.conv2d_loops])
def test_two_by_two_kernel_by_hand_is_not_flipped(function):
    image = np.arange(1.0, 10).reshape(3, 3, 1)
    weights = np.array([[1.0, 0], [0, -1]]).reshape(2, 2, 1, 1)
    # Top left minus bottom right: 1 - 5, 2 - 6, 4 - 8, 5 - 9. A flipped
    # kernel, as in the mathematics of signals, would give +4.
    result = function(image, weights, padding="valid")
    assert result[..., 0].tolist() == [[-4, -4], [-4, -4]]


@pytest.mark.parametrize(
    "function", [convolution.conv2d, convolution.conv2d_loops])
def test_channels_are_summed_and_filters_kept_apart_by_hand(function):
    image = np.array([[[2.0, 3.0]]])
    weights = np.array([[10.0, 1], [100, 0]]).reshape(1, 1, 2, 2)
    # Filter 0: 2 * 10 + 3 * 100. Filter 1: 2 * 1 + 3 * 0.
    assert function(image, weights)[0, 0].tolist() == [320, 2]
    assert convolution.pointwise_conv2d(
        image, weights[0, 0])[0, 0].tolist() == [320, 2]


def test_depthwise_keeps_channels_apart_by_hand():
    image = np.stack([np.ones((3, 3)), np.full((3, 3), 2.0)], axis=-1)
    weights = np.stack([np.ones((3, 3)), np.eye(3)], axis=-1)
    # In the middle all nine ones count, and three twos; in a corner four
    # ones and two twos.
    result = convolution.depthwise_conv2d(image, weights)
    assert result[1, 1].tolist() == [9, 6]
    assert result[0, 0].tolist() == [4, 4]


@pytest.mark.parametrize(
    "function", [convolution.conv2d, convolution.conv2d_loops])
def test_same_padding_puts_the_odd_zero_after_the_image(function):
    image = np.arange(16.0).reshape(4, 4, 1)
    weights = np.zeros((3, 3, 1, 1))
    weights[0, 0] = 1
    # Four pixels, stride 2, kernel 3 need one zero: put after, the first
    # window starts on pixel 0, so its first tap reads pixels 0, 2, 8, 10.
    result = function(image, weights, 2, "same")
    assert result[..., 0].tolist() == [[0, 2], [8, 10]]


def test_stride_2_halves_odd_sides_rounding_up():
    result = convolution.conv2d(random(7, 9, 1), random(3, 3, 1, 1), 2)
    assert result.shape == (4, 5, 1)


def test_whole_numbers_of_numpy_are_whole_numbers():
    image, weights = random(5, 5, 1), random(3, 3, 1, 1)
    one, two = np.array([1, 2])
    assert (convolution.conv2d(image, weights, two, one)
            == convolution.conv2d(image, weights, 2, 1)).all()


def test_inputs_are_left_as_they_were():
    image, weights = random(5, 5, 2), random(3, 3, 2, 2)
    copies = image.copy(), weights.copy()
    convolution.conv2d(image, weights)
    convolution.conv2d_loops(image, weights)
    convolution.depthwise_conv2d(image, weights[..., 0])
    assert (image == copies[0]).all() and (weights == copies[1]).all()


# Each function that slides a kernel, with how many axes its weights have.
SLIDING = pytest.mark.parametrize(
    ("function", "filters"), [
        (convolution.conv2d, (2,)), (convolution.conv2d_loops, (2,)),
        (convolution.depthwise_conv2d, ())])


@SLIDING
@pytest.mark.parametrize("shape", [
    (3, 2, 4), (2, 3, 4), (3, 3, 5), (3, 3, 1), (3, 3), (3, 3, 4, 2, 2)])
def test_weights_that_do_not_fit_are_named(function, filters, shape):
    shape = (*shape, *filters)
    with pytest.raises(ValueError, match=r"weights must .*4.* not \("):
        function(np.zeros((6, 6, 4)), np.zeros(shape))


@pytest.mark.parametrize("shape", [(5, 2), (4,), (1, 1, 4, 2)])
def test_pointwise_weights_that_do_not_fit_are_named(shape):
    with pytest.raises(ValueError, match=r"weights must be \(4, M\).* not"):
        convolution.pointwise_conv2d(np.zeros((6, 6, 4)), np.zeros(shape))


@SLIDING
@pytest.mark.parametrize("stride", [0, -1])
def test_stride_below_1_is_named(function, filters, stride):
    with pytest.raises(ValueError, match=f"stride must .* not {stride}"):
        function(np.zeros((6, 6, 4)), np.zeros((3, 3, 4, *filters)), stride)


@SLIDING
@pytest.mark.parametrize("padding", ["full", "SAME", -1, 1.5, None])
def test_unknown_padding_is_named(function, filters, padding):
    with pytest.raises(ValueError, match=f"padding must .* not {padding!r}"):
        function(
            np.zeros((6, 6, 4)), np.zeros((3, 3, 4, *filters)), 1, padding)


@SLIDING
def test_empty_kernel_is_named(function, filters):
    with pytest.raises(ValueError, match="kernel must be at least 1, not 0"):
        function(np.zeros((6, 6, 4)), np.zeros((0, 0, 4, *filters)))


@SLIDING
@pytest.mark.parametrize(
    ("side", "padding"), [(4, "valid"), (2, 1), (4, 0), (0, "same")])
def test_kernel_larger_than_the_padded_image_is_named(
        function, filters, side, padding):
    with pytest.raises(ValueError, match="kernel must be at most .* not 5"):
        function(
            np.zeros((side, 9, 4)), np.zeros((5, 5, 4, *filters)), 1, padding)
