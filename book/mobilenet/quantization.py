"""Batch norm folded and int8 in NumPy, then LiteRT: Jacob et al. 2017.

Benoit Jacob and others, "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", arXiv:1712.05877.
"""

import contextlib
import io
import warnings
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps


class Folded(NamedTuple):
    """A convolution that has taken up its batch norm, and its ReLU.

    kernel is (k, k, C, M), depthwise (k, k, C): the last axis is always that
    of the output channels. bias is (channels,). The output is clipped to
    low and high: 0 and inf after a ReLU, -inf and inf without.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray
    stride: int
    low: float
    high: float


def fold(kernel, bias, gamma, beta, mean, variance, epsilon):
    """Return (kernel, bias) that do what a convolution and batch norm do.

    The last axis of kernel is that of the output channels; all else but
    epsilon is (channels,).
    """
    factor = gamma / np.sqrt(variance + epsilon)
    return kernel * factor, (bias - mean) * factor + beta


def unfolded(layer):
    """Return a Keras convolution or dense layer as Folded, nothing folded."""
    if mode := getattr(layer, "quantization_mode", None):
        raise ValueError(
            f"layer {layer.name!r} is {mode} already: fold the network that"
            " it was made of")
    kernel = np.asarray(layer.kernel)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel = kernel[..., 0]
    if isinstance(layer, keras.layers.Dense):
        kernel = kernel[None, None]
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(
        kernel.shape[-1], "float32")
    stride = getattr(layer, "strides", (1, 1))[0]
    return Folded(layer.name, kernel, bias, stride, -np.inf, np.inf)


def folded_layers(model):
    """Return the Folded layers of a chain of convolutions, in order.

    Batch norm and ReLU go into the convolution before them. Raises ValueError
    naming a layer that is no part of such a chain.
    """
    found = []
    for layer in model.layers:
        if isinstance(layer, (
                keras.layers.Conv2D, keras.layers.DepthwiseConv2D,
                keras.layers.Dense)):
            found.append(unfolded(layer))
        elif isinstance(layer, keras.layers.BatchNormalization):
            kernel, bias = fold(found[-1].kernel, found[-1].bias, *map(
                np.asarray, (layer.gamma, layer.beta, layer.moving_mean,
                             layer.moving_variance)), layer.epsilon)
            found[-1] = found[-1]._replace(kernel=kernel, bias=bias)
        elif isinstance(layer, keras.layers.ReLU):
            ceiling = layer.max_value
            found[-1] = found[-1]._replace(
                low=0, high=np.inf if ceiling is None else float(ceiling))
        elif not isinstance(layer, (
                keras.layers.InputLayer,
                keras.layers.GlobalAveragePooling2D)):
            raise ValueError(
                f"layer {layer.name!r}, a {type(layer).__name__}, cannot be"
                " folded: only a chain of convolutions can")
    return found


def convolve(x, kernel, stride=1):
    """Return the "same" convolution of x (n, height, width, C).

    kernel is (k, k, C, M), or (k, k, C) for a depthwise one. Integers are
    summed as integers.
    """
    k = len(kernel)
    sides = [-(-side // stride) for side in x.shape[1:3]]
    around = [max((after - 1) * stride + k - before, 0)
              for after, before in zip(sides, x.shape[1:3])]
    x = np.pad(x, [(0, 0), *((a // 2, a - a // 2) for a in around), (0, 0)])
    height, width = ((side - 1) * stride + 1 for side in sides)
    total = 0
    for i in range(k):
        for j in range(k):
            part = x[:, i:i + height:stride, j:j + width:stride]
            weights = kernel[i, j]
            total += (part * weights if kernel.ndim == 3
                      else np.tensordot(part, weights, 1))
    return total


def run(layers, images, ranges=None):
    """Return the logits (n, classes) of Folded layers for float images.

    Where ranges is a dict it gets (smallest, largest) of every map, under
    the names of the layers, "images" and "average".
    """
    ranges = {} if ranges is None else ranges

    def seen(name, x):
        low, high = ranges.get(name, (np.inf, -np.inf))
        ranges[name] = min(low, float(x.min())), max(high, float(x.max()))
        return x

    x = seen("images", images)
    for layer in layers:
        if layer.name == "logits":
            x = seen("average", x.mean(axis=(1, 2), keepdims=True))
        x = convolve(x, layer.kernel, layer.stride) + layer.bias
        x = seen(layer.name, np.clip(x, layer.low, layer.high))
    return x[:, 0, 0]


def affine(low, high):
    """Return (scale, zero point) of int8 numbers that span low to high.

    0 is always among the numbers, so that padding is exact. Raises
    ValueError where low and high leave nothing to span.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if not 0 < high - low < np.inf:
        raise ValueError(f"no range from {low} to {high} can be divided")
    scale = (high - low) / 255
    exact = -128 - low / scale
    return scale, int(np.copysign(np.floor(abs(exact) + 0.5), exact))


