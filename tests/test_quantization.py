"""Folding and int8 against Keras, hand arithmetic and the converter itself.

Where CIFAR10_DIR is set, the committed networks are measured on the real
test images in every form.
"""

import json
import os
import pathlib
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from mobilenet import batches, cifar10, network, quantization, recipes, records

BOOK = pathlib.Path(__file__).parent.parent / "book"
REAL = os.environ.get("CIFAR10_DIR")
BODY = ((64, 1), (128, 2), (128, 1))


def random_model(input_shape=(32, 32, 3), **settings):
    """Return a small network whose statistics are far from their start."""
    keras.utils.set_random_seed(1)
    model = network.mobilenet_v1(
        input_shape, 10, alpha=0.25, body=BODY, **settings)
    rng = np.random.default_rng(2)
    for variable in model.weights:
        low, high = {
            "gamma": (0.3, 2), "moving_variance": (0.01, 3),
            "kernel": (-0.5, 0.5)}.get(variable.name, (-0.5, 0.5))
        variable.assign(rng.uniform(low, high, variable.shape))
    last = model.get_layer("logits").kernel
    last.assign(20 * last)  # so that logits depend on the image
    return model


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (24, 32, 32, 3)).astype(np.uint8)
    images[:, :16] //= 3  # light and dark halves, for maps that differ
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    return images


@pytest.fixture(scope="module")
def int8(model, images):
    return quantization.converted(model, "int8", images)


@pytest.fixture(scope="module")
def ranges(model, images):
    ranges = {}
    for image in images:  # one by one: the ranges of all are kept
        quantization.run(
            quantization.folded_layers(model),
            quantization.scaled(image[None]), ranges)
    return ranges


@pytest.fixture(scope="module")
def integers(model, ranges):
    return quantization.integer_layers(
        quantization.folded_layers(model), ranges)


def test_one_channel_folds_as_by_hand():
    kernel, bias = quantization.fold(
        np.array([2.0]), 0.0, 1.5, 0.5, 4.0, 0.2, 0.05)
    assert np.isclose(kernel, 6) and np.isclose(bias, -11.5)


@pytest.mark.parametrize("settings", [
    {}, {"activation": "relu6"}, {"use_bias": True}, {"stem_stride": 1},
    {"stride_on": "pointwise"}], ids=str)
@pytest.mark.parametrize("shape", [(32, 32, 3), (17, 22, 3)], ids=str)
def test_folded_network_computes_the_same_logits(shape, settings):
    model = random_model(shape, **settings)
    x = np.random.default_rng(4).uniform(-1, 1, (4, *shape))
    x = x.astype("float32")
    expected = np.asarray(model(x))
    found = quantization.run(quantization.folded_layers(model), x)
    assert expected.std() > 1  # or agreement would mean nothing
    assert np.abs(found - expected).max() < 1e-4 * expected.std()


def test_relu6_cuts_where_relu_does_not():
    """Or the case above would not tell one from the other."""
    x = np.random.default_rng(4).uniform(-1, 1, (2, 32, 32, 3))
    logits = [np.asarray(random_model(activation=name)(x.astype("float32")))
              for name in ("relu", "relu6")]
    assert np.abs(logits[0] - logits[1]).max() > 0.1


def test_folding_leaves_one_bias_of_four_numbers_of_batch_norm(model):
    layers = quantization.folded_layers(model)
    kept = sum(layer.kernel.size + layer.bias.size for layer in layers)
    norms = sum(layer.gamma.shape[0] for layer in model.layers
                if isinstance(layer, keras.layers.BatchNormalization))
    assert kept == model.count_params() - 3 * norms


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolve_pads_and_strides_as_tensorflow(kernel, stride):
    rng = np.random.default_rng(5)
    x = rng.integers(-9, 9, (2, 7, 10, 4))
    standard = rng.integers(-9, 9, (kernel, kernel, 4, 5))
    depthwise = rng.integers(-9, 9, (kernel, kernel, 4))
    steps = [1, stride, stride, 1]
    for found, expected in (
            (quantization.convolve(x, standard, stride), tf.nn.conv2d(
                x.astype("float64"), standard.astype("float64"), steps,
                "SAME")),
            (quantization.convolve(x, depthwise, stride),
             tf.nn.depthwise_conv2d(
                 x.astype("float64"),
                 depthwise[..., None].astype("float64"), steps, "SAME"))):
        assert np.issubdtype(found.dtype, np.integer)
        assert np.array_equal(found, expected)


