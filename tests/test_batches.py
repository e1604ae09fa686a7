"""Images on their way to a network: split, augmented, scaled, in batches."""

import numpy as np
import pytest
from mobilenet import batches


@pytest.fixture(scope="module")
def sixty():
    """Return 60 images, no two alike, and labels of all ten classes."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    return images, np.tile(np.arange(10, dtype=np.uint8), 6)


def test_generated_images_are_the_same_for_one_seed_alone():
    images, labels = batches.generated_images(40, seed=5)
    again, same_labels = batches.generated_images(40, seed=5)
    other, _ = batches.generated_images(40, seed=6)
    assert (images == again).all() and (labels == same_labels).all()
    assert (images != other).any()


def test_generated_images_are_shaped_like_cifar10():
    images, labels = batches.generated_images(500)
    assert images.shape == (500, 32, 32, 3) and labels.shape == (500,)
    assert images.dtype == labels.dtype == np.uint8
    assert set(labels.tolist()) == set(range(10))


def test_generated_images_can_be_told_apart_by_class():
    images, labels = batches.generated_images(500)
    means = [images[labels == name].mean() for name in range(10)]
    assert (np.diff(means) > 10).all()


@pytest.mark.parametrize("count", [0, 1, 20, 100])
def test_validation_split_is_disjoint_and_complete_and_keeps_labels(count):
    images, labels = np.arange(100), np.arange(100) % 7
    train, aside = batches.validation_split(images, labels, count, seed=2)
    assert len(aside[0]) == count and len(train[0]) == 100 - count
    assert sorted([*train[0], *aside[0]]) == list(range(100))
    for x, y in (train, aside):
        assert (y == x % 7).all()


def test_validation_split_is_drawn_by_its_seed():
    numbers = np.arange(100)

    def drawn(seed):
        return batches.validation_split(
            numbers, numbers, 20, seed)[1][0].tolist()

    assert drawn(0) == drawn(0) != drawn(1)
    assert sorted(drawn(0)) != list(range(20))


def numbered(count):
    """Return images whose every byte is their number, and labels from it."""
    numbers = np.arange(count, dtype=np.uint8)
    images = np.broadcast_to(numbers[:, None, None, None], (count, 32, 32, 3))
    return images, numbers % 10


def all_batches(data):
    return [(x.numpy(), y.numpy()) for x, y in data]


def numbers_seen(data):
    """Return the numbers of numbered images, in the order they come."""
    images = np.concatenate([x for x, _ in all_batches(data)])
    return np.rint((images[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()


def test_pipeline_gives_float_batches_and_keeps_the_last_short_one():
    found = all_batches(batches.pipeline(*numbered(70), batch=32))
    assert [x.shape for x, _ in found] == [
        (32, 32, 32, 3), (32, 32, 32, 3), (6, 32, 32, 3)]
    assert [y.shape for _, y in found] == [(32,), (32,), (6,)]
    assert all(x.dtype == np.float32 for x, _ in found)


def test_pipeline_maps_bytes_0_51_255_to_minus_1_minus_06_and_1():
    images = np.zeros((3, 32, 32, 3), np.uint8)
    images[1], images[2] = 51, 255
    (batch, _), = all_batches(
        batches.pipeline(images, np.zeros(3, np.uint8)))
    for image, value in zip(batch, (-1, -0.6, 1), strict=True):
        np.testing.assert_allclose(image, value, atol=1e-6)


def test_pipeline_without_a_seed_keeps_the_order():
    assert numbers_seen(
        batches.pipeline(*numbered(50), batch=16)) == list(range(50))


def test_pipeline_order_is_decided_by_the_seed():
    def order(seed):
        return numbers_seen(batches.pipeline(*numbered(50), 16, seed))

    assert order(1) == order(1) != order(2)
    assert order((1, 0)) == order((1, 0)) != order((1, 1))
    assert sorted(order(1)) == sorted(order((1, 1))) == list(range(50))


def test_pipeline_keeps_each_image_with_its_label():
    data = batches.pipeline(*numbered(50), 16, seed=4)
    labels = np.concatenate([y for _, y in all_batches(data)])
    assert labels.tolist() == [n % 10 for n in numbers_seen(data)]


@pytest.mark.parametrize("label", [-1, 10, 100])
def test_pipeline_names_labels_out_of_range(label):
    images, labels = numbered(5)
    labels = labels.astype(int)
    labels[3] = label
    with pytest.raises(ValueError, match=f"labels must be 0 to 9.*{label}"):
        batches.pipeline(images, labels)


@pytest.mark.parametrize("as_keras", [
    lambda labels: labels[:, None], lambda labels: labels[:, None].tolist(),
    lambda labels: labels.astype(np.int64)])
def test_pipeline_takes_labels_as_keras_loads_them(as_keras):
    (images, _), labels = numbered(5), np.array([3, 1, 4, 1, 5], np.uint8)
    batch, = all_batches(batches.pipeline(images, as_keras(labels), 5))
    assert batch[1].tolist() == [3, 1, 4, 1, 5]


@pytest.mark.parametrize(("labels", "text"), [
    (np.eye(10)[[3, 1, 4]], r"float64 of shape \(3, 10\)"),
    (np.eye(10, dtype=int)[[3, 1, 4]], r"of shape \(3, 10\)"),
    (np.array([3.5, 1, 4]), r"float64 of shape \(3,\)"),
    (np.zeros((1, 3), int), r"of shape \(1, 3\)"),
    (np.zeros(4, int), r"of shape \(4,\)"), (["3", "1", "4"], "<U1 of")])
def test_pipeline_refuses_labels_that_are_no_classes(labels, text):
    with pytest.raises(ValueError, match=f"labels must be whole .*{text}"):
        batches.pipeline(numbered(3)[0], labels)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16"])
def test_pipeline_refuses_images_that_are_no_bytes(dtype):
    images = numbered(3)[0].astype(dtype)
    with pytest.raises(ValueError, match=f"must be uint8, .* not {dtype}"):
        batches.pipeline(images, np.zeros(3, np.uint8))


@pytest.mark.parametrize("augment", ["False", None, "no"])
def test_pipeline_names_an_augment_that_is_no_switch(augment):
    with pytest.raises(ValueError, match=f"augment must .* not {augment!r}"):
        batches.pipeline(
            numbered(3)[0], np.zeros(3, np.uint8), seed=1, augment=augment)


def test_pipeline_leaves_autotune_off():
    # Keras can wait 20 s an epoch for it.
    options = batches.pipeline(*numbered(5)).options()
    assert options.autotune.enabled is False


def shifted(image, y, x, mirror):
    """Return an image shifted by loops: it reads from y, x on."""
    height, width, _ = image.shape

    def inside(place, side):
        place = abs(place)
        return 2 * (side - 1) - place if place >= side else place

    result = np.empty_like(image)
    for i in range(height):
        for j in range(width):
            to = width - 1 - j if mirror else j
            result[i, to] = image[inside(i + y, height), inside(j + x, width)]
    return result


@pytest.mark.parametrize(("margin", "height", "width"), [(4, 32, 32),
                                                         (2, 9, 6)])
def test_augmented_shifts_and_mirrors_as_loops_do(margin, height, width):
    rng = np.random.default_rng(11)
    images = rng.integers(0, 256, (12, height, width, 3), dtype=np.uint8)
    rng = np.random.default_rng((5, 3))
    side = 2 * margin + 1
    places = rng.integers(0, side * side, 12)
    mirrored = rng.random(12) < 0.5
    expected = [
        shifted(image, place // side - margin, place % side - margin, mirror)
        for image, place, mirror in zip(images, places, mirrored)]
    result = batches.augmented(images, (5, 3), margin)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


def test_augmented_shifts_by_4_pixels_at_most_unless_told():
    # On a ramp the middle pixel tells the shift, if 16 or less.
    ramp = np.arange(32, dtype=np.uint8)
    images = np.zeros((3000, 32, 32, 3), np.uint8)
    images[..., 0] = ramp[:, None]
    moved = batches.augmented(images, 0)[:, 16, 16, 0].astype(int) - 16
    assert set(moved.tolist()) == set(range(-4, 5))


def test_augmented_draws_every_shift_and_mirrors_half():
    rng = np.random.default_rng(12)
    image = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    cases = {
        shifted(image, y, x, mirror).tobytes(): (y, x, mirror)
        for y in (-1, 0, 1) for x in (-1, 0, 1) for mirror in (False, True)}
    assert len(cases) == 18
    result = batches.augmented(np.stack([image] * 1800), 1, margin=1)
    counts = dict.fromkeys(cases.values(), 0)
    for one in result:
        counts[cases[one.tobytes()]] += 1
    # 100 each is expected, with a standard deviation of 10.
    assert all(50 < count < 150 for count in counts.values())
    mirrored = sum(counts[case] for case in counts if case[2])
    assert 780 < mirrored < 1020


def test_augmented_is_decided_by_its_seed_and_leaves_its_input(sixty):
    images, _ = sixty
    before = images.copy()
    first = batches.augmented(images, (0, 7))
    assert (first == batches.augmented(images, (0, 7))).all()
    assert (first != batches.augmented(images, (1, 7))).any()
    assert (images == before).all()
    assert batches.augmented(images[:0], 0).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("seed", [4, (4, 0)])
def test_pipeline_augments_the_images_it_has_shuffled(seed, sixty):
    plain = all_batches(batches.pipeline(*sixty, 16, seed))
    order = np.concatenate([x for x, _ in plain])
    order = np.rint((order + 1) * 127.5).astype(np.uint8)
    data = all_batches(batches.pipeline(*sixty, 16, seed, augment=True))
    images = np.concatenate([x for x, _ in data])
    assert images.dtype == np.float32
    np.testing.assert_array_equal(
        np.rint((images + 1) * 127.5), batches.augmented(order, seed))
    assert [y.tolist() for _, y in data] == [y.tolist() for _, y in plain]


def test_pipeline_keeps_each_augmented_image_with_its_label():
    # A shift or a mirror leaves an image of one value as it is.
    data = batches.pipeline(*numbered(50), 16, seed=4, augment=True)
    labels = np.concatenate([y for _, y in all_batches(data)])
    numbers = numbers_seen(data)
    assert sorted(numbers) == list(range(50)) != numbers
    assert labels.tolist() == [n % 10 for n in numbers]


def test_pipeline_augments_an_epoch_as_its_seed_says(sixty):
    def epoch(seed):
        data = batches.pipeline(*sixty, 60, seed, augment=True)
        (images, _), = all_batches(data)
        return images

    assert (epoch((0, 1)) == epoch((0, 1))).all()
    assert (epoch((0, 1)) != epoch((0, 2))).any()


def test_pipeline_refuses_to_augment_without_a_seed(sixty):
    with pytest.raises(ValueError, match="augment needs a seed"):
        batches.pipeline(*sixty, augment=True)
    batches.pipeline(*sixty, seed=0, augment=True)
