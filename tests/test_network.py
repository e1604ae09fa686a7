"""The network against keras.applications, the paper and the note's summary.

Where two functions are compared both compute in float64: the rounding of
float32 depends on the processor, and can reach the 1e-4 that we allow.
"""

import functools

import keras
import numpy as np
import pytest
from mobilenet import costs, network


def applications_mobilenet(alpha, sides=(224, 224), classes=1000):
    """Return Keras's own MobileNet, ending in logits as ours does."""
    return keras.applications.MobileNet(
        (*sides, 3), alpha, weights=None, classes=classes,
        classifier_activation=None)


# Keras gives these counts at the alphas of the paper; 0.3 tells int(9.6), the
# stem's width, from a rounded one.
@pytest.mark.parametrize(("alpha", "params"), [
    (0.25, 475_544), (0.5, 1_342_536), (0.75, 2_601_976), (1, 4_253_864),
    (0.3, None)])
def test_parameters_equal_keras_applications(alpha, params):
    theirs, ours = applications_mobilenet(alpha), network.mobilenet_v1(
        alpha=alpha)
    assert ours.count_params() == theirs.count_params()
    assert params in (None, ours.count_params())
    assert sum(
        np.prod(weight.shape) for weight in ours.trainable_weights) == sum(
        np.prod(weight.shape) for weight in theirs.trainable_weights)


def randomise(model):
    """Draw every weight and statistic anew, so that all of them matter.

    Kernels keep the size of what they pass on, the last one eightfold: with
    all weights small the logits would ignore the image, and would be equal
    whatever the network.
    """
    rng = np.random.default_rng(0)
    for weight in model.weights:
        name, shape = weight.path.split("/")[-1], weight.shape
        if name == "gamma":
            values = rng.uniform(1, 2, shape)
        elif name == "moving_variance":
            values = rng.uniform(0.5, 2, shape)
        elif "kernel" in name:
            depthwise = shape[-1] == 1
            terms = np.prod(shape[:2] if depthwise else shape[:-1])
            values = rng.normal(0, np.sqrt(2 / terms), shape)
        else:
            values = rng.normal(0, 0.2, shape)
        weight.assign(values)
    last = [w for w in model.weights if "kernel" in w.name][-1]
    last.assign(8 * last)


def weighted(model):
    return [layer for layer in model.layers if layer.weights]


def transplant(source, target):
    """Give target the weights of source, layer after layer, by order."""
    for giver, taker in zip(weighted(source), weighted(target), strict=True):
        shapes = [weight.shape for weight in taker.get_weights()]
        # Only the last layer changes its shape: Keras's is a 1 x 1
        # convolution (1, 1, C, M), ours a dense layer (C, M).
        values = zip(giver.get_weights(), shapes, strict=True)
        taker.set_weights([value.reshape(shape) for value, shape in values])


def random_images(*sides):
    """Return eight images of unlike colour and contrast, in [-1, 1]."""
    rng = np.random.default_rng(1)
    colour = rng.uniform(-1, 1, (8, 1, 1, 3))
    contrast = rng.uniform(0.1, 1, (8, 1, 1, 1))
    noise = rng.normal(0, contrast, (8, *sides, 3))
    return np.clip(colour + noise, -1, 1)


@pytest.fixture
def float64():
    """Build the networks of a test in float64, and later ones as before."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@functools.cache
def logits_and_source(alpha, sides, classes=10):
    """Return Keras's network, randomised, and its logits of random images."""
    model = applications_mobilenet(alpha, sides, classes)
    randomise(model)
    logits = model.predict_on_batch(random_images(*sides))
    assert logits.dtype == np.float64
    assert np.ptp(logits, axis=0).min() >= 1, "the logits ignore the image"
    return logits, model


def ours_with_their_weights(alpha, sides, classes=10, **options):
    model = network.mobilenet_v1((*sides, 3), classes, alpha, **options)
    transplant(logits_and_source(alpha, sides, classes)[1], model)
    return model


# Sides that halve evenly down to the last stride: on odd maps Keras pads
# twice on one side where TensorFlow's "same" pads once on each.
@pytest.mark.parametrize(("alpha", "sides", "classes"), [
    (0.25, (224, 224), 10), (0.25, (128, 128), 10), (0.5, (128, 128), 10),
    (0.25, (64, 96), 10), (1, (224, 224), 1000)])
