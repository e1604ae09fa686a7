"""Plain values between a submission's process and that of its tests.

A submission runs in a process of its own (serve), and its tests call it over a
pipe, a line of JSON each way. What crosses is made plain on the way: numbers,
strings, tuples, lists, dicts, sets, fractions and arrays, and networks made of
Keras's own layers, as their settings and weights. So no object of a student's
reaches a test. apart.py is the other end.
"""

import base64
import builtins
import json
import os
import sys
import threading
import time
import traceback
from fractions import Fraction

import numpy as np

LONGEST = 1 << 28  # characters of one message
SHOWN = 10_000  # characters of what a cell prints
# Layers that run code or read files which their settings name.
REFUSED = {"Lambda", "__lambda__", "__typespec__", "TFSMLayer",
           "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}


def keras():
    """Return Keras where it is in use, else None."""
    return sys.modules.get("keras")


def is_keras(value, kind):
    """Return whether a value is a Keras "Model", "Layer" or "KerasTensor"."""
    return keras() is not None and isinstance(value, getattr(keras(), kind))


class Pipe:
    """One end of the pipe: messages out and in."""

    def __init__(self, incoming, outgoing):
        """Take a file to read lines from and one to write them to."""
        self.incoming, self.outgoing = incoming, outgoing

    def send(self, message):
        """Write one message, a dict."""
        self.outgoing.write(json.dumps(message).encode() + b"\n")
        self.outgoing.flush()

    def receive(self):
        """Return the next message; raise EOFError where none comes."""
        line = self.incoming.readline(LONGEST)
        if not line.endswith(b"\n"):
            raise EOFError("the submission's process has ended")
        return json.loads(line)


def encode(value, calls=None):
    """Return a value as JSON can hold it; raise TypeError where none can.

    Functions are put into the dict calls, where there is one, by a number.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Fraction):
        return {"fraction": [value.numerator, value.denominator]}
    if isinstance(value, dict):
        return {"dict": [[encode(part, calls) for part in pair]
                         for pair in value.items()]}
    for kind, name in ((tuple, "tuple"), (list, "list"),
                       ((set, frozenset), "set"), (range, "tuple")):
        if isinstance(value, kind):
            return {name: [encode(part, calls) for part in value]}
    if isinstance(value, Remote):
        return {"call": value.number}
    for kind in ("KerasTensor", "Model", "Layer"):
        if is_keras(value, kind):
            return {kind: PACK[kind](value)}
    return encode_other(value, calls)


def encode_other(value, calls):
    """Return an array, an iterator or a function as JSON can hold it."""
    if hasattr(value, "__array__"):
        array = np.ascontiguousarray(np.asarray(value)).reshape(
            np.shape(value))
        if array.dtype.kind not in "biuf":
            raise TypeError(f"an array of {array.dtype} is no plain value")
        return {"array": [array.dtype.str, list(array.shape),
                          base64.b64encode(array.tobytes()).decode()]}
    if callable(value) and calls is not None:
        calls[len(calls)] = value
        return {"call": len(calls) - 1}
    if hasattr(value, "__next__") or hasattr(value, "element_spec"):
        return {"list": [encode(part, calls) for part in value]}
    raise TypeError(f"{type(value).__name__!r} is no plain value")


def decode(value, remote=None, tensors=()):
    """Return the value that encode wrote.

    A function becomes remote(number). The graph of a layer's output is built
    again on tensors, the symbolic inputs that the call was given.
    """
    if not isinstance(value, dict):
        return value
    (kind, content), = value.items()
    if kind in ("tuple", "list", "set"):
        parts = (decode(part, remote, tensors) for part in content)
        return {"tuple": tuple, "list": list, "set": set}[kind](parts)
    if kind == "dict":
        return {decode(key): decode(part, remote, tensors)
                for key, part in content}
    if kind == "fraction":
        return Fraction(*map(int, content))
    if kind == "array":
        dtype = np.dtype(content[0])
        if dtype.kind not in "biuf":
            raise TypeError(f"an array of {dtype} is refused")
        return np.frombuffer(base64.b64decode(content[2]), dtype).reshape(
            content[1]).copy()
    if kind == "call":
        return remote(content)
    if kind == "graph":
        return keras().models.clone_model(
            unpack_model(content), input_tensors=list(tensors)).output
    return UNPACK[kind](content)


def pack_tensor(tensor):
    """Return the shape and type of a symbolic tensor."""
    return [list(tensor.shape), str(tensor.dtype)]


def pack_model(model):
    """Return a model's settings, but those of its training, and weights."""
    settings = json.loads(model.to_json())
    settings.pop("compile_config", None)
    return [settings, [encode(array) for array in model.get_weights()]]


def pack_layer(layer):
    """Return a built layer's settings, the shape of its input, its weights."""
    settings = keras().saving.serialize_keras_object(layer)
    return [settings, list(layer.input.shape),
            [encode(array) for array in layer.get_weights()]]


def checked(settings):
    """Return settings; raise ValueError where they name more than Keras."""
    if isinstance(settings, list):
        for part in settings:
            checked(part)
    if isinstance(settings, dict):
        module, name = settings.get("module"), settings.get("class_name")
        activation = name == "function" and hasattr(
            keras().activations, str(settings.get("config")))
        ours = module is None or str(module).split(".")[0] == "keras"
        if not activation and (
                not ours or name in REFUSED or name == "function"):
            raise ValueError(f"the layer {name} of {module} is refused:"
                             " only Keras's own layers are graded")
        for part in settings.values():
            checked(part)
    return settings


def unpack_model(content):
    """Return the model that pack_model wrote."""
    settings, weights = content
    model = keras().models.model_from_json(json.dumps(checked(settings)))
    model.set_weights([decode(array) for array in weights])
    return model


def unpack_layer(content):
    """Return the layer that pack_layer wrote, built."""
    settings, shape, weights = content
    layer = keras().saving.deserialize_keras_object(checked(settings))
    layer(keras().Input(shape[1:]))
    layer.set_weights([decode(array) for array in weights])
    return layer


PACK = {"KerasTensor": pack_tensor, "Model": pack_model, "Layer": pack_layer}
UNPACK = {"Model": unpack_model, "Layer": unpack_layer,
          "KerasTensor": lambda content: keras().Input(
              content[0][1:], dtype=content[1])}


def update(value, encoded):
    """Give an array or a model in place what its encoded twin has by now."""
    if "array" in encoded:
        np.copyto(value, decode(encoded))
    elif "Model" in encoded:
        value.set_weights([decode(array) for array in encoded["Model"][1]])


def error_from(name, words):
    """Return an exception of Python's own by its name, or a RuntimeError."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and (
            not issubclass(kind, (UnicodeError, OSError, ImportError))):
        return kind(words)
    return RuntimeError(f"{name}: {words}")


class Remote:
    """A function of the tests', as a submission can call it."""

    def __init__(self, pipe, number):
        """Take the pipe, and the number by which the tests know it."""
        self.pipe, self.number = pipe, number

    def __call__(self, *arguments):
        """Ask the tests to call it."""
        self.pipe.send({"call": self.number, "arguments": encode(arguments)})
        return decode(self.pipe.receive()["value"])


class Server:
    """The submission's end: cells are run, and functions called."""

    def __init__(self, pipe, printed):
        """Take the pipe, and the file that holds what is printed."""
        from IPython.core.interactiveshell import InteractiveShell

        class Shell(InteractiveShell):
            def enable_gui(self, gui=None):
                """Do nothing: %matplotlib asks for it."""

        self.pipe, self.printed = pipe, printed
        self.shell = Shell.instance()

    def run(self, source):
        """Run one cell; return what it printed, and whether it failed."""
        result = self.shell.run_cell(source)
        sys.stdout.flush()
        self.printed.seek(0)
        text = self.printed.read().decode(errors="replace")
        self.printed.truncate(0)
        self.printed.seek(0)
        return {"text": text[-SHOWN:], "failed": not result.success}

    def names(self, names):
        """Return what the cells so far define of some names."""
        found = {}
        for name in names:
            value = self.shell.user_ns.get(name)
            try:
                found[name] = {} if callable(value) else {
                    "value": encode(value)}
            except TypeError:
                continue
        return found

    def call(self, name, arguments, options):
        """Call a function; return its value, and arguments it has changed."""
        remote = {"list": arguments}
        values = decode(remote, self.remote)
        tensors = [value for value in values if is_keras(value, "KerasTensor")]
        value = self.shell.user_ns[name](
            *values, **{key: decode(part, self.remote)
                        for key, part in options.items()})
        if is_keras(value, "KerasTensor"):
            value = {"graph": pack_model(keras().Model(tensors, value))}
        else:
            value = encode(value)
        twins = {number: encode(part) for number, part in enumerate(values)
                 if hasattr(part, "dtype") or is_keras(part, "Model")}
        return {"value": value, "changed": {
            number: twin for number, twin in twins.items()
            if twin != arguments[number]}}

    def remote(self, number):
        """Return a function that asks the tests to call theirs."""
        return Remote(self.pipe, number)

    def answer(self, request):
        """Return the reply to one request, an exception's too."""
        try:
            return getattr(self, request.pop("do"))(**request)
        except BaseException as error:
            return {"error": [type(error).__name__, str(error)[:2000],
                              traceback.format_exc(limit=-3)[-2000:]]}


def end_with(parent):
    """End this process when the one that started it has ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def serve():
    """Answer requests until there are none: the submission's process."""
    pipe = Pipe(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    printed = open("printed", "w+b")  # noqa: SIM115, as long as the process
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(printed.fileno(), 1)
    os.dup2(printed.fileno(), 2)
    threading.Thread(
        target=end_with, args=(os.getppid(),), daemon=True).start()
    server = Server(pipe, printed)
    while True:
        try:
            request = pipe.receive()
        except EOFError:
            os._exit(0)
        reply = server.answer(request)
        try:
            pipe.send(reply)
        except (TypeError, ValueError) as error:
            pipe.send({"error": ["TypeError", str(error)[:200], ""]})


if __name__ == "__main__":
    serve()
