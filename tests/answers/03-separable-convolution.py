"""Right and wrong answers to the checks of chapter 3."""


def filtered(image, weights, stride=1, padding="same"):
    """Filter each channel r times, as exercise 3 asks."""
    view = windows(image, len(weights), stride, padding)
    maps = np.einsum("yxcij,ijcq->yxcq", view, weights)
    return maps.reshape(*maps.shape[:2], -1)


def by_tensorflow(image, weights, stride, padding):
    """Filter in single precision."""
    image, weights = (one.astype("float32") for one in (image, weights))
    return tf.nn.depthwise_conv2d(
        image[None], weights, (1, stride, stride, 1), padding.upper())[0]


def filter_by_filter(image, weights, stride, padding):
    """Filter with q running slowest, not fastest."""
    return np.concatenate([
        depthwise_conv2d(image, one, stride, padding)
        for one in np.moveaxis(weights, -1, 0)], axis=-1)


def for_three_channels(image, weights, stride, padding):
    """Filter only what the check of old tried: C = 3 and r = 2."""
    view = windows(image, len(weights), stride, padding)
    maps = np.einsum("yxcij,ijcq->yxcq", view, weights)
    return maps.reshape(*maps.shape[:2], 6)


def merged(layer, order=(0, 1), shape=None):
    """Merge the kernels of a SeparableConv2D, right or in another order."""
    one, many = (np.asarray(part) for part in (
        layer.depthwise_kernel, layer.pointwise_kernel))
    c, r = one.shape[2:]
    rows = many.reshape(*((c, r), (r, c))[order != (0, 1)], -1)
    kernel = np.einsum(
        "ijcq,cqm->ijcm", one, rows.transpose(*order, 2))
    return kernel.reshape(shape) if shape else kernel


def for_one_filter(layer):
    """Merge as if every channel had one filter."""
    return np.einsum("ijcq,cm->ijcm", np.asarray(layer.depthwise_kernel),
                     np.asarray(layer.pointwise_kernel)[0, 0])


def mixed_first(kernel, power=1, which=0):
    """Return P and D of a kernel that mixes first."""
    k, _, c, m = kernel.shape
    u, s, v = np.linalg.svd(
        kernel.reshape(k * k, c, m).transpose(2, 0, 1), full_matrices=False)
    filters = u[..., which] * s[:, which, None] ** power
    return v[:, which].T, filters.T.reshape(k, k, m)


assert check_1((24000, 600, 960)) == "correct"
assert check_1([24e3, 6e2, 960.0]) == "correct"
assert check_1(np.array([24000, 600, 960])) == "correct"
assert "standard: these layers have no biases" in check_1((24040, 600, 960))
assert "depthwise: how many filters" in check_1((24000, 1000, 960))
assert "depthwise" in check_1((24000, 960, 600))
assert "40 filters" in check_1((1000, 600, 960))
assert "40 sums" in check_1((24000, 600, 40))
assert "three whole numbers" in check_1(25560)

assert check_2(15) == "correct"
assert check_2(np.float64(15)) == "correct"
assert "give" in check_2("15")
assert "which way must you round" in check_2(25 * 32 / 57)
assert "fewer weights" in check_2(14)
assert "a smaller r" in check_2(25)
assert "give a whole number" in check_2((15,))

assert check_3(filtered) == "correct"
assert check_3(by_tensorflow) == "correct"
assert check_3(lambda *given: filtered(*given).tolist()) == "correct"
assert "in another order" in check_3(filter_by_filter)
assert ("C = 3, r = 1, k = 3, stride 1, 'same': your function stops: cannot"
        " reshape") in check_3(for_three_channels)
assert "nothing" in check_3(lambda *given: None)
assert ("stride 2, 'same': the output is (7, 6, 6), and should be"
        " (4, 3, 6)") in check_3(
    lambda image, weights, stride, padding: filtered(image, weights))
assert "numbers are not" in check_3(lambda *given: filtered(*given)[::-1])

