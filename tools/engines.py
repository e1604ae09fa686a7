"""Three browser engines behind one small face: open, goto, run, picture.

Chromium is driven by Playwright. Firefox and WebKit take WebDriver's
commands: Firefox from its own port (Marionette), WebKit from Debian's
WebKitWebDriver in a screen of Xvfb. No package carries the program that
would stand between Firefox and a WebDriver library.

    apt-get install firefox-esr webkit2gtk-driver xvfb
"""

import base64
import contextlib
import glob
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import pages

NAMES = ("chromium", "firefox", "webkit")
# What a page sends a script's answer, or its error, back with.
ASYNC = """const done = arguments[arguments.length - 1];
(async (...given) => {%s})(...[...arguments].slice(0, -1)).then(
    value => done({value}), error => done({error: String(error)}));"""


def found(variable, *names, package):
    """Return a program's path; ValueError says which package has it."""
    for name in (os.environ.get(variable), *names):
        if name and shutil.which(name):
            return shutil.which(name)
    raise ValueError(f"no {names[0]}: apt-get install {package}")


def waited(for_what, seconds=60):
    """Call until there is an answer that is true; return it."""
    end = time.monotonic() + seconds
    while not (answer := for_what()):
        if time.monotonic() > end:
            raise ValueError(f"no answer in {seconds} s")
        time.sleep(0.02)
    return answer


class Chromium:
    """The Chromium of pages.browser()."""

    def __init__(self, running):
        """Take a browser of Playwright's."""
        self.running = running

    @contextlib.contextmanager
    def open(self, width, height=800):
        """Open a window with that many pixels for the page."""
        self.page = self.running.new_page(
            viewport={"width": width, "height": height})
        try:
            yield self
        finally:
            self.page.close()

    def goto(self, address):
        """Load a page."""
        self.page.goto(address, wait_until="load")

    def run(self, script, *given):
        """Run the body of an async function of `given`; its value."""
        return self.page.evaluate(
            f"given => (async (...given) => {{{script}}})(...given)",
            list(given))

    def picture(self, path):
        """Write what the window shows as a PNG."""
        self.page.screenshot(path=path)


class Driver:
    """An engine that takes WebDriver's commands through `send`.

    send(name, method, path, **what) returns the answer's value: Marionette
    goes by the name, a server by the other two.
    """

    def __init__(self, send):
        """Take what sends the commands of one session."""
        self.send = send
        (self.first,) = self.handles()

    def handles(self):
        """Return the names of the windows that are open."""
        return self.send("GetWindowHandles", "GET", "window/handles")

    def choose(self, handle):
        """Send what follows to another window."""
        self.send("SwitchToWindow", "POST", "window", handle=handle)

    @contextlib.contextmanager
    def open(self, width, height=800):
        """Open a window with that many pixels for the page.

        A window with a toolbar cannot be as narrow as a phone.
        """
        known = set(self.handles())
        self.run(f"open('about:blank', '', 'width={width},height={height}')")
        (handle,) = waited(lambda: set(self.handles()) - known)
        self.choose(handle)
        try:
            yield self
        finally:
            self.send("CloseWindow", "DELETE", "window")
            self.choose(self.first)

    def goto(self, address):
        """Load a page."""
        self.send("Navigate", "POST", "url", url=address)

    def run(self, script, *given):
        """Run the body of an async function of `given`; its value."""
        answer = self.send("ExecuteAsyncScript", "POST", "execute/async",
                           script=ASYNC % script, args=list(given))
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer.get("value")

    def picture(self, path):
        """Write what the window shows as a PNG."""
        shot = self.send("TakeScreenshot", "GET", "screenshot", full=False)
        pathlib.Path(path).write_bytes(base64.b64decode(shot))


@contextlib.contextmanager
def process(*command, **options):
    """Run a program and, afterwards, end it and all that it started."""
    running = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, **options)
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        running.wait()


def marionette(port):
    """Return what sends commands to a Firefox that listens at a port."""
    stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")

    def read():
        size = b""
        while (byte := stream.read(1)) not in (b":", b""):
            size += byte
        return json.loads(stream.read(int(size)))

    def send(name, _method, _path, **what):
        message = json.dumps([0, 1, f"WebDriver:{name}", what]).encode()
        stream.write(b"%d:%s" % (len(message), message))
        stream.flush()
        _, _, error, value = read()
        if error:
            raise ValueError(f"{name}: {error['message']}")
        return value["value"] if [*value] == ["value"] else value

    read()  # Firefox introduces itself.
    return send


@contextlib.contextmanager
def firefox():
    """Start Firefox without a window."""
    program = found("FIREFOX", "firefox-esr", "firefox",
                    package="firefox-esr")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        pathlib.Path(folder, "user.js").write_text(
            'user_pref("marionette.port", 0);\n')
        listens = pathlib.Path(folder, "MarionetteActivePort")
        with process(program, "--headless", "--marionette", "--no-remote",
                     "--profile", folder):
            send = marionette(int(waited(
                lambda: listens.exists() and listens.read_text())))
            send("NewSession", "", "", capabilities={"alwaysMatch": {
                "timeouts": {"script": 120_000}}})
            yield Driver(send)


def server(port, capabilities):
    """Return what sends commands to a WebDriver server at a port."""
    session = ""

    def send(_name, method, path, **what):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/session{session}/{path}".rstrip("/"),
            json.dumps(what).encode() if method == "POST" else None,
            {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{path}: {error.read().decode()}") from None

    session = "/" + send("NewSession", "POST", "", capabilities={
        "alwaysMatch": capabilities})["sessionId"]
    return send


def free_port():
    """Return a port of this machine that nothing listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def listens(port):
    """Say whether something listens at a port of this machine."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def screen():
    """Start a screen that nobody sees; yields its name."""
    program = found("XVFB", "Xvfb", package="xvfb")
    reader, writer = os.pipe()
    with (open(reader) as named, process(
            program, "-displayfd", str(writer), "-nolisten", "tcp",
            "-screen", "0", "1600x1200x24", pass_fds=[writer])):
        os.close(writer)
        yield ":" + named.readline().strip()


@contextlib.contextmanager
def webkit():
    """Start WebKit's small browser on a screen of its own."""
    driver = found("WEBKIT_DRIVER", "WebKitWebDriver",
                   package="webkit2gtk-driver")
    browsers = glob.glob("/usr/lib*/*/webkit2gtk-4*/MiniBrowser")
    if not browsers:
        raise ValueError("no MiniBrowser: apt-get install webkit2gtk-driver")
    port = free_port()
    with screen() as display, process(
            driver, f"--port={port}", env={**os.environ, "DISPLAY": display}):
        waited(lambda: listens(port))
        send = server(port, {
            "timeouts": {"script": 120_000},
            "webkitgtk:browserOptions": {
                "binary": browsers[0], "args": [
                    "--automation",
                    "--javascript-can-open-windows-automatically=true"]}})
        yield Driver(send)


@contextlib.contextmanager
def chromium():
    """Start Chromium without a window."""
    with pages.browser() as running:
        yield Chromium(running)


def started(name):
    """Start an engine by its name; ValueError says which package has it."""
    return {"chromium": chromium, "firefox": firefox, "webkit": webkit}[name]()
