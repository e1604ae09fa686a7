/* What the network costs on this device (book/live.md): times by a clock of
   coarse steps, beside multiply-adds and bytes. */
(() => {
  "use strict";

  const {run, scaled, size} = window.liveNetwork;
  const KINDS = ["convolution", "depthwise", "pointwise", "dense"];
  const pause = () => new Promise((done) => { setTimeout(done, 0); });
  const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

  /* The smallest of a few steps that the clock takes, in milliseconds. */
  function clockStep() {
    const steps = [];
    for (let last = performance.now(); steps.length < 8;) {
      const now = performance.now();
      if (now > last) steps.push(now - last);
      last = now;
    }
    return Math.min(...steps);
  }

  /* Milliseconds of work, called so many times. */
  function time(work, calls) {
    const start = performance.now();
    for (let call = 0; call < calls; call++) work();
    return performance.now() - start;
  }

  /* Milliseconds of one call, in order: each the mean of a block of calls
     that lasts 20 steps of the clock, so that a step is 5 % of it, or 200 ms.
     A block that is shorter begins anew: another program made one before it
     long. */
  async function blocks(work, count, step) {
    const least = Math.min(20 * step, 200);
    const found = [];
    for (let calls = 1; found.length < count;) {
      await pause();
      const spent = time(work, calls);
      if (spent >= least) {
        found.push(spent / calls);
      } else {
        calls *= 2;
        found.length = 0;
      }
    }
    return found.sort((a, b) => a - b);
  }

  /* The value that a share of sorted numbers is below. */
  function quantile(sorted, share) {
    const place = share * (sorted.length - 1);
    const [low, high] = [Math.floor(place), Math.ceil(place)];
    return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
  }

  /* What a layer costs, counted as in chapter 4: {macs, bytes}, float32
     numbers read and written once. */
  function cost(layer, map, out) {
    const weights = size(layer.shape);
    const numbers = ({height, width, channels}) => height * width * channels;
    return {
      macs: out.height * out.width * weights,
      bytes: 4 * (numbers(map) + weights + layer.bias.length + numbers(out))};
  }

  /* The maps that go into the layers for a picture, and the last one. */
  function mapsOf(network, engine, bytes) {
    const maps = [scaled(bytes, network.side)];
    run(network, engine, bytes, (layer, map) => {
      maps.push(engine.read(map));
    });
    return maps;
  }

  /* Each layer's time on its own map, beside what it costs. */
  async function layersOf(network, engine, maps, step, say) {
    const rows = [];
    for (const [place, layer] of network.layers.entries()) {
      say(`layer ${place + 1} of ${network.layers.length}`);
      const map = engine.place(maps[place]);
      const times = await blocks(() => engine.apply(layer, map), 5, step);
      const out = maps[place + 1];
      rows.push({
        name: layer.name, kind: layer.kind, ms: quantile(times, 0.5),
        output: [out.height, out.width, out.channels],
        ...cost(layer, maps[place], out)});
    }
    return rows;
  }

  /* Each kind's share of what the rows have in a column. */
  function sharesOf(rows, column) {
    const all = total(rows.map((row) => row[column]));
    return Object.fromEntries(KINDS.map((kind) => [kind, total(rows.filter(
      (row) => row.kind === kind).map((row) => row[column])) / all]));
  }

  /* A network of one layer, a product of matrices that fits a second-level
     cache. */
  function small() {
    const numbers = (count) => Float32Array.from(
      {length: count}, (_, at) => (at % 7 - 3) / 8);
    const map = {height: 8, width: 8, channels: 64, data: numbers(64 * 64)};
    const layer = {
      name: "product", kind: "pointwise", stride: 1, shape: [64, 64],
      low: -Infinity, high: Infinity, kernel: numbers(64 * 64),
      bias: numbers(64)};
    return [{side: 8, layers: [layer]}, layer, map];
  }

  /* The most multiply-adds a second that an engine reaches on this device. */
  async function best(make, step) {
    const [network, layer, map] = small();
    const engine = make(network);
    const placed = engine.place(map);
    const [least] = await blocks(
      () => engine.apply(layer, placed), 9, step);
    return 64 * 64 * 64 / least * 1000;
  }

  const summary = (times) => ({median: quantile(times, 0.5),
    low: quantile(times, 0.25), high: quantile(times, 0.75)});

  /* Milliseconds per image with an engine, {median, low, high}: quartiles. */
  async function image(network, engine, bytes, count, step) {
    return summary(await blocks(
      () => run(network, engine, bytes), count, step));
  }

  /* All that is measured of a network on a picture's bytes. make(network) is
     the engine, other another or null; say(text) tells how far it is. */
  async function measure(network, make, other, bytes, say) {
    const step = clockStep();
    const engine = make(network);
    say("whole images");
    const whole = await image(network, engine, bytes, 25, step);
    const maps = mapsOf(network, engine, bytes);
    const layers = await layersOf(network, engine, maps, step, say);
    say("a small product of matrices");
    const most = await best(make, step);
    say("the other engine");
    const second = other
      && await image(network, other(network), bytes, 7, step);
    return {
      engine: engine.name, step, image: whole, layers, best: most,
      macs: total(layers.map((row) => row.macs)), other: second,
      shares: Object.fromEntries(["macs", "bytes", "ms"].map(
        (column) => [column, sharesOf(layers, column)]))};
  }

  window.liveMeasure = {measure, mapsOf, clockStep, quantile, KINDS};
})();
