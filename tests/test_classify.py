"""Image files of many kinds, and the commands that make and ask int8."""

import io
import os
import pathlib
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from mobilenet import __main__ as command
from mobilenet import batches, cifar10, network, quantization, recipes, records
from PIL import Image, ImageOps
from tiny import called

BOOK = pathlib.Path(quantization.__file__).parent.parent


def stripes(width=64, height=64):
    """Return an image, red above and blue below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, :, 0] = 255
    pixels[height // 2:, :, 2] = 255
    return Image.fromarray(pixels)


def saved(image, kind="PNG", **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    file.seek(0)
    return file


def near(pixel, color):
    return np.abs(pixel.astype(int) - color).max() < 12


@pytest.mark.parametrize("size", [
    (1, 1), (1, 900), (900, 1), (32, 32), (33, 31), (640, 480), (3, 2000)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_any_size_and_format_becomes_32_pixels(size, kind):
    result = quantization.picture(saved(Image.new("RGB", size, "red"), kind))
    assert result.shape == (32, 32, 3) and result.dtype == np.uint8
    assert near(result[16, 16], (255, 0, 0))


def test_an_image_of_32_pixels_is_taken_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    pixels = pixels.astype(np.uint8)
    assert np.array_equal(
        quantization.picture(saved(Image.fromarray(pixels))), pixels)


def test_the_middle_square_is_kept():
    wide = Image.new("RGB", (300, 100), "white")
    wide.paste("black", (100, 0, 200, 100))
    assert quantization.picture(saved(wide)).max() < 40


def test_a_fine_pattern_is_averaged_not_picked():
    checks = np.indices((320, 320)).sum(axis=0) % 2 * 255
    result = quantization.picture(
        saved(Image.fromarray(checks.astype(np.uint8))))
    assert np.abs(result.astype(int) - 127).max() < 12


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16", "I", "F"])
def test_grey_images_of_any_depth_keep_dark_and_light(mode):
    grey = np.zeros((64, 64), np.uint8)
    grey[:32] = 255
    image = Image.fromarray(grey)
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype({
            "I;16": np.uint16, "I": np.int32}[mode]) * 256)
    else:
        image = image.convert(mode)
    kind = "TIFF" if mode in ("I", "F") else "PNG"
    result = quantization.picture(saved(image, kind))
    assert near(result[4, 16], 255) and near(result[28, 16], 0)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_what_is_transparent_becomes_white(mode):
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 64, 32))
    result = quantization.picture(saved(clear.convert(mode)))
    assert near(result[4, 16], 0) and near(result[28, 16], 255)


def test_cmyk_becomes_the_colours_that_are_meant():
    result = quantization.picture(saved(stripes().convert("CMYK"), "JPEG"))
    assert near(result[4, 16], (255, 0, 0))
    assert near(result[28, 16], (0, 0, 255))


@pytest.mark.parametrize(("orientation", "y", "x"), [
    (1, 4, 16), (3, 28, 16), (6, 16, 28), (8, 16, 4)])
def test_an_image_is_turned_as_its_exif_data_says(orientation, y, x):
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = quantization.picture(saved(
        stripes(), "JPEG", exif=exif, quality=95, subsampling=0))
    assert near(result[y, x], (255, 0, 0))


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_formats_are_turned_once_and_alike(orientation, kind):
    image, exif = stripes(), Image.Exif()
    image.paste("white", (0, 0, 32, 64))
    exif[0x0112] = orientation
    settings = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(
        quantization.picture(saved(image, kind, exif=exif, **settings)),
        quantization.picture(saved(ImageOps.exif_transpose(
            Image.open(saved(image, "PNG", exif=exif))))))


def with_exif(entries, kind="JPEG"):
    """Return stripes with EXIF data of (tag, type, count, value) entries."""
    content = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    settings = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    return saved(
        stripes(), kind, exif=b"Exif\0\0" + content, **settings)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("odd", "y", "x"), [
    # Pillow can read these and not write them again.
    (((0x0112, 3, 1, 6), (0x0128, 8, 1, 0xFFFE)), 16, 28),
    (((0x0112, 3, 1, 6), (0x011A, 5, 1, 9999)), 16, 28),
    (((0x0112, 3, 1, 6), (0x8769, 4, 1, 99999)), 16, 28),
    (((0x0112, 3, 1, 9),), 4, 16), (((0x0112, 3, 1, 0),), 4, 16),
    (((0x0112, 2, 4, 0x36363636),), 4, 16),
    (((0x0112, 3, 0, 6),), 4, 16), (((0x0112, 7, 9999999, 6),), 4, 16),
])
def test_orientation_alone_is_taken_from_odd_exif_data(odd, y, x, kind):
    assert near(quantization.picture(with_exif(odd, kind))[y, x], (255, 0, 0))


@pytest.mark.parametrize("exif", [
    b"", b"Exif\0\0", b"Exif\0\0II*\0", b"no exif data", b"\xff" * 99,
    b"Exif\0\0MM\0*\xff\xff\xff\xff"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_picture_whose_exif_data_cannot_be_read_is_left_unturned(exif, kind):
    result = quantization.picture(saved(stripes(), kind, exif=exif))
    assert near(result[4, 16], (255, 0, 0))


def grey_tiff(numbers):
    """Return a TIFF file of numbers (rows, columns) of any type."""
    kind = "uif".index(numbers.dtype.kind) + 1
    content = numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    tags = ((256, numbers.shape[1]), (257, numbers.shape[0]),
            (258, 8 * numbers.dtype.itemsize), (259, 1), (262, 1), (273, 134),
            (277, 1), (278, numbers.shape[0]), (279, len(content)),
            (339, kind))
    return io.BytesIO(
        b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(
            struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        + bytes(4) + content)


@pytest.mark.parametrize(("dtype", "low", "high"), [
    ("float32", 0, 1), ("float32", 0, 255), ("float32", 0, 65535),
    ("float32", -1, 1), ("float32", 0, 1000), ("float32", 0, 1e-4),
    ("float32", -3e38, 1), ("int32", 0, 2), ("int32", 0, 255),
    ("int32", 0, 65535), ("int32", 0, 70000), ("int32", -1000, 3000),
    ("int32", -2**31, 2**31 - 1), ("int32", -9, -1), ("uint32", 0, 2**31 - 1),
    ("int16", -300, 300), ("uint16", 0, 255), ("uint16", 0, 4095),
    ("uint16", 0, 65535)])
def test_numbers_that_are_no_bytes_are_scaled_by_what_occurs(
        dtype, low, high):
    numbers = np.full((64, 64), low, dtype)
    numbers[:32] = high
    numbers[:, 32:] = (float(low) + float(high)) / 2
    result = quantization.picture(grey_tiff(numbers))
    assert near(result[4, 4], 255) and near(result[28, 4], 0)
    assert near(result[16, 28], 127)


@pytest.mark.parametrize(("dtype", "value", "grey"), [
    ("float32", 0.6, 153), ("float32", 150, 150), ("int32", 150, 150),
    ("int32", 1, 255), ("int32", 0, 0), ("int32", -5, 0),
    ("uint16", 51400, 200)])
def test_plain_grey_keeps_its_tone(dtype, value, grey):
    result = quantization.picture(
        grey_tiff(np.full((64, 64), value, dtype)))
    assert (result == grey).all()


@pytest.mark.parametrize(("dtype", "value", "words"), [
    ("float32", np.nan, "from nan to nan"),
    ("float32", np.inf, "from 0 to inf"),
    ("uint32", 4_000_000_000, "from -2.94967e")])
def test_numbers_that_span_nothing_are_refused(dtype, value, words):
    numbers = np.zeros((64, 64), dtype)
    numbers[9, 9] = value
    with pytest.raises(ValueError, match=f"its numbers go {words}"):
        quantization.picture(grey_tiff(numbers))


def test_sixteen_bits_of_a_png_go_to_65535_however_dark_it_is():
    grey = Image.fromarray(np.full((64, 64), 51 * 257, np.uint16))
    assert (quantization.picture(saved(grey)) == 51).all()


@pytest.mark.parametrize(("color", "kind"), [
    ((1234,), 0), ((0x1234, 0x56FE, 0x9ABC), 2)])
def test_transparent_colour_of_16_bits_becomes_white(color, kind):
    numbers = np.full((64, 64, len(color)), 30000, ">u2")
    numbers[:32] = color
    rows = b"".join(b"\0" + row.tobytes() for row in numbers)
    file = b"\x89PNG\r\n\x1a\n"
    for name, content in (
            (b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, kind, 0, 0, 0)),
            (b"tRNS", struct.pack(f">{len(color)}H", *color)),
            (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        file += struct.pack(">I", len(content)) + name + content
        file += struct.pack(">I", zlib.crc32(name + content))
    result = quantization.picture(io.BytesIO(file))
    assert near(result[4, 16], 255) and near(result[28, 16], 30000 / 257)


def test_palette_with_a_transparent_colour_becomes_white_there():
    image = Image.fromarray(np.repeat([[0], [1]], 32, 0).repeat(64, 1).astype(
        np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    result = quantization.picture(saved(image, transparency=0))
    assert near(result[4, 16], 255) and near(result[28, 16], (0, 0, 255))


def test_large_picture_is_that_of_its_small_copy():
    image = stripes(1500, 1201).convert("RGBA")
    image.paste((0, 0, 0, 0), (700, 0, 1500, 1201))
    result = quantization.picture(saved(image)).astype(int)
    small = quantization.picture(saved(image.resize((300, 240))))
    assert np.abs(result - small).max() < 24


MEMORY = """
import io, resource, sys, types
from PIL import Image
for name in ("keras", "tensorflow"):  # not needed for pictures
    sys.modules[name] = types.ModuleType(name)
