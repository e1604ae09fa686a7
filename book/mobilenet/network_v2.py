"""MobileNet v2 in Keras: Sandler et al. 2018, arXiv:1801.04381, table 2."""

from keras import Input, Model, layers

# One row per group of blocks: (expansion, filters, blocks, stride of the
# first block), as the table's t, c, n and s.
BODY_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)


def in_eights(channels):
    """Return the multiple of 8 nearest to channels, 8 at least.

    Where that takes more than a tenth away, the next one, as the authors'
    code has it.
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def normalised(x, name, activation=True):
    """Return batch norm of x, and ReLU6 of that unless activation is False."""
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activation else x


def pointwise(x, filters, name, activation=True):
    """Map (n, h, w, c) to (n, h, w, filters): 1 x 1, batch norm, ReLU6."""
    x = layers.Conv2D(
        filters, 1, use_bias=False, data_format="channels_last", name=name)(x)
    return normalised(x, name, activation)


def inverted_residual(x, expansion, filters, stride, name):
    """Map (n, h, w, c) to (n, ceil(h / stride), ceil(w / stride), filters).

    Expand to expansion * c channels, filter each alone, mix them down to
    filters with no ReLU after it. Where the shape stays, x is added.
    """
    entering = x
    if expansion > 1:
        x = pointwise(x, expansion * x.shape[-1], f"{name}_expand")
    x = layers.DepthwiseConv2D(
        3, stride, padding="same", use_bias=False,
        data_format="channels_last", name=f"{name}_depthwise")(x)
    x = normalised(x, f"{name}_depthwise")
    x = pointwise(x, filters, f"{name}_project", activation=False)
    if stride == 1 and entering.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([entering, x])
    return x


def mobilenet_v2(
        input_shape=(224, 224, 3), classes=1000, alpha=1.0, stem_stride=2,
        body=BODY_V2, last=1280):
    """Return an untrained model: images to logits of shape (batch, classes).

    input_shape is (height, width, channels), sides in pixels. Every count of
    channels is in_eights(alpha * c); that of the last convolution is last,
    which only an alpha above 1 widens, as in the paper.
    """
    images = Input(tuple(map(int, input_shape)), name="images")
    x = layers.Conv2D(
        in_eights(32 * alpha), 3, int(stem_stride), padding="same",
        use_bias=False, data_format="channels_last", name="stem")(images)
    x, number = normalised(x, "stem"), 0
    for expansion, filters, blocks, stride in body:
        for block in range(blocks):
            number += 1
            x = inverted_residual(
                x, expansion, in_eights(filters * alpha),
                int(stride) if block == 0 else 1, f"block{number}")
    x = pointwise(x, in_eights(last * max(alpha, 1)), "last")
    x = layers.GlobalAveragePooling2D("channels_last", name="average")(x)
    logits = layers.Dense(int(classes), name="logits")(x)
    return Model(images, logits, name="mobilenet_v2")
