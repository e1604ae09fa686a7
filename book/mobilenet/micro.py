"""TensorFlow Lite Micro's interpreter, where PyPI's tflite-micro is there."""

import contextlib
import importlib.metadata
import os
import re
import tempfile

import numpy as np


@contextlib.contextmanager
def stderr_kept():
    """Yield a list that has, afterwards, what C code wrote to stderr."""
    said, place = [], os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(place, 2)
            os.close(place)
            log.seek(0)
            said.append(log.read().decode())


def micro_interpreter(content, arena=2**23):
    """Return an interpreter of a LiteRT file's bytes in an arena of bytes.

    Raises ImportError where the package is not installed, and RuntimeError
    where the arena is too small.
    """
    from tflite_micro import runtime

    with stderr_kept():
        return runtime.Interpreter.from_bytes(content, arena_size=arena)


def arena_parts(content):
    """Return (head, tail): the arena's bytes for maps, and for all else."""
    made = micro_interpreter(content)
    with stderr_kept() as said:
        made.print_allocations()
    return tuple(int(re.search(rf"allocation {part} (\d+) bytes", said[0])[1])
                 for part in ("head", "tail"))


def smallest_arena(content):
    """Return the bytes of the smallest arena in which a file can run."""
    low = sum(arena_parts(content)) - 1024
    high = low + 2048
    while high - low > 1:
        middle = (low + high) // 2
        try:
            micro_interpreter(content, middle)
            high = middle
        except RuntimeError:
            low = middle
    return high


def micro_logits(content, images):
    """Return the int8 logits (n, classes) of uint8 images, as integers."""
    made, logits = micro_interpreter(content), []
    for image in images:
        made.set_input(image[None], 0)
        made.invoke()
        logits.append(made.get_output(0)[0].astype(int))
    return np.array(logits)


def litert_steps(content, images, fast=False):
    """Return the int8 logits of uint8 images by LiteRT, as integers.

    By its own kernels, or where fast is true by those of XNNPACK, which it
    takes by itself and which round otherwise.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = (OpResolverType.AUTO if fast else
               OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    with stderr_kept():
        made = Interpreter(
            model_content=content, experimental_op_resolver_type=kernels)
        made.allocate_tensors()
    (given,), (wanted,) = made.get_input_details(), made.get_output_details()
    logits = []
    for image in images:
        made.set_tensor(given["index"], image[None])
        made.invoke()
        logits.append(made.get_tensor(wanted["index"])[0].astype(int))
    return np.array(logits)


def version():
    """Return the version of the interpreter's package."""
    return importlib.metadata.version("tflite-micro")