def quantize(values, scale, zero_point=0, low=-128):
    """Return values as the nearest int8 numbers, clipped to low and 127."""
    numbers = np.round(values / scale) + zero_point
    return np.clip(numbers, low, 127).astype(np.int8)


def dequantize(numbers, scale, zero_point=0):
    """Return the float32 values that int8 numbers stand for."""
    return ((numbers.astype(np.int32) - zero_point) * scale).astype("float32")


def kernel_scales(kernel, per_channel=True, bits=8):
    """Return the symmetric scale of each output channel, (channels,).

    Without per_channel all are that of the widest channel. The integers go
    from -(2 ** (bits - 1) - 1) to its negative: -127 to 127 for 8 bits. A
    channel of nothing but zeros gets the scale 1.
    """
    axes = tuple(range(kernel.ndim - 1))
    widest = np.abs(kernel).max(axis=axes)
    if not per_channel:
        widest = np.full_like(widest, widest.max())
    return np.where(widest > 0, widest / (2 ** (bits - 1) - 1), 1.0)


def rounded_kernels(layers, per_channel=True, bits=8):
    """Return Folded layers, kernels rounded to integers times a scale."""
    result = []
    for layer in layers:
        scales = kernel_scales(layer.kernel, per_channel, bits)
        kernel = np.round(layer.kernel / scales) * scales
        result.append(layer._replace(kernel=kernel.astype("float32")))
    return result


def fixed_point(real):
    """Return integers (m, shift): real is nearly m / 2 ** shift.

    real (channels,) is positive, m from 2 ** 30 to 2 ** 31: 31 bits of every
    multiplier are kept, however small it is, as long as shift is below 63.
    """
    fraction, exponent = np.frexp(real)
    m = np.round(fraction * 2.0**31).astype(np.int64)
    shift = 31 - exponent.astype(np.int64)
    spare = np.maximum(shift - 62, 0)
    return m >> spare, shift - spare


def rescale(sums, m, shift):
    """Return sums * m / 2 ** shift, rounded, with integers alone."""
    half = np.int64(1) << (shift - 1)
    return (sums.astype(np.int64) * m + half) >> shift