def test_ranges_are_those_of_all_images_together(model, images, ranges):
    layers, together = quantization.folded_layers(model), {}
    quantization.run(layers, quantization.scaled(images), together)
    assert list(ranges) == [
        "images", *(layer.name for layer in layers[:-1]), "average",
        "logits"]
    assert np.allclose(list(ranges.values()), list(together.values()),
                       atol=1e-5)
    assert ranges["images"] == (-1, 1) and ranges["stem"][0] == 0


@pytest.mark.parametrize(("low", "high", "scale", "zero_point"), [
    (-1, 1.55, 0.01, -28),  # the chapter's five numbers
    (0, 2.55, 0.01, -128), (-2.55, 0, 0.01, 127),
    (0.5, 2.55, 0.01, -128), (-2.55, -1, 0.01, 127),  # widened to hold 0
    (-1, 1, 2 / 255, -1),  # exactly between 0 and -1: away from 0
])
def test_scale_and_zero_point_are_those_of_a_pencil(
        low, high, scale, zero_point):
    found = quantization.affine(low, high)
    assert np.isclose(found[0], scale) and found[1] == zero_point


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (1, np.inf), (np.nan, 1), (-np.inf, 0)])
def test_range_without_extent_is_refused(low, high):
    with pytest.raises(ValueError, match="no range from"):
        quantization.affine(low, high)


def test_rounding_errs_by_half_a_step_at_most_and_clips_beyond():
    scale, zero_point = quantization.affine(-0.7, 2.1)
    values = np.linspace(-0.7, 2.1, 1001)
    back = quantization.dequantize(
        quantization.quantize(values, scale, zero_point), scale, zero_point)
    # Half a step more at the ends, where the zero point was rounded.
    assert np.abs(back - values)[50:-50].max() <= scale / 2 + 1e-6
    assert np.abs(back - values).max() <= scale + 1e-6
    numbers = quantization.quantize(
        np.array([-99.0, 0.0, 99.0]), scale, zero_point)
    assert numbers.dtype == np.int8
    assert numbers.tolist() == [-128, zero_point, 127]


def test_scales_are_those_of_the_widest_weight():
    kernel = np.zeros((1, 1, 2, 3))
    kernel[0, 0] = [[1.27, -0.5, 0], [0.2, 0.1, 0]]
    assert np.allclose(
        quantization.kernel_scales(kernel), [0.01, 0.5 / 127, 1])
    assert np.allclose(
        quantization.kernel_scales(kernel, per_channel=False), 0.01)
    assert np.allclose(
        quantization.kernel_scales(kernel, bits=4), [1.27 / 7, 0.5 / 7, 1])


def test_rounded_kernels_lie_on_their_grid(model):
    layers = quantization.folded_layers(model)
    for per_channel in (True, False):
        for layer, before in zip(quantization.rounded_kernels(
                layers, per_channel, bits=5), layers):
            scales = quantization.kernel_scales(
                before.kernel, per_channel, bits=5)
            steps = layer.kernel / scales
            assert np.abs(steps - np.round(steps)).max() < 1e-4
            assert np.abs(steps).max() < 15.001
            error = np.abs(layer.kernel - before.kernel) / scales
            assert 0.4 < error.max() < 0.5001


def test_fixed_point_keeps_31_bits_of_any_multiplier():
    reals = np.concatenate([
        10.0 ** np.linspace(-9, 1, 200), [0.5, 1.0, 1 - 2.0**-40]])
    m, shift = quantization.fixed_point(reals)
    assert m.dtype == np.int64 and m.max() <= 2**31
    assert np.abs(m / 2.0**shift / reals - 1).max() < 2.0**-30
    assert quantization.fixed_point(np.array([0.0025]))[0] == 1374389535
    m, shift = quantization.fixed_point(np.array([1e-13]))
    assert shift.max() <= 62 and np.isclose(m / 2.0**62, 1e-13, rtol=1e-4)


def test_rescaled_sums_are_rounded_not_cut():
    sums = np.array([-30, -10, -6, 0, 6, 10, 30])
    m, shift = quantization.fixed_point(np.full(7, 0.25))
    # Halves go up, so -10 / 4 = -2.5 becomes -2.
    assert quantization.rescale(sums, m, shift).tolist() == [
        -7, -2, -1, 0, 2, 3, 8]


def made_tensors(content):
    """Return {name: details} of the tensors of a LiteRT file."""
    made = quantization.interpreter(content)
    return made, made.get_tensor_details()


