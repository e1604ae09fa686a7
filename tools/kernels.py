"""Assemble the kernels of the page On your device: run it to write them."""

import base64
import pathlib
import textwrap

STATIC = pathlib.Path(__file__).parent.parent / "book" / "_static"
SCRIPT = """/* live-kernels.wat, assembled by tools/kernels.py. */
window.liveKernels = `
{}
`;
"""


def assembled():
    """Return the script that carries live-kernels.wat, assembled."""
    import wasmtime
    content = wasmtime.wat2wasm(
        (STATIC / "live-kernels.wat").read_text(encoding="utf8"))
    return SCRIPT.format(textwrap.fill(
        base64.b64encode(content).decode(), 76))


if __name__ == "__main__":
    (STATIC / "live-kernels.js").write_text(assembled(), encoding="utf8")
