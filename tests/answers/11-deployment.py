"""Right and wrong answers to chapter 11's checks, run where it has run."""
# ruff: noqa: F821

assert check_1(np.array([1, -0.5, -4])) == "correct"
assert check_1((1.0, -0.5, -4.0)) == "correct"
assert "still None" in check_1((1, None, -4))
assert "root" in check_1((5, -2.5, -24))
assert "three parts" in check_1((1, -0.5, -5))
assert "one factor" in check_1((1, -0.2, -4))
assert "three numbers" in check_1((1, -0.5))

assert check_2(66_311) == "correct"
assert "round down" in check_2(66_311.57)
assert "round down" in check_2(66_312)
assert "symmetrically" in check_2(65_793)
assert "zero point first" in check_2((2**31 - 1) // 16_256)
assert "give one number" in check_2("66311")
assert "how large" in check_2(66_310)


def by_channel(kernel):
    """Return kernel on grids of its channels."""
    return np.stack([asymmetric_solution(one)
                     for one in np.moveaxis(kernel, -1, 0)], -1)


assert check_3(asymmetric_solution) == "correct"
assert "grid" in check_3(lambda kernel: kernel * 1.00001)
assert "grid" in check_3(lambda kernel: kernel.astype("float16"))
assert "grid" in check_3(by_channel)
assert "stops" in check_3(lambda kernel: (kernel, 1))
assert "which floats" in check_3(lambda kernel: kernel.astype("int8"))
assert check_3(lambda kernel: None) == "not answered yet"

assert check_4(equalised_solution) == "correct"
assert "differ in range" in check_4(lambda given: given)
assert "not 28" in check_4(lambda given: given[:-1])
assert "computes something else" in check_4(lambda given: [
    layer._replace(bias=layer.bias + 1) for layer in given])
assert "infinite or nan" in check_4(lambda given: [
    layer._replace(kernel=layer.kernel * np.inf) for layer in given])

guessing, measured = 0.1, in_floats
assert not CLAIMS or check_5("depthwise") == "correct"
assert not CLAIMS or "another kind" in check_5("pointwise")
assert not CLAIMS or "another kind" in check_5(np.str_("stem"))
assert "give one of" in check_5("block1_depthwise")
assert "give one of" in check_5(3)
in_floats = guessing  # a network that guesses is not judged by
assert "cannot tell" in check_5("depthwise")
in_floats = measured

of_drone = ({"bytes": 67e6, "macs": 78e6, "joules": 22e-3}, (1, 64))
assert check_6(solution_6, *of_drone) == "correct"
assert check_6({**solution_6, "over": ()}, *of_drone) == "correct"
assert "floats" in check_6(
    {**solution_6, "bytes": 4 * solution_6["bytes"]}, *of_drone)
assert "FLOPs" in check_6(
    {**solution_6, "macs": 2 * solution_6["macs"]}, *of_drone)
assert "millijoules" in check_6(
    {**solution_6, "joules": 1e3 * solution_6["joules"]}, *of_drone)
assert "fetching" in check_6(
    {**solution_6, "joules": 0.3e-12 * solution_6["macs"]}, *of_drone)
assert "compare each" in check_6({**solution_6, "over": ["macs"]}, *of_drone)
assert "give a dictionary" in check_6((3_506_040, 46_354_432), *of_drone)
assert "my_network" in check_6(solution_6, of_drone[0], (1, 50))
assert "compare each" in check_6(
    solution_6, {**of_drone[0], "bytes": 1e6}, (1, 64))
assert check_6(
    {**solution_6, "over": ["bytes"]},
    {**of_drone[0], "bytes": 1e6}, (1, 64)) == "correct"

assert check_7((0.135, 47, "adf")) == "correct"
assert check_7([math.exp(-2), np.float64(47), "fda"]) == "correct"
assert check_7(((1 - 0.0005)**4000, 47, "adf")) == "correct"
assert "(i): the peak is not" in check_7((0.0183, 47, "adf"))
assert "(i): count the steps, not" in check_7((0.99, 47, "adf"))
assert "(i): count the steps of all" in check_7((0.905, 47, "adf"))
assert "(i): the decay is multiplied" in check_7((math.exp(-40), 47, "adf"))
assert "(i): that is what is lost" in check_7((0.865, 47, "adf"))
assert "(i): give a share of 1" in check_7((13.5, 47, "adf"))
assert "(i): what is the sum" in check_7((0.5, 47, "adf"))
assert "(ii): after 46 epochs 1.01% is left" in check_7((0.135, 46, "adf"))
assert "(ii): give a whole number" in check_7((0.135, 46.05, "adf"))
assert "(ii): fewer are enough" in check_7((0.135, 48, "adf"))
assert "(iii): training has pushed" in check_7((0.135, 47, "acdf"))
assert "(iii): training has pushed" in check_7((0.135, 47, "adef"))
assert "(iii): one is missing" in check_7((0.135, 47, "a"))
assert "(iii): give letters" in check_7((0.135, 47, {"a", "d", "f"}))
assert "give a share, a number" in check_7((0.135, "47", "adf"))

assert check_8((7.2, 3.5, 5184, 1)) == "correct"
assert check_8(np.array([7.2, 3.5, 5184, 1])) == "correct"
assert check_8([np.float64(7.2), 3.5, 5184.0, np.int64(1)]) == "correct"
assert "a bias of 7" in check_8((8.2, 4, 5184, 1))
assert "a negative bias" in check_8((4.2, -0.5, 5184, 1))
assert "ReLU6 of its bias" in check_8((5.2, 0, 5184, 1))
assert "constant at the border" in check_8((9, 5.3, 5184, 1))
assert "a bias of its own" in check_8((7, 2.5, 5184, 1))
assert "constant times weight" in check_8((0.2, 1, 5184, 1))
assert "does each channel go" in check_8((7.2, 3.5, 6912, 1))
assert "one position" in check_8((7.2, 3.5, 81, 1))
assert "the layer before, too" in check_8((7.2, 3.5, 2112, 1))
assert "the layer after, too" in check_8((7.2, 3.5, 4800, 1))
assert "the depthwise layer, too" in check_8((7.2, 3.5, 3456, 1))
assert "FLOPs" in check_8((7.2, 3.5, 10_368, 1))
assert "each of three layers" in check_8((7.2, 3.5, 1, 1))
assert "a class, not a logit" in check_8((7.2, 3.5, 5184, 3))
assert "stay the larger one" in check_8((7.2, 3.5, 5184, 2))
assert "before and after" in check_8((7.2, 3.5, 5184, 0))
assert "give four numbers" in check_8((7.2, 3.5, 5184))
