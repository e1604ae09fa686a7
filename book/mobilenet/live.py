"""The file of a network that the page "On your device" loads.

    4 bytes     MNv1
    4 bytes     the length of what follows, a multiple of 4, little-endian
    a header    JSON in UTF-8, filled up with spaces: name, about, classes
                (their names), side (of a picture, in pixels) and layers
    for each layer
      its kernel    int8, channels last, then zeros up to a multiple of 4
      its scales    float32, one per output channel
      its biases    float32, one per output channel

A layer's header has name, kind (convolution, depthwise, pointwise, or dense,
which begins with the mean over all positions), stride, shape (of the kernel:
four, three, two and two sides) and, where it ends with a ReLU, low and high.
A weight is its int8 number times the scale of its output channel. Pictures
come in as numbers from -1 to 1, padding is TensorFlow's "same".
"""

import json
from typing import NamedTuple

import numpy as np

MAGIC = b"MNv1"
# How many sides the kernel of a layer has.
SIDES = {"convolution": 4, "depthwise": 3, "pointwise": 2, "dense": 2}


class Layer(NamedTuple):
    """A layer as a file holds it: kernel int8, scales and biases float32.

    low and high clip the output: 0 and inf after a ReLU, -inf and inf
    without.
    """

    name: str
    kind: str
    stride: int
    low: float
    high: float
    kernel: np.ndarray
    scales: np.ndarray
    bias: np.ndarray


def rounded(layer, scales):
    """Return a Folded layer of quantization.py as a Layer, its kernel int8.

    scales are those of its output channels. The last layer is called logits.
    """
    kernel = np.clip(np.round(layer.kernel / scales), -127, 127)
    if kernel.shape[:2] == (1, 1):
        kernel = kernel[0, 0]
    kind = {4: "convolution", 3: "depthwise"}.get(
        kernel.ndim, "dense" if layer.name == "logits" else "pointwise")
    return Layer(layer.name, kind, layer.stride, layer.low, layer.high,
                 kernel.astype(np.int8), scales, layer.bias)


def float_kernel(layer):
    """Return a Layer's kernel as float32 with three or four sides."""
    kernel = layer.kernel * layer.scales
    return kernel[None, None] if kernel.ndim == 2 else kernel


def header_of(layer):
    """Return what a file's header says of a layer.

    Raises ValueError for a stride that the page does not compute.
    """
    if SIDES[layer.kind] == 2 and layer.stride != 1:
        raise ValueError(
            f"layer {layer.name!r}, {layer.kind}, has stride {layer.stride}:"
            " the page computes strides of the other kinds alone")
    found = {"name": layer.name, "kind": layer.kind,
             "stride": int(layer.stride), "shape": list(layer.kernel.shape)}
    for name in ("low", "high"):
        if np.isfinite(value := getattr(layer, name)):
            found[name] = float(value)
    return found


def packed(layers, classes, side, name, about):
    """Return the bytes of a file of Layers, in order.

    classes are names, side the pixels of a picture's side, name and about
    what the page says of the network. Raises ValueError where the classes
    are not as many as the last layer's channels.
    """
    if len(classes) != len(layers[-1].bias):
        raise ValueError(
            f"{len(classes)} names for {len(layers[-1].bias)} classes")
    header = json.dumps({
        "name": name, "about": about, "classes": list(classes), "side": side,
        "layers": [header_of(layer) for layer in layers]},
        ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 4)
    parts = [MAGIC, len(header).to_bytes(4, "little"), header]
    for layer in layers:
        weights = layer.kernel.astype(np.int8).tobytes()
        parts += [weights, bytes(-len(weights) % 4)]
        parts += [values.astype("<f4").tobytes()
                  for values in (layer.scales, layer.bias)]
    return b"".join(parts)


def unpacked(content):
    """Return (header, Layers) of a file's bytes.

    Raises ValueError where they are no such file.
    """
    if content[:4] != MAGIC:
        raise ValueError(f"the file begins with {content[:4]!r}, not {MAGIC}")
    at = 8 + int.from_bytes(content[4:8], "little")
    header, layers = json.loads(content[8:at]), []

    def taken(kind, count):
        nonlocal at
        values = np.frombuffer(content, kind, count, at)
        at += -(-values.nbytes // 4) * 4
        return values

    try:
        for row in header["layers"]:
            kernel = taken(np.int8, int(np.prod(row["shape"])))
            scales, bias = (taken("<f4", row["shape"][-1]) for _ in range(2))
            layers.append(Layer(
                row["name"], row["kind"], row["stride"],
                row.get("low", -np.inf), row.get("high", np.inf),
                kernel.reshape(row["shape"]), scales, bias))
        if len(header["classes"]) != len(layers[-1].bias):
            raise ValueError("its classes are not as many as its answers")
        if header["side"] < 1:
            raise ValueError(f"its side is {header['side']!r} pixels")
    except (LookupError, TypeError) as error:
        raise ValueError(
            f"its header lacks something ({error!r})") from error
    if at != len(content):
        raise ValueError(f"the file has {len(content)} bytes, not {at}")
    return header, layers
