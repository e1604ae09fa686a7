"""RAM and flash of a small chip: lives of maps, their plan, and a C array."""

import itertools
import math
import textwrap
from typing import NamedTuple

from keras import layers


def chain_peak(sizes):
    """Return the most RAM that a chain of layers needs at once.

    sizes are those of its maps in order, the image first, in any unit. While
    a layer runs, its input and its output must both be there.
    """
    return max(before + after for before, after in itertools.pairwise(sizes))


class Map(NamedTuple):
    """A map: its bytes, and the first and the last step in which it lives."""

    name: str
    size: int
    first: int
    last: int


# What an int8 network computes while it writes the map of the layer before,
# and padding, which it reads as zeros around a map.
WITHIN = (
    layers.BatchNormalization, layers.ReLU, layers.Activation,
    layers.Softmax, layers.Dropout, layers.Reshape, layers.Flatten,
    layers.ZeroPadding2D,
)


def lives(model, number_bytes=1):
    """Return the Maps of a Keras model, the image first.

    A step is a layer that writes a map of its own. A map lives from the step
    that writes it, the image from step 0, to the last step that reads it.
    """
    maps, holder, step = [], {}, 0
    for layer in model.operations:
        read = [holder[id(tensor)] for tensor in (
            layer.input if isinstance(layer.input, list) else [layer.input])
            if id(tensor) in holder]
        if read and isinstance(layer, WITHIN):
            holder[id(layer.output)] = read[0]
            continue
        for place in read:
            maps[place] = maps[place]._replace(last=step)
        size = number_bytes * math.prod(layer.output.shape[1:])
        holder[id(layer.output)] = len(maps)
        maps.append(Map(layer.name, size, step, step))
        step += bool(read)
    return maps


def with_pixels(maps):
    """Return Maps behind a step 0 that turns the image's bytes into int8.

    The files of the book take unsigned bytes: the image is there twice.
    """
    return [maps[0]._replace(name="pixels", first=0, last=0)] + [
        one._replace(first=one.first + bool(place), last=one.last + 1)
        for place, one in enumerate(maps)]


def needs(maps):
    """Return the bytes of all Maps that live in each step, a list."""
    return [sum(one.size for one in maps if one.first <= step <= one.last)
            for step in range(max(one.last for one in maps) + 1)]


def plan(maps, align=16):
    """Return where TensorFlow Lite Micro puts each Map: offsets in bytes.

    The largest goes first, of equal ones the later. Each goes to the lowest
    place where it meets no map that lives at the same time and is placed
    already. Sizes are rounded up to align.
    """
    placed, offsets = [], [0] * len(maps)
    for place in sorted(range(len(maps)), key=lambda i: (
            -math.ceil(maps[i].size / align), -i)):
        one, offset = maps[place], 0
        size = align * math.ceil(one.size / align)
        for start, end, other in sorted(placed):
            if other.first <= one.last and one.first <= other.last:
                if start - offset >= size:
                    break
                offset = max(offset, end)
        placed.append((offset, offset + size, one))
        offsets[place] = offset
    return offsets


def planned_bytes(maps, align=16):
    """Return the bytes of the plan, from 0 to its highest end."""
    return max(offset + align * math.ceil(one.size / align)
               for one, offset in zip(maps, plan(maps, align)))


def c_array(content, name, **sizes):
    """Return C source of an array name_model, its bytes and its sizes.

    Each of sizes, whole numbers, becomes a constant such as NAME_SIDE.
    """
    lines = ["#define " + f"{name}_{key}".upper() + f" {value}"
             for key, value in {"bytes": len(content), **sizes}.items()]
    numbers = textwrap.fill(", ".join(map(str, content)), 79)
    return "\n".join([
        "/* An int8 network. Include this in one source file alone. */",
        "#include <stdalign.h>", *lines,
        f"alignas(16) const unsigned char {name}_model[] = {{",
        numbers, "};", ""])