from mobilenet import quantization
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
small = io.BytesIO()
Image.new("RGB", (32, 32)).save(small, "JPEG")
quantization.picture(small)
before = peak()
try:
    print(quantization.picture(sys.argv[1])[16, 16].tolist())
except ValueError as error:
    print(error)
print(peak() - before)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads the peak in kB")
@pytest.mark.parametrize(("height", "words"), [
    (13000, "200, 200, 200"), (16, "has 169 megapixels, .* at most 75 ")])
def test_169_megapixels_take_little_memory_or_are_refused(
        height, words, tmp_path):
    path = tmp_path / "large.jpg"
    image = Image.new("L", (13000, height), 200)
    image.save(path, progressive=height == 16)
    if height == 16:  # one that is read whole says that it is as high
        content = path.read_bytes()
        at = content.index(b"\xff\xc2") + 5
        path.write_bytes(
            content[:at] + struct.pack(">H", 13000) + content[at + 2:])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MEMORY, str(path)], cwd=BOOK,
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, more = done.stdout.splitlines()
    assert re.search(words, answer) and float(more) < 500, done.stdout


def broken(folder, kind):
    """Return the path of a file that is no image."""
    path = folder / "broken.png"
    whole = saved(stripes(640, 640)).getvalue()
    if kind == "a folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes({
            "text": b"this is\nno image\n", "nothing": b"",
            "cut": whole[: len(whole) // 2],
            "a header": whole[:40]}[kind])
    return path


