"""Answers for the checks of chapter 8, run where it has just run."""

# ruff: noqa: F821

assert check_1(4692) == "correct"
assert check_1(np.int64(4692)) == "correct"
assert check_1(4692.0) == "correct"
assert "it is a step too" in check_1(12 * 390)
assert "it is a step too" in check_1(4687.5)
assert "a batch of its own" in check_1(4688)
assert "one epoch" in check_1(391)
assert "set images aside" in check_1(12 * 352)
assert "how many batches" in check_1(4700)
assert check_1("4692") == "give one number"

whole = 3 * 11_803_648 * 50_000 * 12
assert check_2((whole, whole / 2632.8)) == "correct"
assert check_2([2.12e13, 8.07e9]) == "correct"
assert check_2(np.array([whole, whole / 2634])) == "correct"
assert "forward passes alone" in check_2((whole / 3, whole / 2632.8))
assert "backward passes alone" in check_2((2 * whole / 3, 1))
assert "FLOPs" in check_2((2 * whole, 1))
assert "one epoch" in check_2((whole / 12, 1))
assert "the rate: that is per minute" in check_2((whole, whole / 43.9))
assert "the rate: count the backward" in check_2((whole, whole / 3 / 2634))
assert "the rate: look" in check_2((whole, 1))
assert "give two numbers" in check_2(whole)
assert "give two numbers" in check_2((whole, "8 billion"))

assert check_3(299) == "correct"
assert check_3(np.float32(299)) == "correct"
assert "after 298 steps" in check_3(298)
assert "which way" in check_3(298.07)
assert "after 29 steps" in check_3(29)
assert "fewer steps" in check_3(352)
assert "whole number" in check_3(float("inf"))
assert "whole number" in check_3("299")

plain_sgd = {"class_name": "SGD", "learning_rate": 0.1, "momentum": 0.9,
             "nesterov": True}
asked = {**RECIPES["note-nadam"], "optimizer": plain_sgd}
assert check_4(asked) == "correct"
assert check_4({**asked, "about": "Mine."}) == "correct"
assert check_4({**asked, "optimizer": {
    **plain_sgd, "nesterov": 1, "weight_decay": 0.0}}) == "correct"
assert check_4({**asked, "optimizer": {
    **plain_sgd, "learning_rate": np.float64(0.1)}}) == "correct"
assert "validation differs too" in check_4({**asked, "validation": 5000})
assert "batch differs too" in check_4({**asked, "batch": 256})
assert "still the old one" in check_4(dict(RECIPES["note-nadam"]))
assert "nesterov is False" in check_4({**asked, "optimizer": {
    **plain_sgd, "nesterov": False}})
assert "momentum is 0.0" in check_4({**asked, "optimizer": {
    "class_name": "SGD", "learning_rate": 0.1}})
assert "learning_rate is 0.2" in check_4({**asked, "optimizer": {
    **plain_sgd, "learning_rate": 0.2}})
assert "clipnorm is 1.0" in check_4({**asked, "optimizer": {
    **plain_sgd, "clipnorm": 1.0}})
assert "use_ema is True" in check_4({**asked, "optimizer": {
    **plain_sgd, "use_ema": True}})
assert "does not take" in check_4({**asked, "optimizer": {
    "class_name": "SGD", "rate": 0.1}})
assert '"class_name": "SGD"' in check_4({**asked, "optimizer": "SGD"})
assert check_4("SGD") == "give a recipe, a dictionary"


def expected(network, base="better-note", scale=1, **changed):
    """Return an answer for exercise 5 with the range of such a network."""
    seen = recorded(network)
    return {"recipe": {**RECIPES[base], "network": network, **changed},
            "lowest": scale * seen.min(), "highest": scale * seen.max()}


for alpha in (0.25, 0.5, 0.75, 1.0, 1):
    assert check_5(expected({"alpha": alpha})) == "correct"
    assert check_5(expected({"alpha": alpha, "stem_stride": 2}, scale=100)
                   ) == "correct"
for alpha in (0.25, 0.5, 1.0):
    assert check_5(expected({"alpha": alpha, "stem_stride": 1})) == "correct"
half = {"alpha": 0.5}
assert check_5(expected(half, epochs=15, warmup=2)) == "correct"
assert check_5({**expected(half), "lowest": np.float32(
    recorded(half).min())}) == "correct"
assert "optimizer: " in check_5(expected(half, "note-nadam"))
assert "augment: " in check_5(expected(half, "better-note-plain"))
assert "warmup" in check_5(expected(half, epochs=5))
assert "have use_bias" in check_5({
    **expected(half), "recipe": {
        **RECIPES["better-note"], "network": {**half, "use_bias": True}}})
assert "alpha: no run" in check_5({**expected(half), "recipe": {
    **RECIPES["better-note"], "network": {"alpha": 0.6}}})
