"""Image files of many kinds, and the commands that make and ask int8."""

import io
import pathlib
import re
import sys

import numpy as np
import pytest
from mobilenet import __main__ as command
from mobilenet import batches, cifar10, network, quantization, recipes, records
from PIL import Image


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


def called(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["mobilenet", *map(str, arguments)])
    command.main()


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


def test_quantize_without_weights_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "WEIGHTS", pathlib.Path(tmp_path))
    with pytest.raises(SystemExit, match=r"best-more\.npz"):
        called(monkeypatch, "quantize", "best-more")
