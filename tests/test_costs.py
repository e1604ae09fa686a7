"""The counter against loops that count, Keras, and TensorFlow's profiler.

The profiler counts a multiply-add as two operations, a grouped convolution
as none, and additions of bias and batch norm that we leave out: so we compare
with half of what its three kinds of product come to.
"""

import itertools

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers
from mobilenet import costs, network

# height, width, channels, filters, kernel, stride
SIZES = [
    (4, 4, 2, 3, 3, 1), (5, 4, 3, 2, 3, 2), (7, 3, 2, 5, 1, 1),
    (6, 6, 1, 4, 5, 3), (1, 1, 3, 2, 3, 2), (7, 7, 4, 1, 2, 2),
]


def counted_in_loops(height, width, stride, *ranges):
    """Return (weights, multiply-adds), counting each one by one.

    ranges are the axes of the weights; each weight is used once at each
    position that the stride visits.
    """
    used = [
        weight for _ in range(0, height, stride)
        for _ in range(0, width, stride)
        for weight in itertools.product(*map(range, ranges))]
    return len(set(used)), len(used)


@pytest.mark.parametrize("size", SIZES)
def test_conv_cost_equals_a_count_in_loops(size):
    height, width, channels, filters, kernel, stride = size
    assert costs.conv_cost(*size) == counted_in_loops(
        height, width, stride, kernel, kernel, channels, filters)


@pytest.mark.parametrize("size", SIZES)
def test_separable_cost_equals_a_count_in_loops(size):
    height, width, channels, filters, kernel, stride = size
    depthwise = counted_in_loops(
        height, width, stride, kernel, kernel, channels)
    pointwise = counted_in_loops(height, width, stride, channels, filters)
    assert costs.separable_cost(*size) == (
        depthwise[0] + pointwise[0], depthwise[1] + pointwise[1])


@pytest.mark.parametrize("size", SIZES)
def test_closed_forms_have_the_weights_of_keras_layers(size):
    height, width, channels, filters, kernel, stride = size
    full = layers.Conv2D(filters, kernel, padding="same", use_bias=False)
    depthwise = layers.DepthwiseConv2D(
        kernel, padding="same", use_bias=False)
    pointwise = layers.Conv2D(filters, 1, use_bias=False)
    for layer in (full, depthwise, pointwise):
        layer.build((1, height, width, channels))
    assert costs.conv_cost(*size).params == full.count_params()
    assert costs.separable_cost(*size).params == (
        depthwise.count_params() + pointwise.count_params())


def test_four_by_four_map_by_hand():
    # 16 positions: 16 * 18 * 3 as one layer; 16 * 9 * 2 and 16 * 2 * 3 as two.
    assert costs.conv_cost(4, 4, 2, 3) == (54, 864)
    assert costs.separable_cost(4, 4, 2, 3) == (24, 288 + 96)


def test_closed_forms_give_the_papers_table_3():
    # Printed there as 462, 52.3, 29.6, 15.1 and 2.36, 0.27, 0.15 million.
    assert costs.conv_cost(14, 14, 512, 512) == (2_359_296, 462_422_016)
    assert costs.separable_cost(14, 14, 512, 512) == (266_752, 52_283_392)
    assert costs.separable_cost(14, 14, 384, 384) == (150_912, 29_578_752)
    assert costs.separable_cost(10, 10, 384, 384) == (150_912, 15_091_200)


@pytest.mark.parametrize("bad", [0, -1, 1.5, "3", None])
@pytest.mark.parametrize(
    "argument",
    ["height", "width", "channels", "filters", "kernel", "stride"])
@pytest.mark.parametrize(
    "function", [costs.conv_cost, costs.separable_cost])
def test_closed_forms_name_a_bad_size(function, argument, bad):
    sizes = {"height": 4, "width": 4, "channels": 2, "filters": 3}
    with pytest.raises(ValueError, match=f"{argument} must .* not {bad!r}"):
        function(**{**sizes, argument: bad})


def test_closed_forms_take_the_whole_numbers_of_numpy():
    assert costs.conv_cost(*np.array([4, 4, 2, 3])) == (54, 864)


def float_operations(node):
    """Yield (kind of operation, its float operations) of a profile."""
    yield node.name, node.float_ops
    for child in node.children:
        yield from float_operations(child)


def profiled_macs(model):
    """Return half of the float operations that the profiler finds."""
    images = tf.TensorSpec((1, *model.input_shape[1:]))
    graph = tf.function(model).get_concrete_function(images).graph
    profiler = tf.compat.v1.profiler
    builder = profiler.ProfileOptionBuilder
    # Fixed shapes, so the graph need not be frozen to be counted, which for
    # VGG16 would take a second copy of half a gigabyte.
    options = builder(builder.float_operation()).with_empty_output().build()
    kinds = dict(float_operations(
        profiler.profile(graph=graph, cmd="op", options=options)))
    twice = sum(
        kinds.get(kind, 0)
        for kind in ("Conv2D", "DepthwiseConv2dNative", "MatMul"))
    assert twice > 0 and twice % 2 == 0
    return twice // 2


