"""MobileNet v2 against keras.applications and the paper's table 2."""

import keras
import numpy as np
import pytest
from mobilenet import costs, network_v2
from test_network import (  # noqa: F401, float64 is a fixture
    float64,
    random_images,
    randomise,
    transplant,
    weighted,
)


def applications_v2(alpha, side, classes):
    """Return Keras's own MobileNetV2, ending in logits as ours does."""
    return keras.applications.MobileNetV2(
        (side, side, 3), alpha, weights=None, classes=classes,
        classifier_activation=None)


@pytest.mark.parametrize(("alpha", "macs", "trainable"), [
    (1, 300_774_272, 3_504_872), (1.4, 582_195_824, 6_108_776),
    (0.35, None, None)])
def test_counts_equal_keras_applications(alpha, macs, trainable):
    theirs = applications_v2(alpha, 224, 1000)
    ours = network_v2.mobilenet_v2(alpha=alpha)
    assert ours.count_params() == theirs.count_params()
    count = costs.count(ours)
    assert count.macs.sum() == costs.count(theirs).macs.sum()
    assert macs in (None, count.macs.sum())
    assert trainable in (None, sum(
        np.prod(weight.shape) for weight in ours.trainable_weights))


def logits(model, theirs):
    transplant(theirs, model)
    return model.predict_on_batch(random_images(64, 64))


@pytest.fixture
def theirs(float64):  # noqa: F811
    model = applications_v2(0.35, 64, 10)
    randomise(model)
    return model


def test_logits_equal_keras_applications_and_only_so(theirs):
    expected = theirs.predict_on_batch(random_images(64, 64))
    assert np.ptp(expected, axis=0).min() >= 1, "the logits ignore the image"
    ours = network_v2.mobilenet_v2((64, 64, 3), 10, 0.35)
    np.testing.assert_allclose(
        logits(ours, theirs), expected, rtol=0, atol=1e-4)
    for options in ({"stem_stride": 1}, {"body": (
            *network_v2.BODY_V2[:4], (6, 96, 3, 2), (6, 160, 3, 1),
            network_v2.BODY_V2[-1])}):
        other = network_v2.mobilenet_v2((64, 64, 3), 10, 0.35, **options)
        assert np.abs(logits(other, theirs) - expected).max() > 1
    assert len(weighted(ours)) == 2 * 52 + 1


def test_a_block_adds_its_input_where_the_shape_stays():
    model = network_v2.mobilenet_v2((32, 32, 3), 10)
    added = [layer.name for layer in model.layers
             if isinstance(layer, keras.layers.Add)]
    assert added == [f"block{number}_add" for number in (
        3, 5, 6, 8, 9, 10, 12, 13, 15, 16)]
    projections = [layer for layer in model.layers
                   if layer.name.endswith("project_relu")]
    assert not projections


@pytest.mark.parametrize(("channels", "rounded"), [
    (3, 8), (11.2, 16), (12, 16), (33.6, 32), (22.4, 24), (67.2, 64),
    (76, 80), (1792, 1792)])
def test_channels_are_counted_in_eights(channels, rounded):
    assert network_v2.in_eights(channels) == rounded
