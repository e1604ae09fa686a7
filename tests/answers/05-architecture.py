"""Right and wrong answers to the checks of chapter 5, run where it has run."""
# ruff: noqa: F821

assert check_1(307323392) == "correct"
assert check_1(np.float64(307323392)) == "correct"
assert "depthwise layer too" in check_1(568740352 - 5 * 14 * 14 * 512 * 512)
assert "the whole network" in check_1(568740352)
assert "what does one cost" in check_1(568740352 - 4 * 52283392)
assert "give one number" in check_1("307 million")

assert check_2((3, 0)) == "correct"
assert check_2([np.int64(3), 0.0]) == "correct"
assert "four blocks have stride 2" in check_2((6, 0))
assert "every position" in check_2((3, 2048))
assert "two numbers" in check_2(3)

# The budgets of exercise 3 of chapter 1, and networks of chapter 4.
DRONE = {"bytes": 67e6, "macs": 78e6, "joules": 22e-3}
SENSOR = {"bytes": 1e6, "macs": 32e6, "joules": 38.5e-6}
FULL = built((1, 64), DRONE, "float32")
THIN = built((0.25, 32), SENSOR, "float32")
assert FULL[2] == 4 * 10944 + 10 and FULL[3] and not THIN[3]
assert check_3(FULL, (1, 64), DRONE, "float32") == "correct"
assert check_3([*map(np.float64, FULL[:3]), np.bool_(True)], (1, 64), DRONE,
               "float32") == "correct"
assert check_3(THIN, (0.25, 32), SENSOR, "float32") == "correct"
assert check_3(built((0.25, 128), SENSOR, "int8"), [0.25, 128], SENSOR,
               "int8") == "correct"
assert "counts once" in check_3(
    (2 * FULL[0], *FULL[1:]), (1, 64), DRONE, "float32")
assert "the weights alone" in check_3(
    (FULL[0], FULL[1] - FULL[2], 0, True), (1, 64), DRONE, "float32")
assert "four numbers per channel" in check_3(
    (*FULL[:2], 2 * 10944 + 10, True), (1, 64), DRONE, "float32")
assert "at your alpha and side" in check_3(FULL, (0.5, 64), DRONE, "float32")
assert "all that the network stores" in check_3(
    (FULL[0], 1, *FULL[2:]), (1, 64), DRONE, "float32")
assert "the classifier" in check_3(
    (*FULL[:2], 4 * 10944, True), (1, 64), DRONE, "float32")
assert "one by one" in check_3((*FULL[:3], False), (1, 64), DRONE, "float32")
assert "one by one" in check_3(
    (*THIN[:3], True), (0.25, 32), SENSOR, "float32")
assert "give four" in check_3(FULL[:3], (1, 64), DRONE, "float32")
assert "True or False" in check_3((*FULL[:3], 5), (1, 64), DRONE, "float32")
assert "budget, macs" in check_3(
    FULL, (1, 64), {**DRONE, "macs": None}, "float32")
assert "budget, bytes" in check_3(FULL, (1, 64), None, "float32")
assert "(alpha, side)" in check_3(FULL, (64, 1), DRONE, "float32")
assert 'is "float32" or "int8"' in check_3(FULL, (1, 64), DRONE, "float16")

LAST = (*BODY[:11], (1024, 1), (1024, 1))
FIRST = ((64, 1), (128, 1), *BODY[2:])
assert check_4((0.84, LAST)) == "correct"
assert check_4([np.float64(0.84), np.array(LAST)]) == "correct"
assert "a wider network is within" in check_4((0.05, LAST))
assert "a wider network is within" in check_4((0.83, LAST))
assert "11,855,608 multiply-adds are too many" in check_4((0.85, LAST))
assert check_4((0.845, LAST)) == "correct"
assert check_4((0.847, LAST)) == "correct"
assert "are too many" in check_4((0.848, LAST))
assert "from 0.04 to 1" in check_4((0.01, LAST))
assert "another stride to drop" in check_4((0.51, FIRST))
assert "taps of block 13 are dead" in check_4((0.84, BODY))
assert "one stride less" in check_4((0.4, (*FIRST[:11], *LAST[11:])))
assert "no other change" in check_4((0.84, ((64, 8), *LAST[1:])))
assert "the filters must stay" in check_4((0.84, LAST[:12]))
assert "a number, and rows" in check_4((LAST, 0.84))
assert "two things" in check_4(0.84)


