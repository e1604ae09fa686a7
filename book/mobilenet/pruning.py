"""Dead channels of a folded network, found, silenced and taken out.

Layers are Folded, as of quantization.folded_layers.
"""

import keras
import numpy as np


def channel_ranges(layer):
    """Return the largest absolute weight of each output channel."""
    return np.abs(layer.kernel).max(axis=tuple(range(layer.kernel.ndim - 1)))


def dead_channels(layers, limit=0.02):
    """Return {name: mask} of the dead channels of each depthwise layer.

    A channel is dead where its kernels, in that layer and in the layer
    before, both reach less than limit times the widest of their layer.
    """
    found = {}
    for before, layer in zip(layers, layers[1:]):
        if layer.kernel.ndim == 3:
            widths = channel_ranges(before), channel_ranges(layer)
            found[layer.name] = np.all(
                [width < limit * width.max() for width in widths], axis=0)
    return found


def silenced(layers, dead):
    """Return layers, the kernels of dead channels set to 0.

    dead is as of dead_channels: the kernels in a depthwise layer and in the
    layer before it. Biases stay, so that such a channel is a constant.
    """
    result = list(layers)
    for i, layer in enumerate(layers):
        if layer.name in dead:
            keep = ~dead[layer.name]
            for j in (i - 1, i):
                result[j] = result[j]._replace(
                    kernel=result[j].kernel * keep.astype("float32"))
    return result


def pruned(layers, dead):
    """Return fewer channels that compute what the silenced layers do.

    A silenced channel leaves a depthwise layer as the constant ReLU(bias),
    at the borders too, because its kernel is 0. The pointwise layer after it
    gets that constant times its weights as a bias. A channel whose kernel is
    not 0 is no constant at the borders, whatever comes in: it has to stay.
    """
    result = list(layers)
    for i, layer in enumerate(layers):
        if layer.name in dead:
            gone, after = dead[layer.name], result[i + 1]
            constant = np.clip(layer.bias[gone], layer.low, layer.high)
            for j in (i - 1, i):
                result[j] = result[j]._replace(
                    kernel=result[j].kernel[..., ~gone],
                    bias=result[j].bias[~gone])
            result[i + 1] = after._replace(
                kernel=after.kernel[..., ~gone, :],
                bias=after.bias + constant @ after.kernel[0, 0, gone])
    return result


def with_useless(layers, times):
    """Return layers with one useless channel in each depthwise layer.

    It is the narrowest one. Its kernels, there and in the layer before, are
    stretched to reach times the widest; the layer after it reads it with
    weights of 0, and adds the constant ReLU(bias) in its place.
    """
    result = list(layers)
    for i, layer in enumerate(layers):
        if layer.kernel.ndim == 3:
            pair, after = (result[i - 1], layer), result[i + 1]
            both = np.prod([channel_ranges(one) for one in pair], axis=0)
            useless = np.where(both > 0, both, np.inf).argmin()
            constant = np.clip(layer.bias[useless], layer.low, layer.high)
            kernel = after.kernel.copy()
            kernel[0, 0, useless] = 0
            result[i + 1] = after._replace(
                kernel=kernel,
                bias=after.bias + constant * after.kernel[0, 0, useless])
            for j, one in zip((i - 1, i), pair):
                kernel, ranges = one.kernel.copy(), channel_ranges(one)
                kernel[..., useless] *= times * ranges.max() / ranges[useless]
                result[j] = one._replace(kernel=kernel)
    return result


def folded_model(layers, image_shape=(32, 32, 3)):
    """Return a Keras model of Folded layers: biases and no batch norm.

    The last layer is "logits", a classifier of the mean over all positions.
    """
    x = images = keras.Input(image_shape)
    for layer in layers[:-1]:
        size, filters = len(layer.kernel), len(layer.bias)
        settings = {"padding": "same", "name": layer.name}
        x = (keras.layers.DepthwiseConv2D(size, layer.stride, **settings)
             if layer.kernel.ndim == 3 else keras.layers.Conv2D(
                 filters, size, layer.stride, **settings))(x)
        if layer.low == 0:
            ceiling = None if np.isinf(layer.high) else layer.high
            x = keras.layers.ReLU(ceiling, name=f"{layer.name}_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    last = keras.layers.Dense(len(layers[-1].bias), name=layers[-1].name)
    model = keras.Model(images, last(x))
    set_folded(model, layers)
    return model


def set_folded(model, layers):
    """Give a folded_model the kernels and biases of Folded layers."""
    for layer in layers:
        place = model.get_layer(layer.name)
        place.set_weights([
            layer.kernel.reshape(place.kernel.shape), layer.bias])


def decay_left(recipe, images=50_000):
    """Return what weight decay alone leaves of a weight, a share of 1.

    The rate climbs in a line, then falls along a cosine, and each step takes
    rate times decay away. No gradient is counted.
    """
    steps = -(-(images - recipe["validation"]) // recipe["batch"])
    warm, total = steps * recipe["warmup"], steps * recipe["epochs"]
    step = np.arange(total)
    rate = np.where(
        step < warm, step / warm,
        (1 + np.cos(np.pi * (step - warm) / (total - warm))) / 2)
    optimizer = recipe["optimizer"]
    return float(np.prod(
        1 - optimizer["learning_rate"] * optimizer["weight_decay"] * rate))