assert check_4(merged) == "correct"
assert check_4(lambda one: tf.constant(merged(one))) == "correct"
assert "multiplier 2: your function stops: what in it" in check_4(
    for_one_filter)
assert ("multiplier 2: the shape is correct, the numbers are not: which rows"
        " belong") in check_4(lambda one: merged(one, (1, 0)))
assert "kernel is (36, 5)" in check_4(
    lambda one: merged(one, shape=(-1, one.filters)))
assert "the kernel is ()" in check_4(lambda one: None)
assert "stops the check: AttributeError" in check_4(lambda one: one.kernel)

assert check_5(mixed_first) == "correct"
assert check_5(lambda kernel: [
    2 * mixed_first(kernel)[0], mixed_first(kernel)[1] / 2]) == "correct"
assert "wrong size" in check_5(lambda kernel: mixed_first(kernel, 0))
assert "lose less" in check_5(lambda kernel: mixed_first(kernel, which=1))
assert "P of shape (C, M)" in check_5(lambda kernel: mixed_first(kernel)[::-1])
assert "return two arrays" in check_5(lambda kernel: None)
assert "lose less" in check_5(
    lambda kernel: (kernel.mean((0, 1)), kernel.mean(2)))

assert check_6((1, 4, 9)) == "correct"
assert check_6(np.array([1, 4, 9])) == "correct"
assert "is there another" in check_6((1, 4, 16))
assert "several filters" in check_6((1, 1, 1))
assert "25 rows" in check_6((1, 4, 25))
assert "N = 4: that is not" in check_6((1, 2, 9))
assert "three ranks" in check_6(9)

assert check_7((36, 16, 6)) == "correct"
assert check_7([np.float64(36), 16.0, np.float32(6)]) == "correct"
assert check_7(np.array([36, 16, 6])) == "correct"
assert "(i) and (ii)" in check_7((16, 36, 6))
assert "(i): the squares of outputs" in check_7((1, 16, 6))
assert "(i): add up all four" in check_7((9, 16, 6))
assert "(i): square" in check_7((12, 16, 6))
assert "(i): no root" in check_7((6, 4, 6))
assert "(ii): " in check_7((36, 4, 6))
assert "(ii): square" in check_7((36, 8, 6))
assert "(ii): which output is lost" in check_7((36, 52, 6))
assert "(iii): does one line" in check_7((36, 16, 0))
assert "(iii): a constant" in check_7((36, 16, 18))
assert "(iii): the sum" in check_7((36, 16, 2))
assert "(iii): you leave the ReLU out" in check_7((36, 16, 36))
assert "(iii): how far" in check_7((36, 16, 5))
assert "three numbers" in check_7((36, 16))
assert "three numbers" in check_7(36)

RELATIVES = ("mobilenet", "spatial", "inception", "separable", "grouped")
assert check_8(RELATIVES) == "correct"
assert check_8([word.title() for word in RELATIVES]) == "correct"
assert check_8(np.array(RELATIVES)) == "correct"
assert "a is not 'grouped': how many channels" in check_8(
    ("grouped", *RELATIVES[1:4], "mobilenet"))
assert "a is not 'separable': is nothing between" in check_8(
    ("separable", "spatial", "inception", "mobilenet", "grouped"))
assert "b is not 'separable'" in check_8(
    ("mobilenet", "separable", "inception", "spatial", "grouped"))
assert "c is not 'separable'" in check_8(
    ("mobilenet", "spatial", "separable", "inception", "grouped"))
assert "b is not 'inception': which half" in check_8(
    ("mobilenet", "inception", "spatial", "separable", "grouped"))
assert "d is not 'grouped': how many" in check_8(
    ("mobilenet", "spatial", "inception", "grouped", "separable"))
assert "a is not 'spatial': are the rows" in check_8(
    ("spatial", "mobilenet", "inception", "separable", "grouped"))
assert "each of the five words" in check_8(("mobilenet",) * 5)
assert "each of the five words" in check_8(("xception", *RELATIVES[1:]))
assert "five words" in check_8("mobilenet")
