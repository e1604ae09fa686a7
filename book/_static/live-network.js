/* MobileNet v1 in a browser (book/live.md): reads the file of a network and
   runs it, layer by layer, in plain JavaScript or with two kernels in
   WebAssembly. The page shows these functions; tests/test_live.py compares
   what they compute with Python. A classic script, not a module: browsers
   refuse to load a module where a page is opened from a disk.

   A map is {height, width, channels, data}: float32 numbers, channels last. A
   layer is {name, kind, stride, shape, low, high, kernel, bias}. */
(() => {
  "use strict";

  /* What the page tells the reader, in a sentence. */
  class Fault extends Error {}

  const size = (shape) => shape.reduce((product, side) => product * side, 1);

  /* Zeros before the first row or column, as TensorFlow's "same" has them. */
  function before(side, k, stride) {
    const after = Math.ceil(side / stride);
    return Math.max((after - 1) * stride + k - side, 0) >> 1;
  }

  /* Call visit(output, input, tap) for each tap inside the map; the others
     would multiply zeros. */
  function eachTap(map, out, {stride, shape: [k]}, visit) {
    const top = before(map.height, k, stride);
    const left = before(map.width, k, stride);
    for (let y = 0; y < out.height; y++) {
      for (let x = 0; x < out.width; x++) {
        for (let i = 0; i < k; i++) {
          const row = y * stride + i - top;
          if (row < 0 || row >= map.height) continue;
          for (let j = 0; j < k; j++) {
            const column = x * stride + j - left;
            if (column < 0 || column >= map.width) continue;
            visit(y * out.width + x, row * map.width + column, i * k + j);
          }
        }
      }
    }
  }

  /* Filter each channel with its own kernel: (3.3). */
  function depthwise(map, layer, out) {
    const {channels, data: x} = map;
    const {kernel} = layer;
    const sums = out.data;
    eachTap(map, out, layer, (to, from, tap) => {
      for (let c = 0; c < channels; c++) {
        sums[to * channels + c] +=
          x[from * channels + c] * kernel[tap * channels + c];
      }
    });
  }

  /* Mix the channels of each position: (3.4). The kernel is transposed: it
     has a row per output channel, so that its weights are read in order. */
  function pointwise(map, layer, out) {
    const {channels, data: x} = map;
    const {kernel} = layer;
    const filters = out.channels;
    for (let p = 0; p < out.height * out.width; p++) {
      for (let m = 0; m < filters; m++) {
        let sum = 0;
        for (let c = 0; c < channels; c++) {
          sum += x[p * channels + c] * kernel[m * channels + c];
        }
        out.data[p * filters + m] += sum;
      }
    }
  }

  /* Both at once, a standard convolution: (3.1). */
  function convolution(map, layer, out) {
    const {channels, data: x} = map;
    const {kernel} = layer;
    const [sums, filters] = [out.data, out.channels];
    eachTap(map, out, layer, (to, from, tap) => {
      for (let c = 0; c < channels; c++) {
        const [value, at] = [x[from * channels + c], tap * channels + c];
        for (let m = 0; m < filters; m++) {
          sums[to * filters + m] += value * kernel[at * filters + m];
        }
      }
    });
  }

  /* Each channel's mean over all positions, a map of one position. */
  function average({height, width, channels, data}) {
    const mean = new Float32Array(channels);
    for (let at = 0; at < height * width * channels; at++) {
      mean[at % channels] += data[at] / (height * width);
    }
    return {height: 1, width: 1, channels, data: mean};
  }

  const KINDS = {
    convolution, depthwise, pointwise,
    dense: (map, layer, out) => pointwise(average(map), layer, out),
  };

  /* The height, width and channels of a layer's output. */
  function outputOf(layer, map) {
    const [height, width] = layer.kind === "dense" ? [1, 1]
      : [map.height, map.width].map((side) => Math.ceil(side / layer.stride));
    return {height, width, channels: layer.shape.at(-1)};
  }

  /* Apply a layer: bias, kernel, ReLU. */
  function apply(layer, map) {
    const out = outputOf(layer, map);
    const all = out.height * out.width * out.channels;
    out.data = new Float32Array(all);
    for (let at = 0; at < all; at += out.channels) {
      out.data.set(layer.bias, at);
    }
    KINDS[layer.kind](map, layer, out);
    const {low, high} = layer;
    out.data.forEach((sum, at, sums) => {
      sums[at] = Math.min(Math.max(sum, low), high);
    });
    return out;
  }

  /* A kernel of rows (C, M) as columns (M, C). */
  function transposed({kernel, shape: [rows, columns]}) {
    return kernel.map((_, at) => kernel[
      (at % rows) * columns + Math.floor(at / rows)]);
  }

  /* The engine in plain JavaScript. An engine applies a network's layers to
     maps that it has placed, and reads what comes out. */
  function plain(network) {
    const ready = new Map(network.layers.map((layer) => [
      layer, layer.shape.length === 2
        ? {...layer, kernel: transposed(layer)} : layer]));
    return {
      name: "plain JavaScript", place: (map) => map, read: (map) => map,
      apply: (layer, map) => apply(ready.get(layer), map)};
  }

  /* A picture's bytes, three a pixel, as a map of numbers from -1 to 1. */
  function scaled(bytes, side) {
    return {height: side, width: side, channels: 3,
      data: Float32Array.from(bytes, (byte) => byte / 127.5 - 1)};
  }

  /* The logits of a picture. each(layer, map) is called after each layer. */
  function run(network, engine, bytes, each = () => {}) {
    let map = engine.place(scaled(bytes, network.side));
    for (const layer of network.layers) {
      map = engine.apply(layer, map);
      each(layer, map);
    }
    return engine.read(map).data;
  }

  /* Shares that add up to 1: the softmax of logits. */
  function shares(logits) {
    const most = Math.max(...logits);
    const powers = Array.from(logits, (logit) => Math.exp(logit - most));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  }

  // The file of a network.

  /* The int8 weights of a layer, times the scale of their output channel. */
  function weights(layer, bytes, at) {
    const [count, channels] = [size(layer.shape), layer.shape.at(-1)];
    const scales = at + count + (4 - count % 4) % 4;
    const scale = new Float32Array(bytes.buffer, scales, channels);
    const bias = new Float32Array(
      bytes.buffer, scales + 4 * channels, channels);
    const kernel = Float32Array.from(
      new Int8Array(bytes.buffer, at, count),
      (weight, place) => weight * scale[place % channels]);
    return [{...layer, kernel, bias}, scales + 8 * channels];
  }

  const isSize = (number) =>
    Number.isInteger(number) && number > 0 && number < 1e6;
  const isClip = (number) =>
    number === undefined || typeof number === "number";
  const areTexts = (values) => Array.isArray(values)
    && values.every((value) => typeof value === "string");

  /* What is wrong with a layer's header where so many channels come in; ""
     if nothing is. */
  function fault({kind, shape, stride, low, high}, channels) {
    const sides = {convolution: 4, depthwise: 3, pointwise: 2, dense: 2}[kind];
    if (!Array.isArray(shape) || shape.length !== sides
      || ![...shape, stride].every(isSize)) return "an unknown shape";
    if (![low, high].every(isClip)) return "an unknown ReLU";
    if (sides === 2 && stride !== 1) return "a stride";
    if (sides > 2 && shape[0] !== shape[1]) return "a window of unequal sides";
    const inputs = kind === "depthwise" ? shape[2] : shape.at(-2);
    return inputs === channels ? ""
      : `${inputs} input channels instead of ${channels}`;
  }

  /* What is wrong with a header, or "". */
  function wrongIn({name, about, classes, side, layers}) {
    if (!areTexts([name, about]) || !Array.isArray(layers)) {
      return "its header is incomplete";
    }
    if (!isSize(side) || side > 512) {
      return "the side of its pictures is not 1 to 512";
    }
    let channels = 3;
    for (const layer of layers) {
      const wrong = fault(layer, channels);
      if (wrong) return `its layer ${layer.name} has ${wrong}`;
      channels = layer.shape.at(-1);
    }
    if (layers.at(-1)?.kind !== "dense") return "its last layer is not dense";
    if (!areTexts(classes) || classes.length !== channels) {
      return "its classes do not have one name each";
    }
    return roomFor({side, layers}) > 2 ** 25 ? "its maps are too large" : "";
  }

  /* The header: 4 letters, its length, and JSON. */
  function headerOf(bytes) {
    const letters = String.fromCharCode(...bytes.subarray(0, 4));
    if (letters !== "MNv1") {
      throw new Fault("This is not a network file of this book.");
    }
    const [length] = new Uint32Array(bytes.buffer, 4, 1);
    const header = JSON.parse(new TextDecoder().decode(
      bytes.subarray(8, 8 + length)));
    const wrong = wrongIn(header);
    if (wrong) throw new Fault(`The page cannot use this network: ${wrong}.`);
    return [header, 8 + length];
  }

  /* A network of the bytes of a file whose buffer begins where they do. */
  function networkOf(bytes) {
    const [header, start] = headerOf(bytes);
    let at = start;
    const layers = header.layers.map((row) => {
      const [layer, next] = weights(row, bytes, at);
      at = next;
      return {...layer, low: row.low ?? -Infinity,
        high: row.high ?? Infinity};
    });
    if (at !== bytes.length) throw Error("bytes that belong to no layer");
    return {...header, layers};
  }

  /* A network, from the bytes of its file: {name, about, classes, side,
     layers}. Throws a Fault where they are none. */
  function read(bytes) {
    try {
      return networkOf(bytes.slice());
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault(
        "This file is damaged or cut, so the page cannot read it.");
    }
  }

  // The same layers in WebAssembly, four channels at a time.

  const decoded = (text) => Uint8Array.from(
    atob(text), (letter) => letter.charCodeAt(0));
  // live-kernels.wat, assembled.
  const kernels = () => decoded(window.liveKernels);
  const wide = (channels) => Math.ceil(channels / 4) * 4;
  const hasSimd = () => typeof WebAssembly === "object"
    && WebAssembly.validate(kernels());

  /* A kernel of rows x columns in strips of four columns, as "pointwise"
     takes it; rows and columns that fill up are zeros. */
  function strips(kernel, rows, columns, height) {
    const found = new Float32Array(height * wide(columns));
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const strip = 4 * height * (column >> 2);
        found[strip + 4 * row + column % 4] = kernel[row * columns + column];
      }
    }
    return found;
  }

  /* Rows of columns numbers, each filled up with zeros to a multiple of 4. */
  function filled(data, columns) {
    if (columns === wide(columns)) return data;
    const rows = data.length / columns;
    const found = new Float32Array(rows * wide(columns));
    for (let row = 0; row < rows; row++) {
      found.set(data.subarray(row * columns, (row + 1) * columns),
        row * wide(columns));
    }
    return found;
  }

  /* A layer's kernel as its kernel in WebAssembly takes it. */
  function packed({kind, shape, kernel}) {
    if (kind === "depthwise") return filled(kernel, shape[2]);
    const [columns, rows] = [shape.at(-1), size(shape.slice(0, -1))];
    return strips(
      kernel, rows, columns, kind === "convolution" ? rows : wide(rows));
  }

  /* The most numbers that a map of a network, or the windows of one, has: a
     few positions more, since "pointwise" takes four at a time. */
  function roomFor({side, layers}) {
    let map = {height: side, width: side, channels: 3};
    let most = 0;
    for (const layer of layers) {
      const out = outputOf(layer, map);
      const inner = layer.kind === "convolution"
        ? size(layer.shape.slice(0, -1)) : wide(map.channels);
      most = Math.max(
        most, (map.height * map.width + 3) * wide(map.channels),
        (out.height * out.width + 3) * Math.max(inner, wide(out.channels)));
      map = out;
    }
    return most;
  }

  /* Memory of WebAssembly, given out from the bottom up. */
  function heap(memory) {
    let top = 0;
    return {
      place(numbers) {
        const at = top;
        top += Math.ceil(numbers / 4) * 16;
        const missing = top - memory.buffer.byteLength;
        if (missing > 0) memory.grow(Math.ceil(missing / 65536));
        return at;
      },
      set(at, data) {
        new Float32Array(memory.buffer, at, data.length).set(data);
      },
      get: (at, count) => new Float32Array(memory.buffer, at, count),
    };
  }

  /* All windows of a map, one after another: what makes a convolution a
     product of matrices (2.10). Windows have zeros where they leave it. */
  function windows(map, out, layer) {
    const {channels} = map;
    const length = size(layer.shape.slice(0, -1));
    const found = new Float32Array(out.height * out.width * length);
    eachTap(map, out, layer, (to, from, tap) => {
      for (let c = 0; c < channels; c++) {
        found[to * length + tap * channels + c] =
          map.data[from * channels + c];
      }
    });
    return found;
  }

  /* Put the kernels and biases of layers into a heap; [layer, {kernel, bias},
     their places] of each. */
  function placed(layers, space) {
    return layers.map((layer) => {
      const {bias} = layer;
      const kernel = packed(layer);
      const at = {kernel: space.place(kernel.length),
        bias: space.place(wide(bias.length))};
      space.set(at.kernel, kernel);
      space.set(at.bias, filled(bias, bias.length));
      return [layer, at];
    });
  }

  /* Put a map into the memory of an engine; its place is map.at. */
  function place({space, first}, map, at = first) {
    space.set(at, filled(map.data, map.channels));
    return {...map, at, data: null};
  }

  /* A map of an engine, with its numbers. */
  function readMap({space}, {at, height, width, channels}) {
    const data = new Float32Array(height * width * channels);
    const from = space.get(at, height * width * wide(channels));
    for (let p = 0; p < height * width; p++) {
      const start = p * wide(channels);
      data.set(from.subarray(start, start + channels), p * channels);
    }
    return {height, width, channels, data};
  }

  /* Numbers (n, inner) at x times the kernel of a layer. */
  function product({exports, places}, layer, x, inner, out) {
    const at = places.get(layer);
    exports.pointwise(
      x, out.height * out.width, inner, 4 * wide(out.channels), at.kernel,
      at.bias, out.at, layer.low, layer.high);
    return out;
  }

  /* A map filtered by a depthwise layer. */
  function filtered({exports, places}, layer, map, out) {
    const {stride, shape: [k], low, high} = layer;
    const at = places.get(layer);
    exports.depthwise(
      map.at, map.height, map.width, 4 * wide(map.channels), k, stride,
      before(map.height, k, stride), before(map.width, k, stride),
      at.kernel, at.bias, out.at, out.height, out.width, low, high);
    return out;
  }

  /* The output of a layer; input and output take turns in two places. */
  function applied(engine, layer, map) {
    const {space, first, second, spare} = engine;
    const out = {...outputOf(layer, map),
      at: map.at === first ? second : first};
    if (layer.kind === "depthwise") return filtered(engine, layer, map, out);
    if (layer.kind === "convolution") {
      space.set(spare, windows(readMap(engine, map), out, layer));
      return product(
        engine, layer, spare, size(layer.shape.slice(0, -1)), out);
    }
    const {at} = layer.kind === "dense"
      ? place(engine, average(readMap(engine, map)), spare) : map;
    return product(engine, layer, at, wide(map.channels), out);
  }

  /* The engine in WebAssembly, whose maps are in its memory, at map.at.
     Throws a Fault where the browser has no SIMD. */
  function simd(network) {
    if (!hasSimd()) {
      throw new Fault("This browser’s WebAssembly has no SIMD.");
    }
    const {exports} = new WebAssembly.Instance(
      new WebAssembly.Module(kernels()));
    const space = heap(exports.memory);
    // Two for the maps, and one for windows.
    const [first, second, spare] = [1, 2, 3].map(
      () => space.place(roomFor(network)));
    const places = new Map(placed(network.layers, space));
    const engine = {exports, space, first, second, spare, places};
    return {
      name: "WebAssembly SIMD", place: (map) => place(engine, map),
      apply: (layer, map) => applied(engine, layer, map),
      read: (map) => readMap(engine, map)};
  }

  window.liveNetwork = {
    Fault, read, run, shares, scaled, size, plain, simd, hasSimd, decoded};
})();
