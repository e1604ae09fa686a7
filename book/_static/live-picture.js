/* From any picture to the bytes that a network takes (book/live.md): the same
   steps as quantization.picture, since a browser's own way to make a picture
   smaller skips pixels. tests/test_live.py compares the two. */
(() => {
  "use strict";

  const {Fault} = window.liveNetwork;

  // Pixels of a tile: no browser refuses a canvas of 2048 x 2048.
  const TILE = 2048;

  /* Draw a part of a source on white, pixel for pixel; its bytes, RGBA. */
  function tile(source, left, top, width, height) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(
      source, left, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }

  /* The mean colour of the pixels of a tile in a box, as whole numbers. */
  function mean(pixels, width, left, top, right, bottom) {
    const sums = [0, 0, 0];
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        for (let k = 0; k < 3; k++) sums[k] += pixels[4 * (y * width + x) + k];
      }
    }
    const count = (right - left) * (bottom - top);
    return sums.map((sum) => Math.floor((sum + (count >> 1)) / count));
  }

  /* Write the means of a tile's boxes, by x by pixels, into a picture. */
  function reduceTile(picture, pixels, [left, top, width, height], by) {
    for (let y = 0; y < height; y += by) {
      for (let x = 0; x < width; x += by) {
        const at = (top + y) / by * picture.width + (left + x) / by;
        picture.data.set(mean(
          pixels, width, x, y, Math.min(x + by, width),
          Math.min(y + by, height)), 3 * at);
      }
    }
  }

  /* A source as {width, height, data}, RGB, at least 8 sides a side: boxes
     of pixels become their mean, tile by tile, which takes little memory. */
  function shrunk(source, width, height, side) {
    const by = Math.max(Math.floor(Math.min(width, height) / (8 * side)), 1);
    const picture = {width: Math.ceil(width / by),
      height: Math.ceil(height / by)};
    picture.data = new Uint8ClampedArray(3 * picture.width * picture.height);
    const step = by * Math.max(Math.floor(TILE / by), 1);
    for (let top = 0; top < height; top += step) {
      for (let left = 0; left < width; left += step) {
        const part = [left, top, Math.min(step, width - left),
          Math.min(step, height - top)];
        reduceTile(picture, tile(source, ...part), part, by);
      }
    }
    return picture;
  }

  /* Lanczos's window: 1 in the middle, 0 from 3 on. */
  function lanczos(x) {
    if (x === 0) return 1;
    if (Math.abs(x) >= 3) return 0;
    const sinc = (t) => Math.sin(Math.PI * t) / (Math.PI * t);
    return sinc(x) * sinc(x / 3);
  }

  /* For each of side outputs, which of length inputs it weighs and how: the
     inputs from start on are spread over the outputs, [first, weights]. */
  function weightsOf(length, start, span, side) {
    const scale = span / side;
    const stretch = Math.max(scale, 1);
    return Array.from({length: side}, (_, place) => {
      const center = start + (place + 0.5) * scale;
      const first = Math.max(Math.trunc(center - 3 * stretch + 0.5), 0);
      const last = Math.min(Math.trunc(center + 3 * stretch + 0.5), length);
      const weights = Array.from({length: last - first}, (_, x) =>
        lanczos((x + first - center + 0.5) / stretch));
      const sum = weights.reduce((total, weight) => total + weight, 0);
      return [first, weights.map((weight) => weight / sum)];
    });
  }

  /* One axis of a picture resized, the other kept; returns it turned, so that
     a second call resizes the other axis and turns it back. */
  function resized({width, height, data}, start, span, side) {
    const out = new Uint8ClampedArray(3 * height * side);
    weightsOf(width, start, span, side).forEach(([first, weights], place) => {
      for (let y = 0; y < height; y++) {
        for (let k = 0; k < 3; k++) {
          let sum = 0;
          weights.forEach((weight, x) => {
            sum += weight * data[3 * (y * width + first + x) + k];
          });
          out[3 * (place * height + y) + k] = Math.floor(sum + 0.5);
        }
      }
    });
    return {width: height, height: side, data: out};
  }

  /* The middle square of a source that a canvas can draw, as side x side x 3
     bytes. Throws a Fault where it has no pixels. */
  function square(source, width, height, side) {
    if (!(width > 0 && height > 0)) {
      throw new Fault("This picture has no pixels.");
    }
    const picture = shrunk(source, width, height, side);
    const span = Math.min(picture.width, picture.height);
    const left = (picture.width - span) / 2;
    const top = (picture.height - span) / 2;
    return resized(
      resized(picture, left, span, side), top, span, side).data;
  }

  /* A file as an image, turned as its EXIF data says. Rejects with a
     Fault where the browser cannot read it. */
  async function imageOf(blob, name = "this") {
    const image = new Image();
    image.src = URL.createObjectURL(blob);
    try {
      await image.decode();
    } catch {
      throw new Fault(`This browser cannot read ${name} as a picture.`);
    } finally {
      URL.revokeObjectURL(image.src);
    }
    return image;
  }

  window.livePicture = {square, imageOf};
})();
