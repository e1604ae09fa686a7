"""MobileNet v1 in Keras: Howard et al. 2017, arXiv:1704.04861, table 1."""

from numbers import Integral, Real

from keras import Input, Model, config, layers

# One row per separable block: (filters, stride). The paper prints stride 2 in
# the last row too; the 7 x 7 map that it prints there needs stride 1.
BODY = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1),
    (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)


def normalised_relu(x, name, activation="relu"):
    """Return batch norm, then ReLU ("relu") or min(ReLU, 6) ("relu6")."""
    ceiling = {"relu": None, "relu6": 6.0}[activation]
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(ceiling, name=f"{name}_relu")(x)


def separable_block(
        x, filters, stride, name, stride_on="depthwise",
        use_bias=False, activation="relu"):
    """Map (n, h, w, c) to (n, ceil(h / stride), ceil(w / stride), filters).

    A 3 x 3 filter on each channel alone, then a 1 x 1 convolution that mixes
    them, each followed by batch norm and ReLU. The paper strides "depthwise";
    "pointwise" computes every depthwise output and then drops most of them.
    """
    strides = {"depthwise": (stride, 1), "pointwise": (1, stride)}[stride_on]
    x = layers.DepthwiseConv2D(
        3, strides[0], padding="same", use_bias=use_bias,
        data_format="channels_last", name=f"{name}_depthwise")(x)
    x = normalised_relu(x, f"{name}_depthwise", activation)
    x = layers.Conv2D(
        filters, 1, strides[1], padding="same", use_bias=use_bias,
        data_format="channels_last", name=f"{name}_pointwise")(x)
    return normalised_relu(x, f"{name}_pointwise", activation)


def full_block(
        x, filters, stride, name, use_bias=False, activation="relu"):
    """Map the same shapes as separable_block with one 3 x 3 convolution."""
    x = layers.Conv2D(
        filters, 3, stride, padding="same", use_bias=use_bias,
        data_format="channels_last", name=f"{name}_conv")(x)
    return normalised_relu(x, f"{name}_conv", activation)


def check_keras():
    """Raise ValueError where Keras is set to what this code cannot use."""
    for setting, value, known in (
            ("backend", config.backend(), ("tensorflow",)),
            ("floatx", config.floatx(), ("float32", "float64"))):
        if value not in known:
            raise ValueError(
                f"Keras's {setting} is {value!r}, and this code needs"
                f" {known[0]!r}: set it in keras.json, or KERAS_BACKEND, and"
                " start Python again")


def check_numbers(input_shape, classes, alpha, stem_stride, body):
    """Raise ValueError naming the first size that no network can have."""
    if not isinstance(input_shape, (tuple, list)) or len(
            input_shape) != 3 or not all(
            isinstance(side, Integral) and side >= 1 for side in input_shape):
        raise ValueError(
            "input_shape must be (height, width, channels), whole numbers of"
            f" at least 1, not {input_shape!r}")
    if not body or not isinstance(body, (tuple, list)) or not all(
            isinstance(row, (tuple, list)) and len(row) == 2 for row in body):
        raise ValueError(
            f"body must be rows of (filters, stride), not {body!r}")
    for argument, value in (
            ("classes", classes), ("stem_stride", stem_stride),
            *(("body filters", filters) for filters, _ in body),
            *(("body stride", stride) for _, stride in body)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(
                f"{argument} must be a whole number of at least 1,"
                f" not {value!r}")
    if not isinstance(alpha, Real) or not 0 < alpha < float("inf"):
        raise ValueError(f"alpha must be finite and above 0, not {alpha!r}")
    narrowest = min(32, *(filters for filters, _ in body))
    if int(alpha * narrowest) < 1:
        raise ValueError(
            f"alpha must be at least {1 / narrowest:g} so that a layer of"
            f" {narrowest} channels keeps one, not {alpha!r}")


def check_choices(**choices):
    """Raise ValueError naming the first that is none of its two values."""
    known = {"stride_on": ("depthwise", "pointwise"),
             "activation": ("relu", "relu6")}
    for argument, value in choices.items():
        one, other = known.get(argument, (True, False))
        if type(value) is not type(one) or value not in (one, other):
            raise ValueError(
                f"{argument} must be {one!r} or {other!r}, not {value!r}")


def mobilenet_v1(
        input_shape=(224, 224, 3), classes=1000, alpha=1.0, stem_stride=2,
        stride_on="depthwise", use_bias=False, activation="relu",
        separable=True, body=BODY):
    """Return an untrained model: images to logits of shape (batch, classes).

    input_shape is (height, width, channels), sides in pixels. Every channel
    count c becomes int(alpha * c), as in Keras. stem_stride is 2 in the
    paper; 1 ends a 32-pixel image at 2 x 2, not 1 x 1. stride_on="pointwise"
    and use_bias=True make the note's network. separable=False makes the
    paper's "Conv MobileNet" (table 4): one 3 x 3 convolution a block. body
    rows are (filters, stride). Raises ValueError naming a bad argument.
    """
    check_keras()
    check_numbers(input_shape, classes, alpha, stem_stride, body)
    check_choices(stride_on=stride_on, use_bias=use_bias,
                  activation=activation, separable=separable)
    images = Input(tuple(map(int, input_shape)), name="images")
    x = layers.Conv2D(
        int(alpha * 32), 3, int(stem_stride), padding="same",
        use_bias=use_bias, data_format="channels_last", name="stem")(images)
    x = normalised_relu(x, "stem", activation)
    for row, (filters, stride) in enumerate(body, start=1):
        name, stride = f"block{row}", int(stride)
        filters = int(alpha * filters)
        if separable:
            x = separable_block(
                x, filters, stride, name, stride_on, use_bias, activation)
        else:
            x = full_block(x, filters, stride, name, use_bias, activation)
    x = layers.GlobalAveragePooling2D("channels_last", name="average")(x)
    logits = layers.Dense(int(classes), name="logits")(x)
    return Model(images, logits, name="mobilenet_v1")
