"""A submission as its tests see it: a process of its own.

The kernel that nbgrader starts runs the locked cells, as the source has them:
helpers and tests. What a student wrote runs in another process (wire.py), in a
folder of its own, on Linux closed in by bubblewrap: no network, no other file
than Python's. The tests reach it by the functions that the assignment asks
for, and only plain values come back. So nothing that a submission redefines,
patches or prints is seen by a test.
"""

import functools
import os
import pathlib
import shutil
import site
import subprocess
import sys
import tempfile

import numpy as np
from wire import Pipe, decode, encode, error_from, update

COURSE = pathlib.Path(__file__).resolve().parent
# What a submission's process is told of this one's environment.
TOLD = ("PATH", "LANG", "LC_", "TF_", "KERAS_", "OMP_", "OPENBLAS", "CUDA",
        "SYSTEMROOT")


def environment(folder):
    """Return the variables of a submission's process."""
    told = {name: value for name, value in os.environ.items()
            if name.upper().startswith(TOLD)}
    return {**told, "HOME": str(folder), "MPLBACKEND": "agg",
            "PYTHONUSERBASE": site.getuserbase()}


def closed_in(folder):
    """Return the start of a command that can reach but folder and Python."""
    seen = {"/usr", "/bin", "/lib", "/lib64", "/etc", "/opt", sys.prefix,
            sys.base_prefix, *site.getsitepackages(),
            site.getusersitepackages()}
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session",
               "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for path in sorted(seen):
        command += ["--ro-bind-try", path, path]
    return [*command, "--tmpfs", str(COURSE), "--bind", str(folder),
            str(folder), "--chdir", str(folder)]


@functools.cache
def can_close_in():
    """Return whether bubblewrap works here."""
    return bool(shutil.which("bwrap")) and not subprocess.run(
        [*closed_in(tempfile.gettempdir()), "true"],
        capture_output=True).returncode


class Submission:
    """What a student wrote, in a process of its own, as its tests see it."""

    def __init__(self, names):
        """Take the names that the assignment asks for; start the process."""
        self.names, self.ran, self.process = names, [], None
        self.unread = 0
        self.start()

    def start(self):
        """Start the process, and run again what was run."""
        self.folder = tempfile.TemporaryDirectory()
        shutil.copy(COURSE / "wire.py", self.folder.name)
        command = closed_in(self.folder.name) if can_close_in() else []
        self.process = subprocess.Popen(
            [*command, sys.executable, "wire.py"], cwd=self.folder.name,
            env=environment(self.folder.name), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, start_new_session=True)
        self.pipe = Pipe(self.process.stdout, self.process.stdin)
        self.unread = 0
        for source in self.ran:
            self.helper(source, again=True)

    def end(self):
        """Kill the process, and all that it has left in its folder."""
        self.process.kill()
        self.process.wait()
        self.process = None
        self.folder.cleanup()

    def ask(self, calls=(), **request):
        """Return the answer to a request; end a process that gives none."""
        if not self.process:
            self.start()
        try:
            self.pipe.send(request)
            while self.unread:
                self.pipe.receive()
                self.unread -= 1
            while "call" in (reply := self.pipe.receive()):
                value = calls[reply["call"]](*decode(reply["arguments"]))
                self.pipe.send({"value": encode(value)})
        except BaseException:  # a loop that nbgrader interrupts, too
            self.end()
            raise
        if "error" in reply:
            name, words, trace = map(str, reply["error"])
            error = error_from(name, words)
            error.add_note(trace)
            raise error
        return reply

    def helper(self, source, again=False):
        """Run a locked cell, whose names the student's use; do not wait."""
        if not self.process:
            self.start()
        self.pipe.send({"do": "run", "source": source})
        self.unread += 1
        if not again:
            self.ran.append(source)

    def run(self, source, namespace):
        """Run a student's cell; put what is asked for into a namespace."""
        reply = self.ask(do="run", source=source)
        self.ran.append(source)
        print(str(reply["text"])[-10_000:], end="")
        for name, found in self.ask(do="names", names=self.names).items():
            if name in self.names:
                namespace[name] = (
                    decode(found["value"]) if "value" in found
                    else functools.partial(self.call, name))
        if reply["failed"]:
            raise RuntimeError("the cell fails")

    def call(self, name, *arguments, **options):
        """Call a function of the student's, as if it were here."""
        calls = {}
        sent = [encode(value, calls) for value in arguments]
        reply = self.ask(
            calls, do="call", name=name, arguments=sent,
            options={key: encode(value, calls)
                     for key, value in options.items()})
        for number, twin in reply["changed"].items():
            update(arguments[int(number)], twin)
        keras = sys.modules.get("keras")
        tensors = [value for value in arguments if keras and isinstance(
            value, keras.KerasTensor)]
        return plain(decode(reply["value"], tensors=tensors))


def plain(value):
    """Return a value with lists, and short arrays of numbers, as tuples."""
    if isinstance(value, np.ndarray) and value.ndim < 2 and value.size < 9:
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    return value
