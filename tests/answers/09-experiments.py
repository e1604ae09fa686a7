"""Answers for the checks of chapter 9, run where it has just run."""

# ruff: noqa: F821

assert check_1(2 / 70) == "correct"
assert check_1(np.float32(2 / 70)) == "correct"
assert "either arm" in check_1(1 / 70)
assert "how many orders" in check_1(1 / 10)
assert "how many orders" in check_1(2 / 8)
assert check_1("1/35") == "give one number"

assert check_2(24) == "correct"
assert check_2(np.float64(24)) == "correct"
assert "with 23 it is 0.202" in check_2(23)
assert "one mean" in check_2(12)
assert "fewer" in check_2(25)
assert "whole number" in check_2(23.5)
assert "whole number" in check_2(0)

assert check_3(("late-width-0.125", "width-0.25")) == "correct"
assert check_3(["late-width-0.125", "width-0.25"]) == "correct"
assert "there is a better one" in check_3(("stem-1-width-0.25", "width-0.25"))
assert "costs 12.04 million" in check_3(("late-width-0.25", "width-0.25"))
assert "not among" in check_3(("late-width-0.125", "width-1.0"))
assert check_3("late-width-0.125") == "give two names"


def share_of_deals(differ):
    """Return a permutation test of how two lists differ, as a number."""
    def permutation(a, b):
        values, seen = [*a, *b], differ(list(a), list(b)) - 1e-9
        deals = list(itertools.permutations(values))
        return np.mean([
            differ(deal[:len(a)], deal[len(a):]) >= seen for deal in deals])
    return permutation


assert check_4(
    share_of_deals(lambda a, b: abs(np.mean(a) - np.mean(b)))) == "correct"
assert "returns" in check_4(
    share_of_deals(lambda a, b: np.mean(b) - np.mean(a)))
assert "one against" in check_4(
    share_of_deals(lambda a, b: abs(sum(a) - sum(b))))
assert "returns" in check_4(
    share_of_deals(lambda a, b: abs(np.median(a) - np.median(b))))
assert "equal" in check_4(lambda a, b: 1 / 10)
assert check_4(lambda a, b: None) == "not answered yet"

assert check_5((18, 1.9)) == "correct"
assert check_5([np.int64(18), np.float64(1.9)]) == "correct"
assert "all pairs" in check_5((19, 1.9))
assert "both count" in check_5((14, 1.9))
assert "by luck" in check_5((18, 0.1))
assert "give two numbers" in check_5(18)


def planned(alpha, **changed):
    """Return an arm with full convolutions and late strides, or changed."""
    return {"network": {
        "alpha": alpha, "stem_stride": 1, "body": LATE, "separable": False,
        **changed}}


assert check_6(planned(0.09)) == "correct"
assert "7.96 times" in check_6(planned(0.25))
assert "still has depthwise" in check_6(planned(0.25, separable=True))
assert "not 4" in check_6(planned(0.18, body=BODY))
assert "nothing else" in check_6({**planned(0.09), "warmup": 3})
assert "give a dictionary" in check_6(0.09)

ENDS = ((0.96, 3.26), (-0.50, 1.80), (1.00, 3.30), (1.32, 3.62))
assert check_7((*ENDS, "acd")) == "correct"
assert check_7([*map(list, ENDS), "dca"]) == "correct"
assert check_7([*np.array(ENDS), "acd"]) == "correct"
assert "(a): that is the gain alone" in check_7(((2.11, 2.11), *ENDS[1:], "a"))
assert "(a): the lower end" in check_7((ENDS[0][::-1], *ENDS[1:], "acd"))
assert "(a): that is one standard error" in check_7(
    ((1.55, 2.67), *ENDS[1:], "acd"))
assert "(a): that is for one run each" in check_7(
    ((0.12, 4.10), *ENDS[1:], "acd"))
assert "(a): compare the means" in check_7(((0.51, 2.81), *ENDS[1:], "acd"))
assert "(a): how far does" in check_7(((-1, 5.22), *ENDS[1:], "acd"))
assert "(b): the middle" in check_7((ENDS[0], (3.12, 5.42), *ENDS[2:], "acd"))
assert "(c): which is the gain" in check_7(
    (*ENDS[:2], (-3.30, -1.00), ENDS[3], "acd"))
assert "contain 0" in check_7((*ENDS, "abcd"))
assert "one is missing" in check_7((*ENDS, "ac"))
assert "letters as one text" in check_7((*ENDS, ("a", "c", "d")))
assert "four pairs" in check_7((*ENDS[0], *ENDS[1:], "acd"))

assert check_8((0.003, 0.01)) == "correct"
assert check_8(np.array([0.003, 0.01])) == "correct"
assert "the first: that is the highest" in check_8((0.1, 0.01))
assert "the first: that is more than one s" in check_8((0.01, 0.01))
assert "the first: a lower rate" in check_8((0.03, 0.01))
assert "the first: there the training fails" in check_8((0.3, 0.01))
assert "the second: that is more than one s" in check_8((0.003, 0.003))
assert "the second: that is the highest" in check_8((0.003, 0.03))
assert "one of the rates" in check_8((0.003, 0.02))
assert check_8(0.003) == "give two rates"
