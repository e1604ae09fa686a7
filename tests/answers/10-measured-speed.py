"""Answers for the checks of chapter 10, run where it has just run."""

# ruff: noqa: F821

assert check_1(7.02) == "correct"
assert check_1(np.float64(57_600 / 8_200)) == "correct"
assert "old memory" in check_1(5.91)
assert "three layers" in check_1(8)
assert "three layers" in check_1(57_600 / 8_072)
assert check_1("7.02") == "give one number"

assert check_2(1.8) == "correct"
assert check_2(np.float32(1.799)) == "correct"
assert "32-bit" in check_2(0.45)
assert "stride 1" in check_2(4.5)
assert "go in" in check_2(9)
assert check_2("1.8") == "give one number"


def bytes_of(maps, kernels=True, size=4):
    """Return a function that counts a pair whose middle map moves so often."""
    def counted(side, channels, filters, batch=1):
        numbers = batch * side**2 * (channels + filters + maps * channels)
        return size * (
            numbers + kernels * (9 * channels + channels * filters))
    return counted


assert check_3(bytes_of(0)) == "correct"
assert check_3(lambda *shape: np.float64(bytes_of(0)(*shape))) == "correct"
assert "still written and read" in check_3(bytes_of(2))
assert "neither written nor read" in check_3(bytes_of(1))
assert "in bytes" in check_3(bytes_of(0, size=1))
assert "not for (4, 2, 3, 1)" in check_3(bytes_of(0, kernels=False))
assert "not for (5, 3, 7, 2)" in check_3(
    lambda side, channels, filters, batch=1: bytes_of(0)(
        side, channels, filters))


def by_part(rows, peak, bandwidth):
    """Return shares of the larger of two sums, not the sum of the larger."""
    sums = {}
    for part, row in rows:
        sums[part] = sums.get(part, 0) + np.array(work(row))
    longest = {part: max(macs / peak, size / bandwidth)
               for part, (macs, size) in sums.items()}
    return {part: one / sum(longest.values()) for part, one in longest.items()}


assert check_4(shares_solution) == "correct"
assert check_4(lambda *given: list(shares_solution(*given).items())
               ) == "correct"
assert "the larger time of each layer" in check_4(by_part)
assert "one share for each part" in check_4(lambda *given: {"a": 1})
assert "add up to 100.00" in check_4(lambda *given: {
    part: 100 * share for part, share in shares_solution(*given).items()})
assert "not answered yet" in check_4(lambda *given: None)

assert check_5((4, 8, 8)) == "correct"
assert check_5([1000, 6, 6]) == "correct"
assert check_5(np.array([4, 8, 8])) == "correct"
assert "by (10.6) the pair is" in check_5((14, 512, 512))
assert "times fewer" in check_5((4, 2, 3))
assert "at most 1024" in check_5((2000, 6, 6))
assert "three whole numbers" in check_5((4.5, 8, 8))
assert "three whole numbers" in check_5((4, 8))


def timing(summary, warm=2, times=9, unit=1e3):
    """Return a function that times single calls and sums them up."""
    def timed_so(call, clock):
        for _ in range(warm):
            call()
        taken = []
        for _ in range(times):
            begun = clock()
            call()
            taken.append(unit * (clock() - begun))
        return summary(taken)
    return timed_so


def together(call, clock):
    """Return the mean of nine calls, timed as one, three times."""
    call(), call()
    begun = clock()
    for _ in range(9):
        call()
    return [1e3 * (clock() - begun) / 9] * 3


def quarters(taken):
    """Return median and quartiles, cut as Python's statistics does."""
    import statistics

    low, middle, high = statistics.quantiles(taken)
    return middle, low, high


def medians(taken):
    """Return median and quartiles, cut as NumPy does."""
    return np.percentile(taken, (50, 25, 75))


assert check_6(timing(medians)) == "correct"
assert check_6(timing(quarters)) == "correct"
assert check_6(lambda call, clock: list(
    timing(medians)(call, clock))) == "correct"
assert "not two and then nine" in check_6(timing(medians, warm=0))
assert "not two and then nine" in check_6(timing(medians, times=1))
assert "the first two calls" in check_6(timing(medians, warm=0, times=11))
assert "the second call" in check_6(
    timing(lambda taken: medians(taken[1:]), warm=0, times=11))
assert "that is the mean, which" in check_6(together)
assert "the fastest call, not" in check_6(
    timing(lambda taken: np.percentile(taken, (0, 25, 75))))
assert "give milliseconds" in check_6(timing(medians, unit=1))
assert "by the given clock" in check_6(
    lambda call, clock: timing(medians)(call, time.perf_counter))
assert "comes before the upper" in check_6(
    timing(lambda taken: np.percentile(taken, (50, 75, 25))))
assert "not the fastest and the slowest" in check_6(
    timing(lambda taken: np.percentile(taken, (50, 0, 100))))
assert "where is the spread" in check_6(
    timing(lambda taken: [np.median(taken)] * 3))
assert "middle half" in check_6(timing(lambda taken: (
    np.median(taken), np.median(taken) - 1, np.median(taken) + 1)))
assert "return three numbers" in check_6(timing(np.median))
assert "not answered yet" in check_6(lambda call, clock: None)