class Integer(NamedTuple):
    """A Folded layer in int8: all that its arithmetic needs is integers.

    zero_in and zero are the zero points of its input and output, m and
    shift (channels,) rescale its sums, low and high clip its output.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray
    stride: int
    zero_in: int
    zero: int
    m: np.ndarray
    shift: np.ndarray
    low: int
    high: int


def integer_layers(layers, ranges, per_channel=True):
    """Return the Integer form of Folded layers, for maps in ranges."""
    result, before = [], "images"
    for layer in layers:
        if layer.name == "logits":
            before = "average"
        scale_in, zero_in = affine(*ranges[before])
        scale, zero = affine(*ranges[layer.name])
        scales = kernel_scales(layer.kernel, per_channel)
        bias = np.round(layer.bias / (scale_in * scales)).astype(np.int32)
        low, high = np.clip(
            np.round(np.array([layer.low, layer.high]) / scale) + zero,
            -128, 127).astype(int)
        result.append(Integer(
            layer.name, quantize(layer.kernel, scales, low=-127), bias,
            layer.stride, zero_in, zero,
            *fixed_point(scale_in * scales / scale), low, high))
        before = layer.name
    return result


def run_integers(layers, ranges, images):
    """Return int8 logits (n, classes) of uint8 images, by integers alone.

    layers are integer_layers(..., ranges): the average's multiplier is a
    constant made of ranges too.
    """
    check_bytes(images)
    x, before = images.astype(np.int32) - 128, "images"
    for layer in layers:
        if layer.name == "logits":
            (scale_in, zero), (scale, _) = (
                affine(*ranges[name]) for name in (before, "average"))
            places = x.shape[1] * x.shape[2]
            x = (x - zero).sum(axis=(1, 2), keepdims=True)
            x = rescale(x, *fixed_point(np.array(scale_in / places / scale)))
            x = np.clip(x + layer.zero_in, -128, 127)
        sums = convolve(
            x.astype(np.int32) - layer.zero_in,
            layer.kernel.astype(np.int32), layer.stride)
        x = rescale(sums + layer.bias, layer.m, layer.shift) + layer.zero
        x = np.clip(x, layer.low, layer.high)
        before = layer.name
    return x[:, 0, 0].astype(np.int8)


def check_bytes(images):
    """Raise ValueError naming the type of images that are not uint8."""
    if images.dtype != np.uint8:
        raise ValueError(
            f"images must be uint8, 0 to 255, not {images.dtype}: they are"
            " scaled here")


def scaled(images):
    """Return uint8 images as float32 from -1 to 1, as in training."""
    check_bytes(images)
    return images.astype("float32") / 127.5 - 1


def converted(model, form, images=None, per_channel=True):
    """Return a Keras model of images from -1 to 1 as a LiteRT file's bytes.

    form is "float32", "float16" (weights), "dynamic" (int8 weights, ranges
    of maps taken anew for each image) or "int8", which takes uint8 images,
    gives int8 logits, and whose ranges are those of the given training
    images, uint8. Raises ValueError for another form, or int8 without images.
    """
    if form not in ("float32", "float16", "dynamic", "int8"):
        raise ValueError(f"no form is called {form!r}")
    if form == "int8" and (images is None or not len(images)):
        raise ValueError("int8 needs training images to take ranges from")
    if images is not None:
        check_bytes(images)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if form != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if form == "int8":
        converter.representative_dataset = lambda: (
            [scaled(image[None])] for image in images)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
        # There is no public name for it.
        converter._experimental_disable_per_channel = not per_channel
    # It prints its shapes, and asks for statistics that it then measures.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        return converter.convert()


def interpreter(content, threads=1, batch=1):
    """Return an interpreter of a LiteRT file's bytes, ready for batch images.

    It is LiteRT's, or where that is not installed TensorFlow's own copy.
    Raises ValueError where content is no such file.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter  # noqa: N806
    with warnings.catch_warnings():
        # TensorFlow's copy says each time that it is to go.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interp")
        made = Interpreter(model_content=content, num_threads=threads)
    details = made.get_input_details()[0]
    made.resize_tensor_input(
        details["index"], [batch, *details["shape"][1:]])
    made.allocate_tensors()
    return made


def litert_logits(content, images, threads=1, batch=1):
    """Return the float32 logits (n, classes) of uint8 images.

    n must be a multiple of batch. Raises ValueError for other images, and
    for a file that takes bytes but not as (byte - 127) / 127.5.
    """
    check_bytes(images)
    made = interpreter(content, threads, batch)
    (given,), (wanted,) = made.get_input_details(), made.get_output_details()
    if given["dtype"] == np.uint8:
        if not np.allclose(given["quantization"], (2 / 255, 127), rtol=1e-3):
            raise ValueError(
                "this int8 network takes no plain bytes: make it with images"
                " in which 0 and 255 occur")
    else:
        images = scaled(images)
    logits = []
    for first in range(0, len(images), batch):
        made.set_tensor(given["index"], images[first:first + batch])
        made.invoke()
        logits.append(made.get_tensor(wanted["index"]))
    logits = np.concatenate(logits)
    if logits.dtype == np.int8:
        logits = dequantize(logits, *wanted["quantization"])
    return logits


