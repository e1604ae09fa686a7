"""Right and wrong answers to the checks of chapter 4, run where it has run."""
# ruff: noqa: F821

assert check_1((133376, 26141696)) == "correct"
assert check_1([np.int64(133376), 26141696.0]) == "correct"
assert "they come first" in check_1((26141696, 133376))
assert "standard convolution" in check_1((1179648, 26141696))
assert "both layers" in check_1((256 * 512, 26141696))
assert "not as two FLOPs" in check_1((133376, 2 * 26141696))
assert "positions has the output" in check_1((133376, 4 * 26141696))
assert "which layer has the stride" in check_1((133376, 27496448))
assert "see (4.1)" in check_1((133376, 1))
assert "tuple of two numbers" in check_1(133376)
assert "still None" in check_1((133376, None))

assert check_2(153) == "correct"
assert check_2(np.float64(153)) == "correct"
assert "save only 8.497" in check_2(152)
assert "fewer filters" in check_2(154)
assert "a whole number" in check_2(153.5)
assert "a whole number" in check_2("153")


def grouped(weights, positions=lambda height, width: height * width):
    """Return a function for exercise 3 with these weights and positions."""
    def cost(height, width, channels, filters, groups, kernel=3):
        params = kernel**2 * weights(channels, filters, groups)
        return params, params * positions(height, width)
    return cost


assert check_3(grouped(lambda c, m, g: c * m // g)) == "correct"
assert check_3(lambda h, w, c, m, g, k: [
    k * k * c * m / g, h * w * k * k * c * m / g]) == "correct"
assert "does one filter see" in check_3(grouped(lambda c, m, g: c * m))
assert "M filters in all" in check_3(grouped(lambda c, m, g: c * m / g**2))
assert "of one filter" in check_3(grouped(lambda c, m, g: c + m))
assert "30 output positions, not 36" in check_3(grouped(
    lambda c, m, g: c * m // g, lambda height, width: height**2))
assert "return two numbers" in check_3(lambda *sizes: None)
assert "ZeroDivisionError" in check_3(lambda *sizes: sizes[2] / 0)

# The budgets of exercise 3 of chapter 1.
DRONE = {"bytes": 67e6, "macs": 78e6, "joules": 22e-3}
CAR = {"bytes": 8.59e9, "macs": 440e6, "joules": 3}
PHONE = {"bytes": 500e6, "macs": 757e6, "joules": 23.7e-3}
SENSOR = {"bytes": 1e6, "macs": 32e6, "joules": 38.5e-6}
assert check_4((1, 64), DRONE, "float32") == "correct"
assert check_4([np.float32(1), np.int64(64)], DRONE, "float32") == "correct"
assert check_4((1.0, 192), CAR, "float32") == "correct"
assert check_4((1, 224), PHONE, "float32") == "correct"
assert check_4("none", SENSOR, "float32") == "correct"
assert check_4((0.25, 128), SENSOR, "int8") == "correct"
assert "exceeds its budget of macs" in check_4((1, 96), DRONE, "float32")
assert "bytes and of macs and of joules" in check_4((1, 224), SENSOR, "int8")
assert "a larger alpha" in check_4((0.75, 64), DRONE, "float32")
assert "a larger side" in check_4((1, 32), DRONE, "float32")
assert "a network fits" in check_4("none", DRONE, "float32")
assert "alpha first" in check_4((64, 1), DRONE, "float32")
assert "tuple (alpha, side)" in check_4(0.5, DRONE, "float32")
assert "budget, joules" in check_4((1, 64), {**DRONE, "joules": 0}, "int8")
assert "budget, bytes" in check_4((1, 64), None, "int8")
assert 'is "float32" or "int8"' in check_4((1, 64), DRONE, "float16")


def lent(*places, kind="convolution", changed=lambda table: table):
    """Return a function for exercise 5 that puts Conv1D into these lists.

    It takes Conv1D out again, and changes the table.
    """
    def function(model):
        for place in places:
            place[layers.Conv1D] = kind
        try:
            return changed(count(model))
        finally:
            for place in places:
                del place[layers.Conv1D]
    return function


assert check_5(lent(COUNTED)) == "correct"
COUNTED[layers.Conv1D] = "convolution"
assert check_5(count) == "correct"
del COUNTED[layers.Conv1D]
assert "is it in the list" in check_5(lent(FREE))
assert "is it in the list" in check_5(lent(FREE, COUNTED))
assert "its kind is 'conv1d'" in check_5(lent(COUNTED, kind="conv1d"))
assert "it still refuses" in check_5(count)
assert "return a table" in check_5(lambda model: None)
assert "leave 8" in check_5(lent(
    COUNTED, changed=lambda table: table.assign(macs=1)))
assert "biases too" in check_5(lent(
    COUNTED, changed=lambda table: table.assign(params=72)))
assert "without Conv1D has changed" in check_5(lent(
    COUNTED, changed=lambda table: table.head(2)))
assert layers.Conv1D not in {**COUNTED, **FREE}

assert check_6((82.8, 95.1)) == "correct"
assert check_6([np.float64(82.8), 95.1]) == "correct"
assert "'alpha': 0.25}: in per cent" in check_6((0.828, 0.951))
assert "share of all others" in check_6((17.2, 4.9))
assert "'input_shape': (128, 128, 3)}: divide" in check_6((82.8, 82.8))
assert "tuple of two shares" in check_6(82.8)