def test_logits_equal_keras_applications(alpha, sides, classes, float64):
    expected, _ = logits_and_source(alpha, sides, classes)
    model = ours_with_their_weights(
        alpha, sides, classes, activation="relu6")
    actual = model.predict_on_batch(random_images(*sides))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("options", [
    {"activation": "relu"}, {"activation": "relu6", "stride_on": "pointwise"},
    {"activation": "relu6", "stem_stride": 1},
    {"activation": "relu6", "body": ((64, 2), *network.BODY[1:])}])
def test_logits_differ_from_keras_applications_with_another(options, float64):
    expected, _ = logits_and_source(0.25, (64, 64))
    model = ours_with_their_weights(0.25, (64, 64), **options)
    actual = model.predict_on_batch(random_images(64, 64))
    assert np.abs(actual - expected).max() > 1


def test_changing_any_one_weight_tensor_breaks_the_equality(float64):
    expected, _ = logits_and_source(0.25, (64, 64))
    model = ours_with_their_weights(0.25, (64, 64), activation="relu6")
    images = random_images(64, 64)
    assert len(weighted(model)) == 28 + 27
    for layer in weighted(model):
        for weight in layer.weights:
            values = weight.numpy()
            weight.assign(1.1 * values + 0.05)
            difference = np.abs(model.predict_on_batch(images) - expected)
            assert difference.max() > 1e-2, weight.path
            weight.assign(values)
    np.testing.assert_allclose(
        model.predict_on_batch(images), expected, rtol=0, atol=1e-4)


def test_stride_on_either_convolution_gives_one_function_on_odd_maps(float64):
    # 65, 33, 17, 9, 5, 3: a stride-2 window of 3 pads odd maps evenly, so
    # both variants look at the same pixels.
    depthwise = network.mobilenet_v1((65, 65, 3), 10, 0.25)
    pointwise = network.mobilenet_v1(
        (65, 65, 3), 10, 0.25, stride_on="pointwise")
    randomise(depthwise)
    pointwise.set_weights(depthwise.get_weights())
    images = random_images(65, 65)
    expected = depthwise.predict_on_batch(images)
    assert np.ptp(expected, axis=0).min() >= 1
    np.testing.assert_allclose(
        pointwise.predict_on_batch(images), expected, rtol=0, atol=1e-4)


# The note's summary: each convolution with the side and channels of its
# output, its parameters and those of the batch norm after it.
NOTE = """
Conv2D          16   32     896  128 | DepthwiseConv2D 16   32   320  128
Conv2D          16   64    2112  256 | DepthwiseConv2D 16   64   640  256
Conv2D           8  128    8320  512 | DepthwiseConv2D  8  128  1280  512
Conv2D           8  128   16512  512 | DepthwiseConv2D  8  128  1280  512
Conv2D           4  256   33024 1024 | DepthwiseConv2D  4  256  2560 1024
Conv2D           4  256   65792 1024 | DepthwiseConv2D  4  256  2560 1024
Conv2D           2  512  131584 2048 | DepthwiseConv2D  2  512  5120 2048
Conv2D           2  512  262656 2048 | DepthwiseConv2D  2  512  5120 2048
Conv2D           2  512  262656 2048 | DepthwiseConv2D  2  512  5120 2048
Conv2D           2  512  262656 2048 | DepthwiseConv2D  2  512  5120 2048
Conv2D           2  512  262656 2048 | DepthwiseConv2D  2  512  5120 2048
Conv2D           2  512  262656 2048 | DepthwiseConv2D  2  512  5120 2048
Conv2D           1 1024  525312 4096 | DepthwiseConv2D  1 1024 10240 4096
Conv2D           1 1024 1049600 4096
"""


def note_rows():
    """Yield (kind of layer, output shape, parameters) as the note has them."""
    yield "InputLayer", (32, 32, 3), 0
    for entry in NOTE.replace("|", "\n").strip().splitlines():
        kind, *numbers = entry.split()
        side, channels, convolution, normalisation = map(int, numbers)
        shape = (side, side, channels)
        yield kind, shape, convolution
        yield "BatchNormalization", shape, normalisation
        yield "ReLU", shape, 0
    yield "GlobalAveragePooling2D", (1024,), 0
    yield "Dense", (10,), 10250


