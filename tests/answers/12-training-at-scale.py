"""Answers for the checks of chapter 12, run where it has just run."""

# ruff: noqa: F821

sent = 4_253_864 - 21_888
assert check_1(7 * sent) == "correct"
assert check_1(29.6e6) == "correct"
assert check_1(np.float64(7 * sent)) == "correct"
assert check_1(29_623_832) == "correct"
assert "numbers" in check_1(1.75 * sent)
assert "averages" in check_1(7 * 4_253_864)
assert "one journey" in check_1(3.5 * sent)
assert "limit" in check_1(8 * sent)
assert "bits" in check_1(56 * sent)
assert "see (12.2)" in check_1(4 * sent)
assert check_1("29.6 MB") == "give one number of bytes"


def longer(computing, sending):
    """Return the longer of the two, as if all of computing could hide it."""
    return max(computing, sending)


assert check_2(lambda a, b: a / 3 + max(2 * a / 3, b)) == "correct"
assert check_2(lambda a, b: max(a, a / 3 + b)) == "correct"
assert check_2(lambda a, b: np.float64(max(a, a / 3 + b))) == "correct"
assert "after a forward pass of 1 s" in check_2(longer)
assert "1 s of sending fits" in check_2(lambda a, b: a + b)
assert "here 2 s" in check_2(lambda a, b: max(a, 1 + b))
assert "here 2 s" in check_2(lambda a, b: a - 2 + max(2, b))
assert "as long as computing" in check_2(lambda a, b: 1 + max(2, b))
assert "returns None" in check_2(lambda a, b: None)
assert "stops the check" in check_2(lambda a: a)
assert "give a function" in check_2(5)


def turns(files, workers, index):
    """Return every workers-th of files, and an error where they are few."""
    if len(files) < workers:
        raise ValueError(f"{workers} workers, but {len(files)} files")
    return [file for number, file in enumerate(files)
            if number % workers == index]


def runs(files, workers, index):
    """Return neighbours, as even as can be."""
    turns(files, workers, index)
    return [str(one) for one in np.array_split(files, workers)[index]]


def blocks(files, workers, index):
    """Return blocks that leave a rest."""
    size = len(files) // workers
    return files[index * size:(index + 1) * size]


def last_takes_the_rest(files, workers, index):
    """Return blocks of which the last has the rest too."""
    size = len(files) // workers
    return files[index * size:None if index == workers - 1 else (
        index + 1) * size]


def always(files, workers, index):
    """Return files, with an error that names the same numbers every time."""
    if len(files) < workers:
        raise ValueError("2 files cannot be shared by 3 workers")
    return files[index::workers]


assert check_3(turns) == "correct"
assert check_3(runs) == "correct"
assert check_3(lambda *given: tuple(turns(*given))) == "correct"
assert "7 files for 3 workers: no worker has g" in check_3(blocks)
assert "they get 2, 2, 3" not in check_3(last_takes_the_rest)
assert "should be a ValueError" in check_3(last_takes_the_rest)
assert "should be a ValueError" in check_3(lambda f, n, i: f[i::n])
assert "5 files and 14 workers: name both" in check_3(always)
assert "some file has two workers" in check_3(lambda f, n, i: f)
assert "they get 7, 1 files" in check_3(
    lambda f, n, i: [f[:1 - n], f[1 - n:]][i] if n == 2 else f[i::n])
assert "returns None" in check_3(lambda f, n, i: None)
assert "give a function" in check_3(["a", "b"])
assert "stops the check" in check_3(lambda f, n: f)

near = [shards_apart(size) for size in (8, 4, 2)]
assert check_4(near) == "correct"
assert check_4(np.array(near, "float32")) == "correct"
assert check_4([round(part, 2) for part in near]) == "correct"
assert "shards of 8: take the mean" in check_4(
    [shards_apart(size, reduce=np.sum) for size in (8, 4, 2)])
assert "shards of 8: nearly 0" in check_4(
    [shards_apart(size, "frozen") for size in (8, 4, 2)])
assert "shards of 8: give a share" in check_4([100 * part for part in near])
assert "shards of 8: " in check_4(near[::-1])
assert "shards of 2: look again" in check_4((near[0], near[1], near[1] / 2))
assert "three numbers" in check_4(near[:2])
assert "three numbers" in check_4(("45 %", "76 %", "78 %"))

knee = 3 * 568.7e6 * 1024 * 25e9 / 8 / (8 * 4.23e6 * 2e12)
assert check_5(knee) == "correct"
assert check_5(81) == "correct"
assert check_5(np.int64(80)) == "correct"
assert "bits" in check_5(8 * knee)
assert "backward" in check_5(knee / 3)
assert "twice" in check_5(2 * knee)
assert "four bytes" in check_5(4 * knee)
assert "one image" in check_5(knee / 1024)
assert "see (12.4)" in check_5(1)
assert "one number" in check_5((80, 12.7))

assert check_6((20, 11)) == "correct"
assert check_6([20, np.int64(11)]) == "correct"
assert check_6(np.array([20, 11])) == "correct"
assert "rows, 30" in check_6((30, 11))
assert "rows, 10" in check_6((10, 11))
assert "count steps from 1" in check_6((20, 10))
assert "which images" in check_6((20, 1))
assert "two numbers" in check_6(20)

FIVE = (0.4, 0.6561, 0.6, 0.163, 0.5)
assert check_7(FIVE) == "correct"
assert check_7(np.array(FIVE)) == "correct"
assert check_7([np.float32(0.4), 0.656, 0.6, 0.1631, 1 / 2]) == "correct"
assert "(i): the batch has grown" in check_7((0.1, *FIVE[1:]))
assert "(i): a larger batch" in check_7((0.025, *FIVE[1:]))
assert "(i): that is by the root" in check_7((0.2, *FIVE[1:]))
assert "(ii): after a step" in check_7((0.4, 0.6, *FIVE[2:]))
assert "(ii): that is one small step" in check_7((0.4, 0.9, *FIVE[2:]))
assert "(ii): that is the way" in check_7((0.4, 0.3439, *FIVE[2:]))
assert "(iii): that is the step" in check_7((*FIVE[:2], 0.4, *FIVE[3:]))
assert "(iii): that is with the old" in check_7((*FIVE[:2], 0.9, *FIVE[3:]))
assert "(iii): one large step takes" in check_7(
    (*FIVE[:2], 0.6561, *FIVE[3:]))
assert "(iv): as a share" in check_7((*FIVE[:3], 0.0561, 0.5))
assert "(iv): of the way of the four" in check_7((*FIVE[:3], 0.14, 0.5))
assert "(iv): of the way, not" in check_7((*FIVE[:3], 0.0855, 0.5))
assert "(iv): give a share of 1" in check_7((*FIVE[:3], 16.3, 0.5))
assert "(v): that is where the small" in check_7((*FIVE[:4], 2))
assert "(v): there the large step" in check_7((*FIVE[:4], 0.25))
assert "(v): the large step has" in check_7((*FIVE[:4], 1))
assert "(v): what does a step" in check_7((*FIVE[:4], 0.7))
assert "give five numbers" in check_7(FIVE[:4])
