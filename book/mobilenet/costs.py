"""Parameters and multiply-adds (MACs) of convolutions and of Keras models."""

import math
from numbers import Integral
from typing import NamedTuple

import keras
import pandas as pd
from keras import layers


class Cost(NamedTuple):
    """Weights, and multiply-adds for one image; biases are in neither."""

    params: int
    macs: int


def output_positions(height, width, stride):
    """Return how many places a "same" convolution with this stride visits."""
    return math.ceil(height / stride) * math.ceil(width / stride)


def check_sizes(**sizes):
    """Raise ValueError naming the first size that is no whole number >= 1."""
    for argument, value in sizes.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(
                f"{argument} must be a whole number of at least 1,"
                f" not {value!r}")


def conv_cost(height, width, channels, filters, kernel=3, stride=1):
    """Return the Cost of a standard convolution with "same" padding.

    height x width is the input map; the output has ceil(side / stride).
    Every output number is a dot product of kernel * kernel * channels terms.
    """
    check_sizes(
        height=height, width=width, channels=channels, filters=filters,
        kernel=kernel, stride=stride)
    params = kernel * kernel * channels * filters
    return Cost(params, output_positions(height, width, stride) * params)


def separable_cost(height, width, channels, filters, kernel=3, stride=1):
    """Return the Cost of a depthwise and then a pointwise convolution.

    Shapes as in conv_cost, the stride on the depthwise convolution. The
    weights are (kernel * kernel + filters) * channels, and as every weight
    meets every output position once, the multiply-adds follow.
    """
    check_sizes(
        height=height, width=width, channels=channels, filters=filters,
        kernel=kernel, stride=stride)
    params = (kernel * kernel + filters) * channels
    return Cost(params, output_positions(height, width, stride) * params)


# Layers that multiply by weights: each weight of a kernel meets each output
# position once.
COUNTED = {
    layers.Conv2D: "convolution",
    layers.DepthwiseConv2D: "depthwise",
    layers.SeparableConv2D: "separable",
    layers.Dense: "dense",
}

# Layers without multiply-adds as the field counts them. Batch norm is here
# because it folds into the convolution before it once training is over.
FREE = {
    layers.BatchNormalization: "batch norm",
    **dict.fromkeys(
        (layers.Activation, layers.ReLU, layers.Softmax), "activation"),
    **dict.fromkeys(
        (layers.AveragePooling2D, layers.GlobalAveragePooling2D,
         layers.MaxPooling2D), "pooling"),
    **dict.fromkeys(
        (layers.InputLayer, layers.Dropout, layers.Flatten, layers.Reshape,
         layers.ZeroPadding2D, layers.Rescaling, layers.Add), "other"),
}


def layer_kind(layer):
    """Return the kind of a Keras layer, or raise ValueError naming it."""
    if type(layer) not in {**COUNTED, **FREE}:
        raise ValueError(
            f"layer {layer.name!r} is a {type(layer).__name__}, whose"
            " multiply-adds this counter does not know")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError(f"layer {layer.name!r} must be channels_last")
    if isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1):
        return "pointwise"
    return {**COUNTED, **FREE}[type(layer)]


def layer_output(layer):
    """Return a layer's output shape without the batch, or raise ValueError."""
    # Keras's layer.output is of the first call alone.
    if len(layer._inbound_nodes) != 1:
        raise ValueError(
            f"layer {layer.name!r} is called {len(layer._inbound_nodes)}"
            " times: count a model in which each layer is called once")
    shape = tuple(layer.output.shape[1:])
    if None in shape:
        raise ValueError(
            f"the output of layer {layer.name!r} is {shape}: give the model"
            " a fixed input shape")
    return shape


def shaped_weights(layer):
    """Return how many weights the kernels of a counted layer have.

    It is read from the layer's settings: once Keras has quantised a layer or
    given it LoRA, its variables are more, fewer or packed.
    """
    channels = layer.input.shape[-1]
    if isinstance(layer, layers.Dense):
        return channels * layer.units
    area = math.prod(layer.kernel_size)
    if not hasattr(layer, "depth_multiplier"):
        return area * channels // layer.groups * layer.filters
    filtered = channels * layer.depth_multiplier
    mixed = getattr(layer, "filters", 0)  # SeparableConv2D mixes as well
    return area * filtered + filtered * mixed


def count(model):
    """Return a DataFrame of a Keras model's costs, one row per layer.

    Columns: layer (name), kind, output (shape for one image), macs (for one
    image) and params (all weights, biases and batch-norm statistics). What
    Keras adds to quantise or as LoRA is in neither. Raises ValueError naming
    a layer or a model that it cannot count.
    """
    if not hasattr(model, "operations") and not isinstance(
            model, keras.Sequential):
        raise ValueError(
            f"model {model.name!r} must be Sequential or functional, so that"
            " its layers tell all that it computes")
    rows = []
    for layer in getattr(model, "operations", model.layers):
        kind, output = layer_kind(layer), layer_output(layer)
        macs, params = 0, layer.count_params()
        if type(layer) in COUNTED:
            weights = shaped_weights(layer)
            macs = math.prod(output[:-1]) * weights
            params = weights + layer.use_bias * output[-1]
        rows.append((layer.name, kind, output, macs, params))
    return pd.DataFrame(
        rows, columns=["layer", "kind", "output", "macs", "params"])
