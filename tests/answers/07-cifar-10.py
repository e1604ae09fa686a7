"""Right and wrong answers to the checks of chapter 7, run where it has run."""
# ruff: noqa: F821

assert check_1((153_600_000, 614_400_000)) == "correct"
assert check_1([np.int64(153_600_000), 6.144e8]) == "correct"
assert "more than one number" in check_1((51_200_000, 204_800_000))
assert "one image" in check_1((3072, 12288))
assert "first number: that is in megabytes" in check_1((153.6, 614.4))
assert "second number: that is in megabytes" in check_1((153_600_000, 614.4))
assert "into one byte" in check_1((153_600_000, 153_600_000))
assert "64 bits per number" in check_1((153_600_000, 1_228_800_000))
assert "in bits" in check_1((1_228_800_000, 4_915_200_000))
assert "second number: that is in bits" in check_1((153_600_000, 32 * WHOLE))
assert "first number: multiply" in check_1((614_400_000, 153_600_000))
assert "give two numbers" in check_1(153_600_000)
assert "still None" in check_1((153_600_000, None))

assert check_2(112) == "correct"
assert check_2(np.float64(112)) == "correct"
assert "came twice" in check_2(81)
assert "after 111 epochs" in check_2(111)
assert "fewer epochs" in check_2(162)
assert "whole number" in check_2(111.9)
assert "at least 1" in check_2(0)
assert "whole number" in check_2("112")


def four_digits(images):
    """Return images standardised by statistics of four digits."""
    return ((images / 255 - np.round(means, 4)) / np.round(deviations, 4)
            ).astype("float32")


def standardised_with(mean, deviation):
    """Return a function that standardises bytes by these two."""
    return lambda images: (
        (images / 255 - mean) / deviation).astype(np.float32)


assert check_3(four_digits) == "correct"
assert check_3(standardised_with(means, deviations)) == "correct"
assert "shares of 255" in check_3(lambda x: (x - means) / np.array(deviations))
assert "to be divided out" in check_3(standardised_with(means, 1))
assert "variance" in check_3(
    standardised_with(means, np.array(deviations)**2))
assert "by the mean" in check_3(standardised_with(means, means))
assert "own scaling" in check_3(lambda x: x / np.float32(127.5) - 1)
assert "images that were given" in check_3(
    lambda x: (x - x.mean((0, 1, 2))) / x.std((0, 1, 2)))
assert "images that were given" in check_3(lambda x: (x - x.mean()) / x.std())
assert "of the training images" in check_3(
    standardised_with(np.add(means, 0.02), deviations))
assert "their type is float64" in check_3(
    lambda x: (x / 255 - means) / deviations)
assert "has shape ()" in check_3(lambda x: None)
assert "stops the check" in check_3(lambda x: x.standardised)
assert "not answered yet" in check_3(None)


def split_of(choose):
    """Return a function that splits labels by what choose sets aside."""
    def split(labels, count, seed):
        aside = choose(labels, count, seed)
        return np.setdiff1d(np.arange(len(labels)), aside), aside
    return split


def drawn(labels, count, seed):
    """Return count // 10 indices of each class, drawn with seed."""
    rng = np.random.default_rng(seed)
    return np.concatenate([
        rng.choice(np.flatnonzero(labels == label), count // 10, replace=False)
        for label in range(10)])


def block(labels, count, seed):
    """Return a block of neighbours in each class, its place by the seed."""
    return np.concatenate([
        np.flatnonzero(labels == label)[seed:seed + count // 10]
        for label in range(10)])


assert check_4(split_of(drawn)) == "correct"
assert check_4(lambda *given: tuple(
    part.tolist() for part in split_of(drawn)(*given))) == "correct"
assert "count = 200: 400 are set aside" in check_4(
    split_of(lambda labels, count, seed: drawn(labels, 400, seed)))
assert "block of neighbours" in check_4(split_of(block))
assert "train on first" in check_4(
    lambda *given: split_of(drawn)(*given)[::-1])
assert "of each class" in check_4(split_of(
    lambda labels, count, seed: np.random.default_rng(seed).permutation(
        len(labels))[:count]))
assert "another seed" in check_4(
    split_of(lambda labels, count, seed: drawn(labels, count, 0)))
assert "the same seed" in check_4(
    split_of(lambda labels, count, seed: drawn(labels, count, None)))
assert "in one of the two" in check_4(lambda labels, count, seed: (
    np.arange(len(labels)), drawn(labels, count, seed)))
assert "stops the check" in check_4(lambda labels, count, seed: None)

assert check_5(validation_share()) == "correct"
assert check_5(round(validation_share(), 2)) == "correct"
assert check_5(np.float32(solution_5)) == "correct"
assert "fraction" in check_5(0.0066)
assert "search in x_rest" in check_5(100.0)
assert "thumbnails of x_val" in check_5(33)
assert "per cent" in check_5("0.66")


def pair_print(inside=sorted, across=sorted, label=True, size=12):
    """Return a fingerprint of pairs, made in one of several ways."""
    def made(pairs, labels):
        digests = across([
            hashlib.sha256(b"".join(inside(map(bytes, pair)))
                           + bytes([own] * label)).digest()
            for pair, own in zip(pairs, labels)])
        return hashlib.sha256(b"".join(digests)).hexdigest()[:size]
    return made


def excluded(digests):
    """Return the bits that an odd number of digests have."""
    found = 0
    for digest in digests:
        found ^= int.from_bytes(digest, "big")
    return [found.to_bytes(32, "big")]


def apart_labels(pairs, labels):
    """Return a fingerprint in which images and labels are hashed apart."""
    return pair_print(label=False)(pairs, labels) + str(sorted(labels))


assert check_6(pair_print()) == "correct"
assert check_6(pair_print(size=64)) == "correct"
assert check_6(lambda pairs, labels: hash(frozenset(
    (frozenset(pair), label, list(zip(pairs, labels)).count((pair, label)))
    for pair, label in zip(pairs, labels)))) == "correct"
assert "the order of the pairs" in check_6(pair_print(across=list))
assert "the order within a pair" in check_6(pair_print(inside=list))
assert "a byte is altered" in check_6(lambda pairs, labels: len(pairs))
assert "labels are exchanged" in check_6(pair_print(label=False))
assert "labels are exchanged" in check_6(apart_labels)
assert "exchange partners" in check_6(lambda pairs, labels: sorted(
    (image, label) for pair, label in zip(pairs, labels) for image in pair))
assert "exchange a byte" in check_6(pair_print(
    inside=lambda pair: [bytes(sorted(b"".join(pair)))]))
assert "two times more" in check_6(
    pair_print(across=lambda digests: sorted(set(digests))))
assert "two times more" in check_6(pair_print(across=excluded))
assert "returns None" in check_6(lambda pairs, labels: None)
assert "without brackets" in check_6("6975d26f3ebc")
assert "stops the check" in check_6(lambda pairs: pairs)