assert "stem_stride: no run" in check_5({**expected(half), "recipe": {
    **RECIPES["better-note"], "network": {"alpha": 0.75, "stem_stride": 1}}})
assert "other way round" in check_5({
    **expected(half), "lowest": recorded(half).max(),
    "highest": recorded(half).min()})
assert "did you take val_accuracy" in check_5({
    **expected(half), "lowest": recorded(half, "train_accuracy").min(),
    "highest": recorded(half, "train_accuracy").max()})
assert "did you take val_accuracy" in check_5({
    **expected(half), "recipe": {**RECIPES["better-note"], "network": {
        **half, "stem_stride": 1}}})
assert "that is the mean" in check_5({
    **expected(half), "lowest": recorded(half).mean(),
    "highest": recorded(half).mean()})
assert "two numbers" in check_5({**expected(half), "lowest": "76 %"})
assert "two numbers" in check_5({**expected(half), "lowest": None})
assert '"network" is one too' in check_5({**expected(half), "recipe": "SGD"})
assert 'give {"recipe"' in check_5((0.5, 0.7554, 0.7736))

calm = {"better-note", "better-note-plain", "better-stem-1"}
assert check_6(calm) == "correct"
assert check_6(sorted(calm)) == "correct"
assert check_6(frozenset(calm)) == "correct"
assert "some are missing" in check_6({"better-note", "better-stem-1"})
assert "note-nadam-seed-2 moved by" in check_6(calm | {"note-nadam-seed-2"})
assert "note-nadam has no validation" in check_6(set(NAMES))
assert "give a set" in check_6("better-note")
assert "give a set" in check_6({"better"})

assert check_7((0.03, 0.06, 0.02, "c")) == "correct"
assert check_7([np.float32(-0.03), -0.06, -0.02, "(C)"]) == "correct"
assert "(a): before the first step" in check_7((0.3, 0.06, 0.02, "c"))
assert "(a): that is Nesterov" in check_7((0.057, 0.06, 0.02, "c"))
assert "(a): SGD does not divide" in check_7((0.1, 0.06, 0.02, "c"))
assert "(a): the gradient's step is added whole" in check_7(
    (0.003, 0.06, 0.02, "c"))
assert "(b): epsilon is not negligible" in check_7((0.03, 0.0632, 0.02, "c"))
assert "(b): epsilon is under the root" in check_7((0.03, 0.0626, 0.02, "c"))
assert "(b): only a part" in check_7((0.03, 0.0199, 0.02, "c"))
assert "(b): which share" in check_7((0.03, 0.02095, 0.02, "c"))
assert "(b): divide by the root" in check_7((0.03, 0.6, 0.02, "c"))
assert "(c): this v does not keep 0.9" in check_7((0.03, 0.06, 0.00632, "c"))
assert "(c): only a part" in check_7((0.03, 0.06, 0.002, "c"))
assert "(c): only a part" in check_7((0.03, 0.06, 0.00201, "c"))
assert "(c): divide by the root" in check_7((0.03, 0.06, 0.6667, "c"))
assert "(c): the velocity, or v" in check_7((0.03, 0.06, 1, "c"))
assert "in proportion" in check_7((0.03, 0.06, 0.02, "a"))
assert "how large is epsilon" in check_7((0.03, 0.06, 0.02, "b"))
assert "a, b or c" in check_7((0.03, 0.06, 0.02, "b and c"))
assert "three lengths" in check_7((0.03, 0.06, 0.02))

assert check_8(("SADL", 0.905, 0.63)) == "correct"
assert check_8(["sadl", np.float64(0.9048), 0.6299]) == "correct"
assert "(i): what makes the weights rest" in check_8(("ASDL", 0.905, 0.63))
assert "(ii): what makes it hard" in check_8(("SDAL", 0.905, 0.63))
assert "(iii): what moves" in check_8(("SALD", 0.905, 0.63))
assert "each once" in check_8(("SAAL", 0.905, 0.63))
assert "(v): each step takes" in check_8(("SADL", 0.9, 0.63))
assert "(v): that is one step" in check_8(("SADL", 0.999, 0.63))
assert "(v): the decay is multiplied" in check_8(("SADL", 0.606, 0.63))
assert "(v): that is what is lost" in check_8(("SADL", 0.095, 0.63))
assert "(v): what happens in one step" in check_8(("SADL", 90.5, 0.63))
assert "(vi): that is the loss without" in check_8(("SADL", 0.905, 0.009))
assert "(vi): how many other" in check_8(("SADL", 0.905, 0.0773))
assert "(vi): a tenth" in check_8(("SADL", 0.905, 0.699))
assert "(vi): a nat" in check_8(("SADL", 0.905, 0.2736))
assert "(vi): that is the least loss" in check_8(("SADL", 0.905, 0.5))
assert "as one text, then" in check_8(("S", "A", "D", "L", 0.905, 0.63))
