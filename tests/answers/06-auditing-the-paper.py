"""Right and wrong answers to the checks of chapter 6, run where it has run."""

assert check_1((110, 109)) == "correct"
assert check_1([110.0, np.int64(109)]) == "correct"
assert "order" in check_1((109, 110))
assert "with the classifier: rounded, not cut off" in check_1((109, 109))
assert "FLOPs" in check_1((220, 219))
assert "without the classifier: is it alpha 0.5" in check_1((110, 417))
assert "two whole numbers" in check_1((109_970_432, 109_458_432))
assert "two whole numbers" in check_1((109.97, 109.46))
assert "two whole numbers" in check_1(110)
assert "not answered in full" in check_1((110, None))
assert check_2((166, 160)) == "correct"
assert check_2(["166", 160.0]) == "correct"
assert "already" in check_2((166, 128))
assert "already" in check_2((108, 128))
assert "more than 166 million" in check_2((166, 192))
assert "more than 108 million" in check_2((108, 160))
assert "the first number is 166 or 108" in check_2((160, 166))
assert "an image side" in check_2((166, 196))
assert "two numbers" in check_2(160)
assert check_3(("d", 1000)) == "correct"
assert check_3(("D", 1000)) == "correct"
assert check_3(["(d)", "1000"]) == "correct"
assert check_3(("d", 1e3)) == "correct"
assert "sum of (b) and (c)" in check_3(("a", 1000))
assert "count the body" in check_3(("b", 10))
assert "without a multiply-add" in check_3(("c", 100))
assert "the letter fits, not the factor" in check_3(("d", 100))
assert "10, 100, 1000" in check_3(("d", 0.001))
assert "a, b, c or d" in check_3(("x", 1000))
assert "such as" in check_3("d")
assert check_4({"290", "76"}) == "correct"
assert check_4(["76", "290"]) == "correct"
assert check_4({290, 76}) == "correct"
assert "48 keeps its verdict" in check_4({"290", "76", "48"})
assert "418 keeps its verdict" in check_4({"569", "418"})
assert "more cells change" in check_4({"290"})
assert "more cells change" in check_4(set())
assert "4242 is not printed" in check_4({"4242"})
assert "set of texts" in check_4("290")
assert check_5(533_833_216) == "correct"
assert check_5(np.float64(533_833_216)) == "correct"
assert "stride 1" in check_5(568_740_352)
assert "count multiply-adds" in check_5(4_209_088)
assert "classifier is missing" in check_5(532_809_216)
assert "FLOPs" in check_5(2 * 533_833_216)
assert "exact number" in check_5(533.8)
assert "only the last row" in check_5(484_000_000)
assert "give a number" in check_5("569")
PAIRS = ((3_795_000, 3_804_999), (470_000, 479_999),
         (15_250_000_000, 15_349_999_999))
assert check_6(PAIRS) == "correct"
assert check_6([list(map(float, pair)) for pair in PAIRS]) == "correct"
assert check_6(np.array(PAIRS)) == "correct"
assert "(a): it was rounded" in check_6(((3_800_000, 3_809_999), *PAIRS[1:]))
assert "(a): what does the printed 0" in check_6(
    ((3_750_000, 3_849_999), *PAIRS[1:]))
assert "(a): 3,805,000 would be" in check_6(
    ((3_795_000, 3_805_000), *PAIRS[1:]))
assert "(a): a higher count" in check_6(((3_795_000, 3_804_000), *PAIRS[1:]))
assert "(a): a lower count" in check_6(((3_796_000, 3_804_999), *PAIRS[1:]))
assert "(b): it was cut off" in check_6(
    (PAIRS[0], (465_000, 474_999), PAIRS[2]))
assert "(b): 480,000 would be" in check_6(
    (PAIRS[0], (470_000, 480_000), PAIRS[2]))
assert "(c): its zeros come" in check_6(
    (*PAIRS[:2], (15_299_500_000, 15_300_499_999)))
assert "(c): both zeros" in check_6(
    (*PAIRS[:2], (15_295_000_000, 15_304_999_999)))
assert "(c): it was rounded" in check_6(
    (*PAIRS[:2], (15_300_000_000, 15_399_999_999)))
assert "in ones" in check_6(((3.795, 3.805), (0.47, 0.48), (15250, 15350)))
assert "the lowest comes first" in check_6((PAIRS[0][::-1], *PAIRS[1:]))
assert "three pairs" in check_6(PAIRS[0])
assert "three pairs" in check_6(3_795_000)
