"""Work, traffic and time of convolutions, and the least time of a roofline."""

import math
import time
from typing import NamedTuple

import numpy as np


class Layer(NamedTuple):
    """A convolution with "same" padding on a square map; side: its input."""

    kind: str  # "standard" and "depthwise" are 3 x 3, "pointwise" is 1 x 1
    side: int
    channels: int
    filters: int
    stride: int = 1


def kernel_shape(layer):
    """Return the shape of a layer's kernel, as TensorFlow wants it.

    Raises ValueError for a layer that MobileNet and its twin do not have.
    """
    if layer.kind == "standard":
        return 3, 3, layer.channels, layer.filters
    if layer.kind == "depthwise" and layer.filters == layer.channels:
        return 3, 3, layer.channels, 1
    if layer.kind == "pointwise" and layer.stride == 1:
        return 1, 1, layer.channels, layer.filters
    raise ValueError(
        "a layer must be standard, depthwise with as many filters as"
        f" channels, or pointwise with stride 1, not {layer}")


def work(layer, batch=1, size=4):
    """Return (multiply-adds, bytes moved) of a layer on a batch of images.

    Each number of the input, of the kernel and of the output, of size bytes,
    moves once: no traffic could be less. Biases are not counted.
    """
    weights = math.prod(kernel_shape(layer))
    positions = batch * math.ceil(layer.side / layer.stride) ** 2
    numbers = (
        batch * layer.side**2 * layer.channels + weights
        + positions * layer.filters)
    return positions * weights, size * numbers


def least_ms(macs, moved, peak, bandwidth):
    """Return the least milliseconds of a program that does all of that.

    It computes every multiply-add and moves every byte through memory: fast
    algorithms, skipped zeros and caches can do less. peak in multiply-adds
    and bandwidth in bytes, both a second. Arithmetic and transport overlap,
    so the slower one counts: Williams, Waterman and Patterson 2009,
    doi:10.1145/1498765.1498785.
    """
    return 1e3 * max(macs / peak, moved / bandwidth)


def timed(call, seconds=0.3, least=5):
    """Return the milliseconds of each of several calls, as an array.

    Two calls before them are not timed. Calls go on for the given seconds,
    and until there are least of them.
    """
    call(), call()
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        taken.append(1e3 * (time.perf_counter() - begun))
    return np.array(taken)
