"""Your own pictures: a folder per class, read, split and taught."""

import pathlib
from typing import NamedTuple

import numpy as np

MOST = 20_000  # pictures that are read


class Pictures(NamedTuple):
    """What a folder holds: images (n, side, side, 3), labels and files (n,).

    A label is the place of its class among classes, the folders' names.
    refused has a line for each file that was left out.
    """

    images: np.ndarray
    labels: np.ndarray
    files: list
    classes: list
    refused: list


def visible(folder):
    """Return what is in a folder, in order, less what a system hides."""
    return sorted(
        path for path in folder.iterdir()
        if path.name[0] != "." and path.name not in (
            "__MACOSX", "Thumbs.db", "desktop.ini"))


def files_of(folder):
    """Return the files in a class's folder, and in folders within it."""
    found = []
    for path in visible(folder):
        if path.is_dir() and not path.is_symlink():  # a link may lead back
            found += files_of(path)
        else:
            found.append(path)
    return found


def class_folders(folder):
    """Return (folders, refused lines) of a folder with a folder per class.

    Raises ValueError where there are not two classes or more.
    """
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is no folder")
    inside = visible(folder)
    folders = [path for path in inside if path.is_dir()]
    for path in folders:
        if not path.name.isprintable():  # nor is what is no UTF-8
            raise ValueError(f"{path.name!r} is no name for a class: rename"
                             " that folder")
    if len(folders) < 2:
        raise ValueError(
            f"{str(folder)!r} has {len(folders)} folders in it: it takes one"
            " for each class, and two classes or more")
    return folders, [
        f"{path.name!r} is in no class's folder" for path in inside
        if path not in folders]


def read_or_refused(path, read):
    """Return (image, "") or (None, why not), read by read(path)."""
    if not path.is_file():  # a pipe would wait forever
        return None, f"{str(path)!r} is no file"
    try:
        return read(path), ""
    except ValueError as error:
        return None, str(error)


def read_class(name, paths, read):
    """Return (images, files, refused lines) of a class, or ValueError."""
    found = [(path, *read_or_refused(path, read)) for path in paths]
    images = [image for _, image, why in found if not why]
    if not images:
        raise ValueError(
            f"class {name!r} has no picture that can be read, of"
            f" {len(paths)} files" + "".join(
                f"; of the first, {why}" for *_, why in found[:1]))
    return (images, [path for path, _, why in found if not why],
            [why for *_, why in found if why])


def own_images(folder, read):
    """Return the Pictures of a folder with a folder per class.

    read(path) gives an image as uint8, or raises ValueError. Raises
    ValueError where there are fewer than two classes, one has no picture, or
    there are more pictures than MOST.
    """
    folders, refused = class_folders(pathlib.Path(folder))
    paths = [files_of(one) for one in folders]
    if sum(map(len, paths)) > MOST:
        raise ValueError(
            f"{sum(map(len, paths)):,} files are more than {MOST:,}: choose"
            " some of them")
    images, labels, files = [], [], []
    for label, one in enumerate(folders):
        some, kept, why_not = read_class(one.name, paths[label], read)
        images, files, refused = images + some, files + kept, refused + why_not
        labels += [label] * len(some)
    return Pictures(np.array(images), np.array(labels), files,
                    [one.name for one in folders], refused)


def near_copies(images, near=10):
    """Return a number for each image, the same for near-copies.

    Two images are near-copies where, made 8 x 8 pixels small, they differ by
    less than near of 255 levels on average, one of them mirrored or not; and
    so are two that have a near-copy in common.
    """
    count, side = images.shape[:2]
    small = images.reshape(count, 8, side // 8, 8, side // 8, 3).mean((2, 4))
    mirrored = small[:, :, ::-1].reshape(count, -1).astype("float32")
    small = small.reshape(count, -1).astype("float32")
    groups = np.arange(count)
    for i in range(1, count):
        apart = np.minimum(np.abs(small[:i] - small[i]).mean(1),
                           np.abs(mirrored[:i] - small[i]).mean(1))
        met = np.unique(groups[:i][apart < near])
        groups[np.isin(groups, met)] = i
    return groups


def judges_of(groups, share, rng):
    """Return which groups of a class to set aside, chosen by rng.

    groups has each picture's group. So many are chosen that they hold at
    most share of the pictures, but one at least, and never all.
    """
    found, sizes = np.unique(groups, return_counts=True)
    chosen, held = [], 0
    most = max(1, round(share * len(groups)))
    for place in rng.permutation(len(found)):
        if held + sizes[place] <= most and len(chosen) < len(found) - 1:
            chosen.append(found[place])
            held += sizes[place]
    return chosen or [found[sizes.argmin()]]


def split(labels, classes, groups, share=0.2, seed=0):
    """Return the places of pictures to learn from, and of those set aside.

    Near-copies, pictures of one group, stay together. A group with pictures
    of several classes is learned from. Raises ValueError naming a class that
    has nothing to be judged by.
    """
    rng, aside = np.random.default_rng(seed), []
    mixed = [one for one in np.unique(groups)
             if len(np.unique(labels[groups == one])) > 1]
    for label, name in enumerate(classes):
        here = (labels == label) & ~np.isin(groups, mixed)
        if len(np.unique(groups[here])) < 2:
            count = np.sum(labels == label)
            raise ValueError(
                f"class {name!r} has " + ("1 picture" if count == 1 else (
                    f"{count} pictures, all near-copies of one another or of"
                    " another class's (a smaller near tells more apart)"))
                + ": it needs two that differ, one to learn from and one to"
                " be judged by")
        aside += judges_of(groups[here], share, rng)
    held = np.isin(groups, aside)
    return np.flatnonzero(~held), np.flatnonzero(held)


def confusion(labels, guesses, classes):
    """Return how often a class (row) got an answer (column)."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, guesses), 1)
    return counts


def with_extremes(images):
    """Return images, and a copy of the first with a black and a white pixel.

    An int8 network takes plain bytes only where its first range is that of
    all bytes.
    """
    extreme = images[:1].copy()
    extreme[0, 0, 0], extreme[0, -1, -1] = 0, 255
    return np.concatenate([images, extreme])