def test_scales_of_maps_are_those_of_the_converter(int8, ranges):
    _, details = made_tensors(int8)
    theirs = sorted(
        tensor["quantization"] for tensor in details
        if tensor["dtype"] == np.int8
        and len(tensor["quantization_parameters"]["scales"]) == 1)
    ours = sorted(quantization.affine(*span) for span in ranges.values())
    assert len(ours) == len(theirs) == len(ranges)
    assert np.allclose(ours, theirs, rtol=1e-5)


def as_stored(kernel, name):
    """Return a kernel in the order of axes of a LiteRT file."""
    if kernel.ndim == 3:
        return kernel[None]
    return kernel[0, 0].T if name == "logits" else kernel.transpose(
        3, 0, 1, 2)


def operations(made):
    """Return the layers of a file in order, without what a delegate did."""
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    return [step for step in made._get_ops_details()
            if step["op_name"] in kinds]


def test_kernels_and_biases_are_those_of_the_converter(int8, integers, model):
    """But for a weight in a thousand that lies between two steps."""
    made, details = made_tensors(int8)
    by_index = {tensor["index"]: tensor for tensor in details}
    steps = operations(made)
    assert len(steps) == len(integers)
    for step, ours, layer in zip(
            steps, integers, quantization.folded_layers(model)):
        _, kernel, bias = step["inputs"]
        theirs = made.get_tensor(kernel).astype(int)
        difference = np.abs(theirs - as_stored(ours.kernel, ours.name))
        assert difference.max() <= 1 and np.mean(difference > 0) < 2e-3
        scales = by_index[kernel]["quantization_parameters"]["scales"]
        assert np.allclose(
            scales, quantization.kernel_scales(layer.kernel), rtol=1e-5)
        theirs = made.get_tensor(bias).astype(int)
        assert np.abs(theirs - ours.bias).max() <= 2 + np.abs(
            ours.bias).max() * 1e-6


def test_each_integer_layer_gives_the_numbers_of_litert(
        int8, integers, images):
    """Given LiteRT's own input, all but a few numbers, by one step."""
    made = type(quantization.interpreter(int8))(
        model_content=int8, experimental_preserve_all_tensors=True)
    made.allocate_tensors()
    made.set_tensor(made.get_input_details()[0]["index"], images[:1])
    made.invoke()
    total = different = 0
    for step, layer in zip(operations(made), integers):
        x = made.get_tensor(step["inputs"][0]).astype(np.int32)
        x = x if x.ndim == 4 else x[:, None, None]
        sums = quantization.convolve(
            x - layer.zero_in, layer.kernel.astype(np.int32), layer.stride)
        ours = np.clip(
            quantization.rescale(sums + layer.bias, layer.m, layer.shift)
            + layer.zero, layer.low, layer.high)
        theirs = made.get_tensor(step["outputs"][0]).astype(int)
        apart = np.abs(ours.reshape(theirs.shape) - theirs)
        assert apart.max() <= 1
        total, different = total + apart.size, different + apart.sum()
    assert total > 15_000 and different < 2e-3 * total


def test_integers_give_the_logits_of_litert(int8, integers, ranges, images):
    ours = quantization.run_integers(integers, ranges, images)
    theirs = quantization.litert_logits(int8, images)
    scale, zero_point = quantization.affine(*ranges["logits"])
    apart = np.abs(np.round(theirs / scale) + zero_point - ours)
    assert ours.dtype == np.int8 and ours.std() > 10
    assert np.median(apart) <= 1 and apart.max() <= 6


def test_integers_follow_the_floats(integers, ranges, images, model):
    """Of other images than those that set the ranges."""
    other = np.ascontiguousarray(images[:, ::-1])
    floats = np.asarray(model(quantization.scaled(other)))
    scale, zero_point = quantization.affine(*ranges["logits"])
    back = quantization.dequantize(
        quantization.run_integers(integers, ranges, other), scale,
        zero_point)
    assert np.sqrt(np.mean((back - floats) ** 2)) < 0.1 * floats.std()


def test_only_per_tensor_has_one_scale_for_a_convolution(
        model, images, int8):
    single = quantization.converted(
        model, "int8", images[:4], per_channel=False)
    for content, expected in ((int8, False), (single, True)):
        made, details = made_tensors(content)
        by_index = {tensor["index"]: tensor for tensor in details}
        counts = [len(by_index[step["inputs"][1]][
            "quantization_parameters"]["scales"])
            for step in operations(made) if "CONV" in step["op_name"]]
        assert (set(counts) == {1}) == expected
        assert expected or min(counts) >= 8


