"""Right and wrong answers to the checks of chapter 2."""


def dilated(span=lambda k, d: (k - 1) * d + 1, turn=1):
    """Return a dilated convolution, right or with one slip."""
    def convolve(image, weights, dilation):
        k = len(weights)
        width = span(k, dilation)
        view = windows(image, width, 1, "valid")
        taps = view[..., ::dilation, ::dilation][..., :k, :k]
        return np.einsum(
            "yxcij,ijcm->yxm", taps, weights[:taps.shape[-2],
                                             :taps.shape[-1]][::turn, ::turn])
    return convolve


def one_kernel(first, second, add=True):
    """Return the kernel of two layers, right or with one slip."""
    kernel = np.zeros((5, 5))
    for i, j in product(range(3), repeat=2):
        piece = kernel[i:i + 3, j:j + 3]
        piece[:] = second[i, j] * first + add * piece
    return kernel


def field(worth, start=1, more=1):
    """Return a receptive field: worth(strides) is the step of each layer."""
    return lambda layers: start + sum(
        (kernel - more) * step for (kernel, _), step in zip(
            layers, worth([stride for _, stride in layers])))


def before(strides):
    """Return the product of the strides before each layer."""
    return np.cumprod([1, *strides])[:-1]


assert check_layer((28, 28, 204800, 160563200)) == "correct"
assert check_layer(np.array([28, 28, 204800, 160563200])) == "correct"
assert check_layer([28.0, 28.0, 204800.0, 160563200.0]) == "correct"
assert "of the output, not" in check_layer((28, 28, 204800, 4 * 160563200))
assert "not two" in check_layer((28, 28, 204800, 2 * 160563200))
assert "every position" in check_layer((28, 28, 204800, 204800))
assert "one filter" in check_layer((28, 28, 1600, 0))
assert "no biases" in check_layer((28, 28, 204928, 0))
assert "without padding" in check_layer((26, 26, 0, 0))
assert "not every position" in check_layer((56, 56, 0, 0))
assert "give (height" in check_layer((28, 28, 204800))

assert check_sides({2, 5, 8, 11}) == "correct"
assert check_sides([11, 8, 5, 2]) == "correct"
assert check_sides(np.array([2, 5, 8, 11])) == "correct"
assert check_sides(range(2, 13, 3)) == "correct"
assert "up, not down" in check_sides({1, 4, 7, 10})
assert "missing" in check_sides({2, 5})
assert "are equal" in check_sides({1, 3, 4, 6, 7, 9, 10, 12})
assert "too many" in check_sides({2, 5, 8, 11, 12})
assert "missing" in check_sides(2)
assert "between 1 and 12" in check_sides({2, 14})

assert check_dilated(dilated()) == "correct"
assert check_dilated(lambda x, w, d: tf.nn.conv2d(
    x[None], w, 1, "VALID", dilations=d)[0]) == "correct"
assert "of a 3 × 3 kernel" in check_dilated(dilated(lambda k, d: 2 * d + 1))
assert "after the last tap" in check_dilated(dilated(lambda k, d: k * d))
assert "backwards" in check_dilated(dilated(turn=-1))
assert "skips outputs" in check_dilated(
    lambda x, w, d: conv2d(x, w, d, "valid"))
assert "as wide as before" in check_dilated(
    lambda x, w, d: conv2d(x, w, 1, "valid"))
assert "no padding" in check_dilated(lambda x, w, d: conv2d(x, w))
assert "does not return numbers" in check_dilated(lambda x, w, d: "correct")
assert "returns nothing" in check_dilated(lambda x, w, d: None)
assert "name of a function" in check_dilated(3)

assert check_merged(one_kernel) == "correct"
assert check_merged(lambda a, b: one_kernel(b, a)) == "correct"
assert check_merged(lambda a, b: one_kernel(a, b).tolist()) == "correct"
assert "read backwards" in check_merged(
    lambda a, b: one_kernel(a, b[::-1, ::-1]))
assert "turned round" in check_merged(
    lambda a, b: one_kernel(a, b)[::-1, ::-1])
assert "exchanged" in check_merged(lambda a, b: one_kernel(a, b).T)
assert "only the corners" in check_merged(
    lambda a, b: one_kernel(a, b, add=False))
assert "fractions" in check_merged(lambda a, b: one_kernel(a, b).astype(int))
assert "in a corner" in check_merged(lambda a, b: np.pad(a + b, 1))
assert "must be (5, 5)" in check_merged(lambda a, b: a @ b)

assert check_field(field(before)) == "correct"
assert check_field(lambda layers: np.int64(field(before)(layers))) == "correct"
assert "several pixels" in check_field(field(lambda s: [1] * len(s)))
assert "not its own" in check_field(field(lambda s: s))
assert "own stride comes after" in check_field(field(np.cumprod))
assert "all the strides before" in check_field(field(lambda s: [1, *s]))
assert "sees the image" in check_field(
    lambda layers: field(before)(layers[::-1]))
assert "one pixel" in check_field(field(before, start=0))
assert "each layer add" in check_field(field(before, more=0))
assert "one number" in check_field(lambda layers: (23, 23))

assert check_border((0.4375, 16)) == "correct"
assert check_border((7 / 16, 16)) == "correct"
assert check_border([np.float32(0.438), np.int64(16)]) == "correct"
assert "have met no zero" in check_border((0.5625, 16))
assert "not a percentage" in check_border((43.75, 16))
assert "three digits" in check_border((0.44, 16))
assert "along one side" in check_border((0.25, 16))
assert "twice" in check_border((0.5, 16))
assert "one layer before" in check_border((1 - (26 / 32) ** 2, 16))
assert "one layer after" in check_border((1 - (22 / 32) ** 2, 16))
assert "both advance" in check_border((0.4375, 32))
assert "which outputs are the last" in check_border((0.4375, 15))
assert "give two numbers" in check_border(0.4375)

assert check_number(4) == "correct"
assert check_number(np.float64(4)) == "correct"
assert check_number(np.array(4)) == "correct"
assert "first channel" in check_number(-1)
assert "second channel" in check_number(5)
assert "turn the filter" in check_number(-3)
assert "for columns" in check_number(3)
assert "which slice" in check_number(-2)
assert "begins too early" in check_number(14)
assert "first output number" in check_number(11)
assert "which weights" in check_number(40)
assert "one number" in check_number((4, 4))
assert "one number" in check_number("four")