# What Pillow does to undo each orientation that EXIF data gives.
TURNS = dict(zip(range(2, 9), (
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90)))

# Bytes that reading takes for each pixel, by format or mode; 6 else.
PIXEL_BYTES = {"JPEG2000": 20, "AVIF": 20, "WEBP": 20, "F": 16, "I": 16}


def prepared(opened, side):
    """Read a picture that Pillow has opened, a JPEG at 1/8 its size or more.

    Raises ValueError where that would take more than 450 MB.
    """
    clear = opened.info.get("transparency")
    if isinstance(clear, tuple) and "16" in str(opened.tile[0][-1]):
        # The colours are read as bytes, and this one is not.
        opened.info["transparency"] = tuple(value >> 8 for value in clear)
    pixels = opened.width * opened.height
    opened.draft(None, (16 * side, 16 * side))
    if not opened.info.get("progressive"):  # one that is, is read whole
        pixels = opened.width * opened.height
    most = 450e6 / max(
        PIXEL_BYTES.get(kind, 6) for kind in (opened.format, opened.mode))
    if pixels > most:
        raise ValueError(
            f"it has {pixels / 1e6:.0f} megapixels, and at most"
            f" {most / 1e6:.0f} of its kind fit: make it smaller first")
    opened.load()


def black_and_white(opened):
    """Return the numbers that are black and white in a grey picture.

    A PNG's go to 65,535. Others' go to 1, 255 or 65,535 where the largest is
    over half of that, and else to the largest; black is 0 or the least.
    """
    if opened.mode != "F" and opened.format in ("PNG", "PPM"):
        return 0, 65535
    numbers = np.asarray(opened)
    low, high = float(numbers.min()), float(numbers.max())
    signed = getattr(opened, "tag_v2", {339: (2,)}).get(339, (1,)) != (1,)
    if not np.isfinite(high - low) or (low < 0 and not signed):
        raise ValueError(
            f"its numbers go from {low:g} to {high:g}: save it as bytes")
    if low >= 0:
        for white in (1, 255, 65535):
            if white / 2 < high <= white:
                return 0, white
    return min(low, 0), high


def opaque(part, black=0, white=255):
    """Return a part of a picture as RGB, white where it is transparent."""
    if part.mode[0] in "IF":
        numbers = np.asarray(part, float)
        grey = np.round((numbers - black) * (255 / ((white - black) or 1)))
        alpha = 255 * (numbers != part.info.get("transparency"))
        part = Image.merge("LA", [
            Image.fromarray(np.uint8(values)) for values in (grey, alpha)])
    part = part.convert("RGBA")
    ground = Image.new("RGBA", part.size, "white")
    return Image.alpha_composite(ground, part).convert("RGB")


def shrunk(opened, side):
    """Return a picture, read, as RGB of at least 8 * side pixels a side.

    It is converted in parts, which takes little memory, and turned as its
    EXIF data says where that can be read.
    """
    tones = black_and_white(opened) if opened.mode[0] in "IF" else ()
    (width, height), by = opened.size, max(min(opened.size) // (8 * side), 1)
    rows = by * max(2**20 // (width * by), 1)
    image = Image.new("RGB", (-(-width // by), -(-height // by)))
    for top in range(0, height, rows):
        part = opened.crop((0, top, width, min(top + rows, height)))
        image.paste(opaque(part, *tones).reduce(by), (0, top // by))
    try:
        turn = TURNS.get(opened.getexif().get(0x0112))
    except Exception:  # up to what is broken in it
        turn = None
    return image if turn is None else image.transpose(turn)


def picture(file, side=32):
    """Return an image file's middle square as (side, side, 3) uint8.

    file is a path or an open file of any format, size and colours that
    Pillow reads. It is turned as its EXIF data says, and what is transparent
    becomes white. Raises ValueError in one line where it is no image, or too
    large.
    """
    try:
        with warnings.catch_warnings():
            # We have a limit of our own.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file) as opened:
                prepared(opened, side)
                image = shrunk(opened, side)
    # What a broken file raises depends on its format and on what is broken.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{file} is not an image that can be read ({reason})") from error
    middle = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
    return np.asarray(middle)
