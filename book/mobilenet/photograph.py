"""A photograph, and the trained layers that chapters 2 and 3 show it to.

The layers are the stem and the first block of the best network, with batch
norm folded in, as text, so that a chapter can hold them.
"""

import base64

import numpy as np
import skimage.data
import skimage.transform

# Weights and biases of the layers, in their order in the text.
SHAPES = {
    "stem": ((3, 3, 3, 32), (32,)),
    "depthwise": ((3, 3, 32), (32,)),
    "pointwise": ((32, 64), (64,)),
}


def photograph(side):
    """Return a cat's face, (side, side, 3) numbers from -1 to 1.

    She is Chelsea, taken by Stéfan van der Walt (CC0), of scikit-image.
    """
    square = skimage.data.chelsea()[:, 80:380]
    return 2 * skimage.transform.resize(
        square, (side, side), anti_aliasing=True) - 1


def as_text(layers):
    """Return {layer: (weights, biases)} as lines of letters, in float16."""
    numbers = np.concatenate([
        np.ravel(part) for name in SHAPES for part in layers[name]])
    return base64.encodebytes(numbers.astype("<f2").tobytes()).decode()


def from_text(text):
    """Return {layer: (weights, biases)}, the reverse of as_text."""
    numbers = np.frombuffer(base64.b64decode(text), "<f2").astype(float)
    layers = {}
    for name, shapes in SHAPES.items():
        layers[name] = ()
        for shape in shapes:
            size = int(np.prod(shape))
            layers[name] += (numbers[:size].reshape(shape),)
            numbers = numbers[size:]
    return layers