def total_macs(model):
    return int(costs.count(model).macs.sum())


def random_network(seed):
    """Return a small network whose every argument is drawn with seed."""
    rng = np.random.default_rng(seed)
    body = tuple(
        (int(rng.integers(8, 40)), int(rng.integers(1, 4)))
        for _ in range(rng.integers(1, 5)))
    arguments = {
        "input_shape": tuple(int(side) for side in rng.integers(1, 40, 3)),
        "classes": int(rng.integers(1, 30)),
        "alpha": float(rng.uniform(0.13, 1.5)),
        "stem_stride": int(rng.integers(1, 4)),
        "stride_on": str(rng.choice(["depthwise", "pointwise"])),
        "use_bias": bool(rng.integers(2)),
        "activation": str(rng.choice(["relu", "relu6"])),
        "separable": bool(rng.integers(2)),
        "body": body,
    }
    print(arguments)
    return network.mobilenet_v1(**arguments)


@pytest.mark.parametrize("seed", range(40))
def test_count_equals_the_profiler_on_a_random_network(seed):
    model = random_network(seed)
    assert total_macs(model) == profiled_macs(model)
    assert costs.count(model).params.sum() == model.count_params()


def test_mobilenet_at_224_has_the_papers_569_million():
    model = network.mobilenet_v1()
    assert total_macs(model) == profiled_macs(model) == 568_740_352


def test_count_equals_the_profiler_on_keras_mobilenet_v2():
    model = keras.applications.MobileNetV2(weights=None)
    assert total_macs(model) == profiled_macs(model)


def test_keras_vgg16_has_15_470_264_320():
    model = keras.applications.VGG16(weights=None)
    assert total_macs(model) == profiled_macs(model) == 15_470_264_320
    keras.backend.clear_session()


def model_of(shape, *stack):
    """Return a model of layers one after the other."""
    return keras.Sequential([keras.Input(shape, name="images"), *stack])


def test_count_has_one_row_a_layer_with_hand_counted_values():
    images = keras.Input((4, 4, 2), name="images")
    x = layers.DepthwiseConv2D(3, padding="same", name="filter")(images)
    x = layers.BatchNormalization(name="normalise")(x)
    x = layers.ReLU(name="clip")(x)
    x = layers.Conv2D(3, 1, name="mix")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dense(5, name="logits")(x)
    table = costs.count(keras.Model(images, x))
    assert list(table.columns) == [
        "layer", "kind", "output", "macs", "params"]
    assert [tuple(row) for row in table.to_numpy()] == [
        ("images", "other", (4, 4, 2), 0, 0),
        ("filter", "depthwise", (4, 4, 2), 288, 18 + 2),
        ("normalise", "batch norm", (4, 4, 2), 0, 4 * 2),
        ("clip", "activation", (4, 4, 2), 0, 0),
        ("mix", "pointwise", (4, 4, 3), 96, 6 + 3),
        ("average", "pooling", (3,), 0, 0),
        ("logits", "dense", (5,), 15, 15 + 5)]


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_grouped_convolution_meets_its_own_group_alone(groups):
    model = model_of(
        (5, 4, 6), layers.Conv2D(
            12, 3, 2, padding="same", groups=groups, name="grouped"))
    macs = 0
    for _ in itertools.product(range(0, 5, 2), range(0, 4, 2), range(9)):
        for channel, filters in itertools.product(range(6), range(12)):
            macs += channel // (6 // groups) == filters // (12 // groups)
    assert total_macs(model) == macs


def test_depth_multiplier_filters_each_channel_so_many_times():
    model = model_of((5, 5, 3), layers.DepthwiseConv2D(
        3, 2, padding="same", depth_multiplier=4))
    assert total_macs(model) == counted_in_loops(5, 5, 2, 3, 3, 3, 4)[1]


def test_valid_padding_visits_fewer_positions():
    # A 3 x 3 kernel fits a 5 x 4 map at 3 * 2 places.
    model = model_of((5, 4, 2), layers.Conv2D(7, 3, padding="valid"))
    assert total_macs(model) == 3 * 2 * 9 * 2 * 7


def test_dilated_convolution_costs_what_its_taps_do():
    model = model_of((6, 6, 2), layers.Conv2D(
        3, 3, dilation_rate=2, padding="same"))
    assert total_macs(model) == counted_in_loops(6, 6, 1, 3, 3, 2, 3)[1]


def test_keras_separable_layer_costs_what_its_two_parts_do():
    model = model_of((7, 5, 4), layers.SeparableConv2D(
        6, 3, 2, padding="same", depth_multiplier=2))
    depthwise = counted_in_loops(7, 5, 2, 3, 3, 4, 2)[1]
    pointwise = counted_in_loops(7, 5, 2, 8, 6)[1]
    assert total_macs(model) == depthwise + pointwise