def test_forms_keep_the_logits_and_shrink(model, images, capsys):
    floats = np.asarray(model(quantization.scaled(images)))
    wide = network.mobilenet_v1((32, 32, 3), 10, body=((512, 2),))
    sizes = {}
    for form, tolerance in (
            ("float32", 1e-5), ("float16", 5e-3), ("dynamic", 0.1)):
        content = quantization.converted(model, form)
        # Of a tiny network older converters write more for float16.
        sizes[form] = len(quantization.converted(wide, form))
        logits = quantization.litert_logits(content, images)
        error = np.abs(logits - floats).max() / floats.std()
        assert error < tolerance
        assert form == "float32" or error > 1e-5  # it does round
    assert sizes["float32"] > sizes["float16"] > sizes["dynamic"]
    assert capsys.readouterr().out == ""


def test_batches_and_threads_give_the_same_logits(int8, images):
    one = quantization.litert_logits(int8, images)
    assert one.shape == (24, 10)
    assert np.array_equal(
        one, quantization.litert_logits(int8, images, 2, batch=8))


def test_form_that_does_not_exist_and_int8_without_images_are_refused(
        model, images):
    with pytest.raises(ValueError, match="no form is called 'int4'"):
        quantization.converted(model, "int4", images)
    for none in (None, images[:0]):
        with pytest.raises(ValueError, match="needs training images"):
            quantization.converted(model, "int8", none)


def test_int8_made_with_dull_images_is_refused_where_bytes_go_in(
        model, images):
    content = quantization.converted(model, "int8", images[:2] // 2)
    with pytest.raises(ValueError, match="takes no plain bytes"):
        quantization.litert_logits(content, images)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8"])
def test_images_that_are_no_bytes_are_refused(
        dtype, model, images, int8, integers, ranges):
    others = images[:2].astype(dtype)
    for use in (
            lambda: quantization.litert_logits(int8, others),
            lambda: quantization.scaled(others),
            lambda: quantization.run_integers(integers, ranges, others),
            lambda: quantization.converted(model, "int8", others)):
        with pytest.raises(ValueError, match=f"must be uint8, .*not {dtype}"):
            use()


def test_network_that_keras_has_quantised_is_not_folded():
    model = random_model()
    model.quantize("int8")
    with pytest.raises(ValueError, match="'logits' is int8 already"):
        quantization.folded_layers(model)


def test_bytes_that_are_no_network_are_refused():
    with pytest.raises(ValueError, match="[Mm]odel"):
        quantization.interpreter(b"no network at all")


def test_without_litert_tensorflows_copy_gives_the_same_answers(
        int8, images, monkeypatch):
    with_litert = quantization.litert_logits(int8, images)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it warns of its own end
        made = quantization.interpreter(int8)
    assert type(made).__module__.startswith("tensorflow")
    without = quantization.litert_logits(int8, images)
    assert np.mean(with_litert.argmax(1) == without.argmax(1)) > 0.9
    assert np.abs(with_litert - without).max() < 0.1 * with_litert.std()


@pytest.mark.skipif(not REAL, reason="CIFAR10_DIR is not set")
@pytest.mark.parametrize("name", sorted(
    path.stem for path in (BOOK / "weights").glob("*.tflite")))
def test_int8_of_a_committed_network_on_the_real_test_images(name):
    """What is expected of it, on all 10,000; run with -s to read it."""
    recipe = recipes.RECIPES[name]
    model = network.mobilenet_v1((32, 32, 3), 10, **recipe["network"])
    records.load_weights(model, BOOK / "weights" / f"{name}.npz")
    training_set, (images, labels) = cifar10.load_cifar10()
    (kept, _), _ = batches.validation_split(
        *training_set, recipe["validation"])
    # Chapter 11 asks all four forms, of a third network.
    files = {form: quantization.converted(model, form, kept[:500])
             for form in ("float32", "int8")}
    files["committed"] = (BOOK / "weights" / f"{name}.tflite").read_bytes()
    accuracy = {}
    for form in ("int8", "committed"):
        logits = quantization.litert_logits(files[form], images, 2, 250)
        accuracy[form] = 100 * np.mean(logits.argmax(axis=1) == labels)
        print(f"{name}, {form}: {accuracy[form]:.2f} %,"
              f" {len(files[form]):,} bytes")
    result = json.loads((BOOK / "runs" / name / "result.json").read_text())
    assert abs(accuracy["int8"] - accuracy["committed"]) < 0.3
    assert accuracy["committed"] > 100 * result["test_accuracy"] - 0.5
    # A byte for four, 28 for a channel (chapter 11), and some names.
    channels = sum(variable.shape[0] for variable in model.weights
                   if variable.path.endswith("gamma")) + 10
    assert len(files["committed"]) < (
        len(files["float32"]) / 4 + 28 * channels + 40_000)
