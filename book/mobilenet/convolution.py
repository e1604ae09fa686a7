"""Convolution in NumPy, loops first and vectorised second, as in TensorFlow.

Images are (height, width, channels); kernels are laid out as TensorFlow's:
(k, k, C, M) standard, (k, k, C) depthwise, (C, M) pointwise. Like every deep
learning library, these slide the kernel without flipping it.
"""

import numpy as np


def padding_before_after(side, kernel, stride, padding):
    """Return (zeros before, zeros after) one side of length side pixels.

    padding is "valid" (none), "same" (as many as ceil(side / stride) outputs
    need, an odd one after: TensorFlow's rule) or a whole number for both.
    """
    if padding == "valid":
        return 0, 0
    if padding == "same":
        outputs = -(-side // stride)
        total = max((outputs - 1) * stride + kernel - side, 0)
        return total // 2, total - total // 2
    if isinstance(padding, (int, np.integer)) and padding >= 0:
        return padding, padding
    raise ValueError(
        'padding must be "same", "valid" or a whole number of at least 0,'
        f" not {padding!r}")


def padded(image, kernel, stride, padding):
    """Return image with zeros around its height and width.

    Raises ValueError where stride or kernel is below 1 or the kernel is
    larger than the padded image.
    """
    for argument, value in (("kernel", kernel), ("stride", stride)):
        if value < 1:
            raise ValueError(f"{argument} must be at least 1, not {value!r}")
    rows, columns = (
        padding_before_after(side, kernel, stride, padding)
        for side in image.shape[:2])
    image = np.pad(image, (rows, columns, (0, 0)))
    if min(image.shape[:2]) < kernel:
        raise ValueError(
            f"kernel must be at most the padded image's sides"
            f" {image.shape[:2]}, not {kernel}")
    return image


def check_kernel(image, weights, dimensions):
    """Raise ValueError unless weights are (k, k, C, ...) for this image."""
    if (weights.ndim != dimensions or weights.shape[0] != weights.shape[1]
            or weights.shape[2] != image.shape[-1]):
        raise ValueError(
            f"weights must be (k, k, {image.shape[-1]}"
            f"{', M' if dimensions == 4 else ''}) for an image of"
            f" {image.shape}, not {weights.shape}")


def conv2d_loops(image, weights, stride=1, padding="same"):
    """Return what conv2d returns, one multiply-add at a time."""
    check_kernel(image, weights, 4)
    k, _, channels, filters = weights.shape
    image = padded(image, k, stride, padding)
    height, width = ((side - k) // stride + 1 for side in image.shape[:2])
    output = np.zeros((height, width, filters))
    for y in range(height):
        for x in range(width):
            for m in range(filters):
                for i in range(k):
                    for j in range(k):
                        for c in range(channels):
                            output[y, x, m] += (
                                image[y * stride + i, x * stride + j, c]
                                * weights[i, j, c, m])
    return output


def windows(image, kernel, stride, padding):
    """Return every window as (out height, out width, C, kernel, kernel)."""
    image = padded(image, kernel, stride, padding)
    view = np.lib.stride_tricks.sliding_window_view(
        image, (kernel, kernel), axis=(0, 1))
    return view[::stride, ::stride]


def conv2d(image, weights, stride=1, padding="same"):
    """Map (H, W, C) by weights (k, k, C, M) to (out H, out W, M).

    padding is "same", "valid" or a number of zeros on each side. Raises
    ValueError for shapes that do not fit. Equals tf.nn.conv2d.
    """
    check_kernel(image, weights, 4)
    view = windows(image, weights.shape[0], stride, padding)
    return np.einsum("yxcij,ijcm->yxm", view, weights, optimize=True)


def depthwise_conv2d(image, weights, stride=1, padding="same"):
    """Map (H, W, C) by weights (k, k, C) to (out H, out W, C).

    Each channel meets its own k x k filter and no other channel. Padding and
    errors as in conv2d. Equals tf.nn.depthwise_conv2d with one filter a
    channel.
    """
    check_kernel(image, weights, 3)
    view = windows(image, weights.shape[0], stride, padding)
    return np.einsum("yxcij,ijc->yxc", view, weights, optimize=True)


def pointwise_conv2d(image, weights):
    """Map (H, W, C) by weights (C, M) to (H, W, M): a matrix product.

    Each position is mixed across its channels and sees no neighbour. Raises
    ValueError for shapes that do not fit.
    """
    if weights.ndim != 2 or weights.shape[0] != image.shape[-1]:
        raise ValueError(
            f"weights must be ({image.shape[-1]}, M) for an image of"
            f" {image.shape}, not {weights.shape}")
    return image @ weights