KINDS = ["text", "nothing", "cut", "a header", "missing", "a folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_no_image_is_named_in_one_line(kind, tmp_path):
    path = broken(tmp_path, kind)
    with pytest.raises(ValueError, match="is not an image") as caught:
        quantization.picture(path)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


def test_an_image_too_large_for_memory_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="is not an image that can be read"):
        quantization.picture(saved(stripes()))


def test_picture_that_cannot_be_held_is_refused_before_it_is_read(
        monkeypatch):
    monkeypatch.setattr(
        quantization, "PIXEL_BYTES", {"PNG": 450e6 / 4000, "L": 0})
    with pytest.raises(ValueError, match="at most 0 of its kind.*smaller"):
        quantization.picture(saved(stripes(64, 63)))
    assert near(quantization.picture(saved(stripes(50, 80)))[4, 16], (
        255, 0, 0))


def test_classify_names_three_classes_a_file(tmp_path, monkeypatch, capsys):
    paths = [tmp_path / "a picture.jpg", tmp_path / "b.png"]
    for path in paths:
        stripes(300, 200).save(path)
    called(monkeypatch, "classify", *paths)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line, path in zip(lines, paths):
        name, _, answers = line.partition(": ")
        assert name == str(path)
        found = re.fullmatch(r"(\w+) (\d+) %, (\w+) (\d+) %, (\w+) (\d+) %",
                             answers)
        assert set(found.groups()[::2]) <= set(cifar10.CLASSES)
        shares = [int(share) for share in found.groups()[1::2]]
        assert shares == sorted(shares, reverse=True) and sum(shares) <= 101


def test_a_bad_file_among_good_ones_ends_with_1_after_all(
        tmp_path, monkeypatch, capsys):
    stripes().save(tmp_path / "good.png")
    bad = broken(tmp_path, "text")
    with pytest.raises(SystemExit) as caught:
        called(monkeypatch, "classify", bad, tmp_path / "good.png")
    assert caught.value.code == 1
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1 and "good.png: " in captured.out
    assert captured.err.splitlines()[0].startswith(
        f"{bad} is not an image")