def parameters(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_the_notes_network_is_reproduced_row_by_row():
    model = network.mobilenet_v1(
        (32, 32, 3), 10, stride_on="pointwise", use_bias=True)
    assert [
        (type(layer).__name__, tuple(layer.output.shape[1:]),
         layer.count_params()) for layer in model.layers
    ] == list(note_rows())
    assert model.count_params() == 3_250_058
    assert parameters(model.trainable_weights) == 3_228_170
    assert parameters(model.non_trainable_weights) == 21_888


def test_conv_mobilenet_has_the_papers_cost():
    # Table 4 prints 4866 million and 29.3 million; with its fully connected
    # layer the first is 4,867 million.
    model = network.mobilenet_v1(separable=False)
    assert costs.count(model).macs.sum() == 4_867_293_184
    kernels = [w for w in model.weights if w.name == "kernel"]
    assert parameters(kernels) == 29_281_120


def small(**options):
    """Return a network quick to build, with the options under test."""
    arguments = {
        "input_shape": (32, 32, 3), "classes": 10,
        "body": ((64, 1), (128, 2)), **options}
    return network.mobilenet_v1(**arguments)


def shapes(model):
    return {
        layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}


def test_alpha_narrows_every_layer_rounding_down():
    plain, thin = shapes(small()), shapes(small(alpha=0.3))
    assert plain["stem"][-1] == 32 and thin["stem"][-1] == 9
    assert plain["block1_pointwise"][-1] == 64
    assert thin["block1_pointwise"][-1] == thin["block2_depthwise"][-1] == 19
    assert thin["block2_pointwise"][-1] == thin["average"][-1] == 38
    assert thin["images"][-1] == 3 and thin["logits"] == (10,)


def test_stem_stride_divides_the_first_map():
    assert [shapes(small(stem_stride=stride))["stem"] for stride in (1, 2, 3)
            ] == [(32, 32, 32), (16, 16, 32), (11, 11, 32)]


def test_stem_stride_1_ends_a_small_image_at_2_by_2():
    last = "block13_pointwise_relu"
    for stride, side in ((2, 1), (1, 2)):
        model = network.mobilenet_v1((32, 32, 3), 10, stem_stride=stride)
        assert shapes(model)[last] == (side, side, 1024)


def test_stride_on_decides_which_convolution_halves_the_map():
    on_depthwise, on_pointwise = (
        shapes(small(stride_on=which)) for which in ("depthwise", "pointwise"))
    assert on_depthwise["block2_depthwise"] == (8, 8, 64)
    assert on_pointwise["block2_depthwise"] == (16, 16, 64)
    assert on_depthwise["block2_pointwise"] == (8, 8, 128)
    assert on_pointwise["block2_pointwise"] == (8, 8, 128)


@pytest.mark.parametrize(
    ("separable", "biases"), [(True, 10_944), (False, 32 + 5_952)])
def test_use_bias_adds_one_weight_a_convolved_channel(separable, biases):
    # The body has 5,952 filters. A separable block also filters each of its
    # input channels: 32 + 5,952 - 1,024 of them.
    without, with_biases = (
        network.mobilenet_v1(
            (32, 32, 3), 10, use_bias=use_bias, separable=separable)
        for use_bias in (False, True))
    assert with_biases.count_params() - without.count_params() == biases


@pytest.mark.parametrize("separable", [True, False])
@pytest.mark.parametrize(
    ("activation", "expected"), [("relu", [0, 9]), ("relu6", [0, 6])])
def test_activation_clips_at_0_and_relu6_at_6(
        activation, expected, separable):
    model = small(activation=activation, separable=separable)
    clips = [layer for layer in model.layers if "_relu" in layer.name]
    assert len(clips) == (5 if separable else 3)
    for layer in clips:
        assert layer(np.float32([-9, 9])).numpy().tolist() == expected


def test_separable_off_makes_each_block_one_3_by_3_convolution():
    model = small(separable=False)
    kinds = [type(layer).__name__ for layer in weighted(model)]
    assert kinds == ["Conv2D", "BatchNormalization"] * 3 + ["Dense"]
    block = model.get_layer("block2_conv")
    assert block.kernel.shape == (3, 3, 64, 128)
    assert shapes(model)["block2_conv"] == (8, 8, 128)


def test_body_gives_filters_and_stride_of_each_block():
    found = shapes(small(body=((5, 1), (7, 3), (6, 2))))
    assert [found[f"block{row}_pointwise"] for row in (1, 2, 3)] == [
        (16, 16, 5), (6, 6, 7), (3, 3, 6)]
    assert "block4_pointwise" not in found


def test_body_leaves_the_papers_map_of_7_by_7_unstrided():
    found = shapes(network.mobilenet_v1(alpha=0.25))
    assert found["block12_pointwise"] == found["block13_pointwise"] == (
        7, 7, 256)


def test_classes_and_input_shape_are_what_was_asked():
    model = small(input_shape=(9, 20, 5), classes=7)
    assert model.input_shape == (None, 9, 20, 5)
    assert model.output_shape == (None, 7)


def test_whole_numbers_of_numpy_are_whole_numbers():
    three, four = np.array([3, 4])
    model = small(
        input_shape=(three, four, three), classes=four, stem_stride=three,
        body=((four, np.int64(2)),))
    assert shapes(model)["stem"] == (1, 2, 32)
    assert shapes(model)["block1_pointwise"] == (1, 1, 4)
    assert model.output_shape == (None, 4)


def test_network_ends_in_logits_not_probabilities():
    model = small()
    model.get_layer("logits").bias.assign(np.arange(10.0) - 5)
    logits = model.predict_on_batch(np.zeros((1, 32, 32, 3), np.float32))
    assert logits.min() < 0 and logits.max() > 1


@pytest.mark.parametrize(("argument", "bad", "text"), [
    ("alpha", 0, "above 0, not 0"),
    ("alpha", -0.5, "above 0, not -0.5"),
    ("alpha", float("nan"), "above 0, not nan"),
    ("alpha", float("inf"), "not inf"),
    ("alpha", 0.03, "0.03125 .* not 0.03"),
    ("alpha", "0.5", "not '0.5'"),
    ("alpha", None, "not None"),
    ("alpha", [0.5], r"not \[0.5\]"),
    ("separable", "False", "not 'False'"),
    ("separable", None, "not None"),
    ("separable", 0, "not 0"),
    ("use_bias", "no", "not 'no'"),
    ("use_bias", None, "not None"),
    ("stride_on", ["depthwise"], r"not \['depthwise'\]"),
    ("body", 13, "not 13"),
    ("body", None, "not None"),
    ("input_shape", (0, 32, 3), r"not \(0, 32, 3\)"),
    ("input_shape", (32, -1, 3), r"not \(32, -1, 3\)"),
    ("input_shape", (32, 32, 0), r"not \(32, 32, 0\)"),
    ("input_shape", (32, 32), r"not \(32, 32\)"),
    ("input_shape", (None, None, 3), "not .None, None, 3"),
    ("input_shape", (32.0, 32, 3), r"not \(32.0, 32, 3\)"),
    ("input_shape", 32, "not 32"),
    ("classes", 0, "not 0"),
    ("classes", 2.5, "not 2.5"),
    ("stem_stride", 0, "not 0"),
    ("stem_stride", "2", "not '2'"),
    ("stride_on", "both", "not 'both'"),
    ("stride_on", None, "not None"),
    ("activation", "gelu", "not 'gelu'"),
    ("activation", None, "not None"),
    ("body", ((64, 0),), "not 0"),
    ("body", ((64, 1), (0, 1)), "not 0"),
    ("body", ((64, 1.5),), "not 1.5"),
    ("body", ((64.0, 1),), "not 64.0"),
    ("body", (), r"not \(\)"),
    ("body", ((64, 1, 1),), "not .*64, 1, 1"),
    ("body", (64, 1), "not .*64"),
])
def test_bad_argument_is_named_with_its_value(argument, bad, text):
    with pytest.raises(ValueError, match=f"{argument}.* must .*{text}"):
        small(**{argument: bad})


@pytest.mark.parametrize("separable", [True, False])
def test_network_is_the_same_whatever_keras_json_says_of_channels(separable):
    usual = small(separable=separable)
    keras.config.set_image_data_format("channels_first")
    try:
        found = small(separable=separable)
    finally:
        keras.config.set_image_data_format("channels_last")
    assert found.get_config() == usual.get_config()
    assert shapes(found) == shapes(usual)


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_another_backend_is_refused_in_one_line(backend, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: backend)
    with pytest.raises(ValueError, match=(
            f"backend is '{backend}', .*'tensorflow': set .*KERAS_BACKEND")):
        small()


def test_numbers_too_short_to_train_with_are_refused_naming_keras_json():
    keras.config.set_floatx("float16")
    try:
        with pytest.raises(ValueError, match="floatx is 'float16'.*keras.jso"):
            small()
    finally:
        keras.config.set_floatx("float32")


def test_alpha_is_refused_where_the_body_is_narrower_than_the_stem():
    with pytest.raises(ValueError, match="alpha must be at least 0.25 .* 4 "):
        small(alpha=0.2, body=((64, 1), (4, 1)))


@pytest.mark.parametrize("separable", [True, False])
def test_smallest_alpha_keeps_one_channel(separable):
    found = shapes(small(alpha=1 / 32, separable=separable))
    last = "pointwise" if separable else "conv"
    assert [found[layer][-1] for layer in (
        "stem", f"block1_{last}", f"block2_{last}")] == [1, 2, 4]