def test_dense_layer_on_a_sequence_works_at_every_step():
    model = model_of((5, 7), layers.Dense(4))
    assert total_macs(model) == counted_in_loops(5, 1, 1, 7, 4)[1]


def every_kind():
    """Return a model with a layer of each counted kind, named after it."""
    return model_of(
        (8, 8, 4), layers.Conv2D(6, 3, groups=2, name="grouped"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
        layers.SeparableConv2D(5, 3, padding="same", name="separable"),
        layers.Conv2D(8, 1, use_bias=False, name="pointwise"),
        layers.Flatten(), layers.Dense(16, use_bias=False, name="wide"),
        layers.Dense(10, name="logits"))


@pytest.mark.parametrize("mode", ["int8", "int4", "float8", "lora"])
def test_quantised_layers_and_lora_count_as_what_they_were(mode):
    model = every_kind()
    before = costs.count(model)
    # 36 places of 3 x 3 x 2 x 6; of 16 x 3 x 3 x 12 and so on.
    assert list(before.macs) == [
        36 * 108, 16 * 108, 16 * (108 + 60), 16 * 40, 0, 128 * 16, 160]
    assert int(before.params.sum()) == model.count_params()
    if mode == "lora":
        for name in ("pointwise", "wide", "logits"):
            model.get_layer(name).enable_lora(2)
    else:
        try:
            model.quantize(mode)
        except ValueError as error:
            if "Invalid quantization mode" in str(error):
                pytest.skip(f"this Keras knows no {mode}")
            raise
    assert model.count_params() != int(before.params.sum())
    pd.testing.assert_frame_equal(costs.count(model), before)


class Doubled(layers.Conv2D):
    """A convolution that works twice, which its class alone tells."""

    def call(self, inputs):
        return super().call(inputs) + super().call(inputs)


class Mixing(layers.Layer):
    """A layer with a matrix product of its own."""

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], 4), name="kernel")

    def call(self, inputs):
        return inputs @ self.kernel


@pytest.mark.parametrize(("shape", "layer"), [
    ((8, 8, 3), Doubled(4, 3)), ((8, 8, 3), Mixing()),
    ((8, 8, 3), layers.Conv2DTranspose(4, 3)), ((8, 3), layers.LSTM(4)),
    ((8, 3), layers.Conv1D(4, 3)),
    ((8, 3), layers.EinsumDense("abc,cd->abd", (8, 4))),
    ((3,), keras.Sequential([keras.Input((3,)), layers.Dense(2)]))])
def test_layer_of_unknown_kind_is_refused_by_name(shape, layer):
    model = model_of(shape, layer)
    with pytest.raises(
            ValueError, match=f"'{layer.name}' is a {type(layer).__name__}"):
        costs.count(model)


def test_unknown_kind_is_refused_among_known_ones():
    model = model_of(
        (8, 8, 3), layers.Conv2D(4, 3), layers.Conv2DTranspose(3, 2),
        layers.ReLU())
    with pytest.raises(ValueError, match="Conv2DTranspose"):
        costs.count(model)


def test_operation_that_is_no_layer_is_refused():
    images = keras.Input((5, 5), name="images")
    with pytest.raises(ValueError, match="(?i)matmul"):
        costs.count(keras.Model(images, keras.ops.matmul(images, images)))


def test_layer_called_twice_is_refused_by_name():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    images = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="'shared'"):
        costs.count(keras.Model(images, shared(shared(images))))


def test_layer_of_another_model_too_is_refused_or_counted_at_its_own_size():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    shared(keras.Input((2, 2, 3)))
    images = keras.Input((8, 8, 3))
    try:
        macs = total_macs(keras.Model(images, shared(images)))
    except ValueError as error:
        assert "'shared'" in str(error)
    else:
        assert macs == counted_in_loops(8, 8, 1, 3, 3, 3, 3)[1]


def test_unbuilt_model_is_refused():
    with pytest.raises(ValueError, match="'never'"):
        costs.count(keras.Sequential([layers.Dense(3, name="never")]))


class Subclassed(keras.Model):
    """A model whose layers cannot be read off it."""

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], 4), name="kernel")

    def call(self, inputs):
        return inputs @ self.kernel


def test_model_without_a_graph_of_layers_is_refused():
    model = Subclassed()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match=model.name):
        costs.count(model)


@pytest.mark.parametrize(
    "shape", [(None, None, 3), (8, None, 3), (None, 8, 3)])
def test_input_side_that_is_not_known_is_refused(shape):
    images = keras.Input(shape, name="images")
    model = keras.Model(images, layers.Conv2D(4, 3)(images))
    with pytest.raises(ValueError, match="fixed input shape"):
        costs.count(model)


@pytest.mark.parametrize("layer", [
    layers.Conv2D(4, 3, data_format="channels_first", name="first"),
    layers.GlobalAveragePooling2D(data_format="channels_first", name="first"),
])
def test_channels_first_is_refused_by_name(layer):
    with pytest.raises(ValueError, match="'first' must be channels_last"):
        costs.count(model_of((3, 8, 8), layer))