@pytest.mark.parametrize(("encoding", "name", "printed"), [
    ("cp1252", "고양이.png", r"\uace0\uc591\uc774.png"),
    ("ascii", "é.png", r"\xe9.png"), ("utf-8:strict", "é.png", "é.png"),
    ("utf-8:strict", os.fsdecode(b"x\xff.png"), r"x\udcff.png"),
    ("utf-8", "a\nb\x1b[2J.png", r"a\nb\x1b[2J.png"),
    ("cp1252", "\N{RIGHT-TO-LEFT OVERRIDE}gnp.png", r"\u202egnp.png")])
def test_name_that_cannot_be_printed_is_escaped_and_the_next_is_named(
        encoding, name, printed, tmp_path, monkeypatch):
    try:
        stripes().save(tmp_path / name)
    except OSError:
        pytest.skip("this system has no such names")
    bad = tmp_path / f"not-{name}"
    bad.write_bytes(b"no image")
    stripes().save(tmp_path / "good.png")
    encoding, _, errors = encoding.partition(":")
    out = io.TextIOWrapper(io.BytesIO(), encoding, errors or "strict")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(
        io.BytesIO(), encoding, "backslashreplace"))
    with pytest.raises(SystemExit) as caught:
        called(monkeypatch, "classify", tmp_path / name, bad,
               tmp_path / "good.png")
    assert caught.value.code == 1
    sys.stdout.flush()
    sys.stderr.flush()
    first, second = out.buffer.getvalue().decode(encoding).splitlines()
    assert f"{printed}: " in first and "good.png: " in second
    said, = sys.stderr.buffer.getvalue().decode(encoding).splitlines()
    assert f"not-{printed} is not an image" in said


def test_shares_are_those_of_the_logits(tmp_path, monkeypatch, capsys):
    shares = np.array([0.01, 0.02, 0, 0.6, 0, 0.3, 0.07, 0, 0, 0]) + 1e-9
    monkeypatch.setattr(
        quantization, "litert_logits",
        lambda content, images: np.log(shares)[None] - 5)
    stripes().save(tmp_path / "a.png")
    called(monkeypatch, "classify", tmp_path / "a.png")
    assert "a.png: cat 60 %, dog 30 %, frog 7 %" in capsys.readouterr().out


def test_classify_without_its_network_says_which_file_is_missing(
        tmp_path, monkeypatch):
    monkeypatch.setattr(command, "WEIGHTS", tmp_path)
    with pytest.raises(SystemExit, match=r"best-all\.tflite"):
        called(monkeypatch, "classify", "x.png")


TINY = {
    "model": "network.mobilenet_v1",
    "network": {"alpha": 0.25, "body": ((64, 2),)}, "validation": 32,
}


def test_quantize_makes_the_network_that_classify_asks(
        tmp_path, monkeypatch, capsys):
    images, labels = batches.generated_images(96)
    monkeypatch.setattr(
        cifar10, "load_cifar10", lambda: ((images, labels), None))
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": TINY})
    monkeypatch.setattr(command, "WEIGHTS", tmp_path)
    monkeypatch.setattr(command, "CLASSIFIER", "tiny")
    model = network.mobilenet_v1((32, 32, 3), 10, **TINY["network"])
    # A bias that decides for "ship", whatever the image.
    model.get_layer("logits").bias.assign(9 * np.eye(10)[8])
    records.save_weights(model, tmp_path / "tiny.npz")
    called(monkeypatch, "quantize", "tiny")
    size = (tmp_path / "tiny.tflite").stat().st_size
    assert f"{size:,} bytes" in capsys.readouterr().out
    stripes().save(tmp_path / "a.png")
    called(monkeypatch, "classify", tmp_path / "a.png")
    assert "a.png: ship 100 %" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["KERAS_BACKEND", "keras.json"])
def test_backend_that_is_not_there_ends_in_one_line(by, tmp_path):
    settings = {**os.environ, "KERAS_HOME": str(tmp_path)}
    settings.pop("KERAS_BACKEND", None)
    if by == "keras.json":
        (tmp_path / by).write_text('{"backend": "no-such"}')
    else:
        settings[by] = "no-such"
    done = subprocess.run(
        [sys.executable, "-m", "mobilenet", "classify", "x.png"], cwd=BOOK,
        env=settings, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith(
        "Keras cannot be imported")
    assert "KERAS_BACKEND" in done.stderr
    assert "Traceback" not in done.stderr


def test_quantize_without_weights_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "WEIGHTS", pathlib.Path(tmp_path))
    with pytest.raises(SystemExit, match=r"best-more\.npz"):
        called(monkeypatch, "quantize", "best-more")
