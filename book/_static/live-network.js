/* MobileNet v1 in a browser (book/live.md): reads the file of a network and
   runs it, layer by layer, in plain JavaScript or with two kernels in
   WebAssembly. The page shows these functions; tests/test_live.py compares
   what they compute with Python. A classic script, not a module: browsers
   refuse to load a module where a page is opened from a disk.

   A map is {height, width, channels, data}: float32 numbers, channels last. A
   layer is {name, kind, stride, shape, low, high, kernel, bias}. */
(() => {
  "use strict";

  const size = (shape) => shape.reduce((product, side) => product * side, 1);

  /* Zeros before the first row or column, as TensorFlow's "same" has them. */
  function before(side, k, stride) {
    const after = Math.ceil(side / stride);
    return Math.max((after - 1) * stride + k - side, 0) >> 1;
  }

  /* Call visit(output position, input position, tap) for each three that
     meet. A window's taps outside the map meet zeros, and are left out. */
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

  /* Each channel meets its own filter and no other channel: (3.3). */
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

  /* Each position is mixed across its channels: (3.4). Four positions take
     turns, so that a weight is fetched once for four multiply-adds. The
     weights of an output channel lie side by side. */
  function pointwise({height, width, channels, data: x}, layer, out) {
    const {kernel, bias} = layer;
    const [last, filters] = [height * width - 1, bias.length];
    for (let p = 0; p <= last; p += 4) {
      const four = [0, 1, 2, 3].map((one) => Math.min(p + one, last));
      const [x0, x1, x2, x3] = four.map((one) => one * channels);
      const [y0, y1, y2, y3] = four.map((one) => one * filters);
      for (let m = 0; m < filters; m++) {
        let sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
        for (let c = 0; c < channels; c++) {
          const weight = kernel[m * channels + c];
          sum0 += x[x0 + c] * weight;
          sum1 += x[x1 + c] * weight;
          sum2 += x[x2 + c] * weight;
          sum3 += x[x3 + c] * weight;
        }
        out.data[y0 + m] = bias[m] + sum0;
        out.data[y1 + m] = bias[m] + sum1;
        out.data[y2 + m] = bias[m] + sum2;
        out.data[y3 + m] = bias[m] + sum3;
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

  /* One layer: sums begin with the bias, and end with the ReLU. */
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
    const powers = Array.from(logits, (one) => Math.exp(one - most));
    const sum = powers.reduce((total, one) => total + one, 0);
    return powers.map((one) => one / sum);
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

  /* What a layer's header says wrong, where channels come in; "" if nothing. */
  function fault({kind, shape, stride}, channels) {
    const sides = {convolution: 4, depthwise: 3, pointwise: 2, dense: 2};
    const counts = Array.isArray(shape) && [...shape, stride].every(
      (one) => Number.isInteger(one) && one > 0 && one < 1e6);
    if (shape?.length !== sides[kind] || !counts) return "its shape";
    if (sides[kind] === 2 && stride !== 1) return "a stride";
    const inputs = kind === "depthwise" ? shape[2] : shape.at(-2);
    return inputs === channels ? "" : `${inputs} channels for ${channels}`;
  }

  /* The header: 4 letters, its length, and JSON. Throws an Error of a line. */
  function headerOf(bytes) {
    const letters = String.fromCharCode(...bytes.subarray(0, 4));
    if (letters !== "MNv1") throw Error("it does not begin with MNv1");
    const [length] = new Uint32Array(bytes.buffer, 4, 1);
    const header = JSON.parse(new TextDecoder().decode(
      bytes.subarray(8, 8 + length)));
    let channels = 3;
    for (const layer of header.layers) {
      const wrong = fault(layer, channels);
      if (wrong) throw Error(`its layer ${layer.name} has ${wrong}`);
      channels = layer.shape.at(-1);
    }
    if (header.classes.length !== channels) throw Error("a class is missing");
    if (!(header.side > 0 && header.side <= 512)) throw Error("its side");
    return [header, 8 + length];
  }

  /* A network, from the bytes of its file: {name, about, classes, side,
     layers}. Throws an Error that says in a line why it is none. */
  function read(bytes) {
    const whole = bytes.slice();  // whose buffer begins where it does
    try {
      const [header, start] = headerOf(whole);
      let at = start;
      const layers = header.layers.map((one) => {
        const [layer, next] = weights(one, whole, at);
        at = next;
        return {...layer, low: one.low ?? -Infinity,
          high: one.high ?? Infinity};
      });
      if (at !== whole.length) throw Error("its length is another");
      return {...header, layers};
    } catch (error) {
      const reason = error.message.replace(/\s+/g, " ");
      throw Error(`This is no network that the page can read (${reason}).`);
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

  /* The engine in WebAssembly: its maps lie in its memory, at map.at. Throws
     an Error where the browser has no SIMD. */
  function simd(network) {
    if (!hasSimd()) throw Error("This browser's WebAssembly has no SIMD.");
    const {exports} = new WebAssembly.Instance(
      new WebAssembly.Module(kernels()));
    const space = heap(exports.memory);
    // Two for the maps, which take turns, and one for windows.
    const rooms = [1, 2, 3].map(() => space.place(roomFor(network)));
    const places = new Map(network.layers.map((layer) => {
      const [kernel, bias] = [packed(layer), filled(layer.bias,
        layer.bias.length)];
      const at = {kernel: space.place(kernel.length),
        bias: space.place(wide(bias.length))};
      space.set(at.kernel, kernel);
      space.set(at.bias, bias);
      return [layer, at];
    }));
    return engineOf(exports, space, rooms, places);
  }

  function engineOf(exports, space, rooms, places) {
    const [first, second, spare] = rooms;
    const numbers = (map) => map.height * map.width * wide(map.channels);

    function place(map, at = first) {
      space.set(at, filled(map.data, map.channels));
      return {...map, at, data: null};
    }

    function read(map) {
      const {height, width, channels} = map;
      const data = new Float32Array(height * width * channels);
      const from = space.get(map.at, numbers(map));
      for (let p = 0; p < height * width; p++) {
        const start = p * wide(channels);
        data.set(from.subarray(start, start + channels), p * channels);
      }
      return {height, width, channels, data};
    }

    /* x (n, inner) times the kernel of a layer. */
    function product(layer, x, inner, out) {
      const at = places.get(layer);
      exports.pointwise(
        x, out.height * out.width, inner, 4 * wide(out.channels), at.kernel,
        at.bias, out.at, layer.low, layer.high);
      return out;
    }

    function filter(layer, map, out) {
      const {stride, shape: [k], low, high} = layer;
      const at = places.get(layer);
      exports.depthwise(
        map.at, map.height, map.width, 4 * wide(map.channels), k, stride,
        before(map.height, k, stride), before(map.width, k, stride),
        at.kernel, at.bias, out.at, out.height, out.width, low, high);
      return out;
    }

    function applied(layer, map) {
      const out = {...outputOf(layer, map),
        at: map.at === first ? second : first};
      if (layer.kind === "depthwise") return filter(layer, map, out);
      if (layer.kind === "convolution") {
        space.set(spare, windows(read(map), out, layer));
        return product(layer, spare, size(layer.shape.slice(0, -1)), out);
      }
      const {at} = layer.kind === "dense"
        ? place(average(read(map)), spare) : map;
      return product(layer, at, wide(map.channels), out);
    }

    return {name: "WebAssembly SIMD", apply: applied, place, read};
  }

  window.liveNetwork = {
    read, run, shares, plain, simd, hasSimd, outputOf, decoded};
})();