def folding(gain, bias):
    """Return a function that folds with this factor and this bias."""
    def function(kernel, bn):
        one = np.asarray(gain(bn))
        return kernel * one, np.asarray(bias(bn, one))
    return function


def root(bn):
    """Return the factor of a batch norm."""
    return bn.gamma / (bn.moving_variance + bn.epsilon) ** 0.5


assert check_5(solution_5) == "correct"
assert check_5(lambda kernel, bn: [
    tf.constant(one) for one in solution_5(kernel, bn)]) == "correct"
assert "epsilon is missing" in check_5(folding(
    lambda bn: bn.gamma / bn.moving_variance ** 0.5, lambda bn, g: bn.beta))
assert "by a root" in check_5(folding(
    lambda bn: bn.gamma / (bn.moving_variance + bn.epsilon),
    lambda bn, g: bn.beta))
assert "what else" in check_5(folding(
    lambda bn: bn.gamma, lambda bn, g: bn.beta))
assert "as it was" in check_5(lambda kernel, bn: (kernel, bn.beta))
assert "mean is missing" in check_5(folding(root, lambda bn, g: bn.beta))
assert "multiplied too" in check_5(folding(
    root, lambda bn, g: bn.beta - bn.moving_mean))
assert "mean is subtracted" in check_5(folding(
    root, lambda bn, g: bn.beta + g * bn.moving_mean))
assert "two arrays" in check_5(lambda kernel, bn: kernel)
assert "two arrays" in check_5(lambda kernel, bn: None)

assert check_6((33, 2.2)) == "correct"
assert check_6([np.int64(33), np.float64(2.17)]) == "correct"
assert "still dead" in check_6((32, 1.0))
assert "a smaller side" in check_6((40, 2.2))
assert "those at 32" in check_6((33, 0.5))
assert "from 32 to 224" in check_6((2.2, 33))
assert "give (side, ratio)" in check_6(33)


def compared(draw, copy=True):
    """Return a test of two networks, with what draw sets, or without."""
    def test(one, other):
        images = np.random.default_rng(1).uniform(-1, 1, (4, 32, 32, 3))
        if draw:
            one.set_weights(draw(one))
        if copy:
            other.set_weights(one.get_weights())
        return np.allclose(one(images), other(images), atol=1e-4)
    return test


def by_chance(network):
    """Return drawn weights."""
    return drawn(network, np.random.default_rng(3))


def faint(network):
    """Return drawn weights, the kernels a tenth as large."""
    return [array / 10 if weight.name == "kernel" else array
            for weight, array in zip(network.weights, by_chance(network))]


assert check_7(solution_7) == "correct"
assert check_7(compared(by_chance)) == "correct"
assert "the same weights? Yours says False" in check_7(
    compared(by_chance, copy=False))
assert "change their logits? Yours says True" in check_7(compared(None))
assert "change their logits? Yours says True" in check_7(
    lambda one, other: one.count_params() == other.count_params())
assert "above 6? Yours says True" in check_7(compared(faint))
assert "True or False" in check_7(lambda one, other: None)
assert "without brackets" in check_7(True)

SUMS = ((7, 11, 6), (1, 3, 8), 8, 6, 4)
assert check_8(SUMS) == "correct"
assert check_8(
    [np.array(SUMS[0]), list(SUMS[1]), 8.0, np.float32(6), 4.0]) == "correct"
assert "where does TensorFlow" in check_8((*SUMS[1::-1], *SUMS[2:]))
assert "turn the filter" in check_8(((5, 10, 10), (1, 3, 6), 8, 4, 4))
assert "every second one" in check_8(((1, 7, 3, 11, 8, 6), *SUMS[1:]))
assert "first window begin" in check_8(((7, 11, 8), *SUMS[1:]))
assert "half keeps every" in check_8((SUMS[0], (1, 7, 3, 11, 8, 6), 8, 6, 4))
assert "counted from 0" in check_8((SUMS[0], (7, 11, 6), 8, 6, 4))
assert "before the half" in check_8((*SUMS[:3], 4, 4))
assert "does its batch norm see" in check_8((*SUMS[:3], 8, 4))
assert "that its block computes" in check_8((*SUMS[:2], 6, 6, 4))
assert "rows and columns" in check_8((*SUMS[:4], 2))
assert "computed too" in check_8((*SUMS[:4], 1))
assert "not as few" in check_8((*SUMS[:4], 0.25))
assert "the whole network" in check_8((*SUMS[:4], 1.58))
assert "two tuples" in check_8((7, 11, 6, 8, 4))
