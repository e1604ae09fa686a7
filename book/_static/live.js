/* The page On your device (book/live.md): what a reader does, and sees. */
(() => {
  "use strict";

  const {read, run, shares, plain, simd, hasSimd, decoded} =
    window.liveNetwork;
  const {square, imageOf} = window.livePicture;
  const {measure, mapsOf, KINDS} = window.liveMeasure;
  const here = document.currentScript.src;
  const find = (id) => document.getElementById(`live-${id}`);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const whole = (number) => Math.round(number).toLocaleString("en");
  const NONE = "none of these";
  // Images a second that chapter 1 asks for: a car has eight cameras.
  const WANTED = {car: 160, phone: 30, drone: 18, microcontroller: 1};
  // Multiply-adds of the paper’s network, 224 pixels, chapter 4.
  const PAPER = 568_740_352;

  let network = null;
  let engine = null;
  let picture = null;  // {bytes, truth}
  let maps = [];
  let found = null;  // what was measured
  let stream = null;  // of the camera
  let drawnTo = [0, 0];

  /* Make an element with attributes and children. */
  function made(tag, attributes = {}, ...children) {
    const one = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      one.setAttribute(name, value);
    }
    one.append(...children);
    return one;
  }

  /* Do what may fail; say in a line what did. */
  const trying = (place, work) => async (event) => {
    find(place).textContent = "";
    try {
      await work(event);
    } catch (error) {
      find(place).textContent = error.message;
    }
  };

  // A network.

  /* Run a script of the site: a file opened from a disk can be fetched in no
     other way. */
  function script(name) {
    const one = made("script", {src: new URL(`live/${name}.js`, here).href});
    return new Promise((done, failed) => {
      one.addEventListener("load", done);
      one.addEventListener("error", () => failed(Error(
        "The network could not be loaded. Are you connected?")));
      document.head.append(one);
    });
  }

  /* The bytes of a network of the book. */
  async function fileOf(name) {
    if (typeof DecompressionStream === "undefined") {
      throw Error("This browser cannot unpack the network: it needs one of"
        + " 2023 or later.");
    }
    if (!window.liveFiles?.[name]) await script(name);
    const packed = new Blob([decoded(window.liveFiles[name])]);
    const stream = packed.stream().pipeThrough(
      new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  const makeOf = (name) => name === "simd" ? simd : plain;
  const chosen = () =>
    document.querySelector("[name=live-engine]:checked").value;

  /* Take a network: what was shown of another is hidden. */
  function take(one) {
    network = one;
    engine = makeOf(chosen())(network);
    found = null;
    for (const id of ["asked", "answer", "maps", "measured"]) {
      find(id).hidden = true;
    }
    find("ready").hidden = false;
    find("loaded").textContent = `Loaded: the network “${one.name}”,`
      + ` ${one.layers.length} layers, ${one.classes.length} classes.`
      + ` ${one.about}.`;
    showGuesses();
    if (picture) ask(picture.source, picture.truth);
  }

  function changeEngine() {
    if (network) engine = makeOf(chosen())(network);
  }

  // A picture.

  const sizeOf = (source) => [
    source.naturalWidth ?? source.videoWidth ?? source.width,
    source.naturalHeight ?? source.videoHeight ?? source.height];

  /* Draw bytes, three a pixel, on a canvas of their size. */
  function draw(canvas, bytes, side) {
    [canvas.width, canvas.height] = [side, side];
    const context = canvas.getContext("2d");
    const image = context.createImageData(side, side);
    for (let pixel = 0; pixel < side * side; pixel++) {
      image.data.set(
        [...bytes.subarray(3 * pixel, 3 * pixel + 3), 255], 4 * pixel);
    }
    context.putImageData(image, 0, 0);
  }

  /* Show a picture as the network sees it, and ask what the reader sees. */
  function ask(source, truth = null) {
    if (!network) throw Error("Load a network first.");
    const bytes = square(source, ...sizeOf(source), network.side);
    picture = {source, truth, bytes};
    draw(find("seen"), bytes, network.side);
    find("side").textContent = `${network.side} × ${network.side}`;
    find("asked").hidden = false;
    find("answer").hidden = true;
    find("maps").hidden = true;
    find("question").focus();
  }

  /* The first picture among files that were chosen, dropped or pasted. */
  async function askFile(files) {
    if (!files.length) return;
    ask(await imageOf(files[0], files[0].name));
  }

  function showGuesses() {
    find("guesses").replaceChildren(...[...network.classes, NONE].map(
      (name) => {
        const button = made("button", {type: "button"}, name);
        button.addEventListener("click", () => answer(name));
        return button;
      }));
  }

  // The answer.

  /* What is said of an answer, a guess and, where it is known, the truth. */
  function verdict(guess, best, share) {
    const said = `You said ${guess}. The network says ${best},`
      + ` ${percent(share)}.`;
    const truth = picture.truth ?? guess;
    if (!network.classes.includes(truth)) {
      return `${said} None of its classes fits, but it cannot say so: its`
        + " shares always add up to 100 %.";
    }
    return picture.truth === null ? said : `${said} It is a ${truth}.`;
  }

  function showShares(ranked) {
    find("shares").tBodies[0].replaceChildren(...ranked.map(
      ([share, name]) => {
        const cell = made("td", {class: "live-share"}, percent(share));
        cell.style.setProperty("--bar", share);
        return made("tr", {}, made("th", {scope: "row"}, name), cell);
      }));
  }

  /* Ask the network, after the reader. */
  function answer(guess) {
    const logits = run(network, engine, picture.bytes);
    const ranked = shares(logits).map(
      (share, place) => [share, network.classes[place]]).sort(
      ([one], [other]) => other - one).slice(0, 10);
    const [[share, best]] = ranked;
    find("answer").hidden = false;
    find("verdict").textContent = verdict(guess, best, share);
    showShares(ranked);
    maps = mapsOf(network, engine, picture.bytes).slice(1, -1);
    find("layer").max = maps.length - 1;
    find("maps").hidden = false;
    showLayer();
  }

  // The maps.

  /* Draw channels of a map beside one another, black 0 and white most. */
  function drawMaps(canvas, map, first, count, most) {
    const {width, height, channels, data} = map;
    const across = Math.min(count, 8);
    canvas.width = across * (width + 1) - 1;
    canvas.height = Math.ceil(count / across) * (height + 1) - 1;
    const context = canvas.getContext("2d");
    for (let n = 0; n < count; n++) {
      const tile = context.createImageData(width, height);
      for (let p = 0; p < width * height; p++) {
        const grey = 255 * data[p * channels + first + n] / most;
        tile.data.set([grey, grey, grey, 255], 4 * p);
      }
      context.putImageData(
        tile, n % across * (width + 1),
        Math.floor(n / across) * (height + 1));
    }
  }

  const mostOf = (map) => map.data.reduce(
    (most, one) => Math.max(most, one), 1e-9);

  function showLayer() {
    const place = Number(find("layer").value);
    const [map, layer] = [maps[place], network.layers[place]];
    const count = Math.min(map.channels, 64);
    const most = mostOf(map);
    drawMaps(find("grid"), map, 0, count, most);
    const text = `${layer.name}: ${map.height} × ${map.width} ×`
      + ` ${map.channels}, the first ${count} channels; black is 0, white`
      + ` ${most.toFixed(1)}`;
    find("layer-name").textContent = text;
    find("layer").setAttribute("aria-valuetext", layer.name);
    find("grid").setAttribute("aria-label", `Maps of ${text}`);
    find("channel").max = map.channels - 1;
    showChannel();
  }

  function showChannel() {
    const map = maps[Number(find("layer").value)];
    const channel = Number(find("channel").value);
    drawMaps(find("one"), map, channel, 1, mostOf(map));
    let alive = 0;
    for (let at = channel; at < map.data.length; at += map.channels) {
      if (map.data[at] > 0) alive++;
    }
    const text = `channel ${channel}, above 0 at ${alive} of`
      + ` ${map.height * map.width} positions`;
    find("channel-name").textContent = text;
    find("one").setAttribute("aria-label", `One map, ${text}`);
  }

  /* The channel whose tile was clicked, large. */
  function pickChannel(event) {
    const {width, height} = maps[Number(find("layer").value)];
    const grid = find("grid");
    const scale = grid.width / grid.clientWidth;
    const column = Math.floor(event.offsetX * scale / (width + 1));
    const row = Math.floor(event.offsetY * scale / (height + 1));
    find("channel").value = 8 * row + column;
    showChannel();
  }

  // The camera.

  async function openCamera() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw Error("This browser gives no page from here a camera.");
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia(
        {video: {facingMode: "environment"}});
    } catch (error) {
      throw Error(`There is no camera to use (${error.name}).`);
    }
    find("video").srcObject = stream;
    find("camera-box").hidden = false;
    await find("video").play();
    find("shoot").focus();
  }

  function closeCamera() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    find("camera-box").hidden = true;
  }

  /* Take what the camera sees now, and close it. */
  function shoot() {
    const video = find("video");
    const still = made("canvas");
    [still.width, still.height] = sizeOf(video);
    still.getContext("2d").drawImage(video, 0, 0);
    closeCamera();
    ask(still);
  }

  // The drawing.

  const pen = () => find("drawing").getContext("2d");

  function clearDrawing() {
    const {width, height} = find("drawing");
    pen().fillStyle = "white";
    pen().fillRect(0, 0, width, height);
  }

  /* A line to where the pointer is, from where it was; a dot at first. */
  function drawTo(event) {
    if (!event.buttons) return;
    const canvas = find("drawing");
    const scale = canvas.width / canvas.clientWidth;
    const to = [event.offsetX * scale, event.offsetY * scale];
    const context = pen();
    context.strokeStyle = find("colour").value;
    context.lineWidth = 14;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...(event.type === "pointerdown" ? to : drawnTo));
    context.lineTo(...to);
    context.stroke();
    drawnTo = to;
  }

  /* What was drawn, as it is now. */
  function takeDrawing() {
    const still = made("canvas", {width: 192, height: 192});
    still.getContext("2d").drawImage(find("drawing"), 0, 0);
    ask(still);
  }

  // The cost.

  const ms = (time) => time < 1 ? time.toFixed(3)
    : time < 100 ? time.toFixed(2) : time.toFixed(0);
  const billions = (rate) => (rate / 1e9).toFixed(2);

  /* Which of chapter 1's devices get images often enough. */
  function reached(rate) {
    const names = Object.keys(WANTED).filter((name) => rate >= WANTED[name]);
    const list = new Intl.ListFormat("en-GB").format(
      names.map((name) => `the ${name}`));
    return names.length ? `which is enough for ${list} of chapter 1`
      : "which is too few for any device of chapter 1";
  }

  /* What was measured, in sentences. */
  function sentences() {
    const {median, low, high} = found.image;
    const rate = found.macs / median * 1000;
    const large = PAPER / rate * 1000;
    const texts = [
      `${ms(median)} ms per image, the network “${found.network}” in`
      + ` ${found.engine}. Half of the blocks took ${ms(low)} to ${ms(high)}`
      + ` ms per image. This browser’s clock has steps of ${ms(found.step)}`
      + " ms.",
      `You predicted ${found.guess} % for the depthwise layers. They have`
      + ` ${percent(found.shares.macs.depthwise)} of the multiply-adds and`
      + ` take ${percent(found.shares.ms.depthwise)} of the time.`,
      `The network does ${billions(rate)} billion multiply-adds a second. A`
      + ` product of two small matrices, with the same code, does`
      + ` ${billions(found.best)} billion: the network reaches`
      + ` ${percent(rate / found.best)} of this device’s own best.`,
      `That is ${whole(1000 / median)} images a second, ${reached(
        1000 / median)}. At this speed the paper’s network, for 224 × 224`
      + ` pixels, would take ${ms(large)} ms: ${(1000 / large).toFixed(1)}`
      + ` images a second, ${reached(1000 / large)}.`];
    if (found.other) texts.push(gain(median, found.other.median));
    return texts;
  }

  /* How the two engines compare. */
  function gain(one, other) {
    const [fast, slow] = found.engine.includes("SIMD")
      ? [one, other] : [other, one];
    return `WebAssembly SIMD takes ${ms(fast)} ms per image and plain`
      + ` JavaScript ${ms(slow)} ms: the kernels gain a factor of`
      + ` ${(slow / fast).toFixed(1)}.`;
  }

  /* Bars of the shares of each kind of layer. */
  function showBars() {
    const names = {macs: "multiply-adds", bytes: "bytes", ms: "time"};
    find("bars").replaceChildren(...Object.entries(names).flatMap(
      ([column, name]) => {
        const parts = KINDS.map((kind) => {
          const part = made("span", {class: `live-${kind}`});
          part.style.width = `${100 * found.shares[column][kind]}%`;
          return part;
        });
        const key = KINDS.flatMap((kind, place) => [
          place ? ", " : ": ", made("span", {class: `live-key live-${kind}`}),
          ` ${kind} ${percent(found.shares[column][kind])}`]);
        return [made("p", {}, name, ...key),
          made("div", {"aria-hidden": "true"}, ...parts)];
      }));
  }

  function showTable() {
    const all = found.layers.reduce((sum, row) => sum + row.ms, 0);
    find("layers").tBodies[0].replaceChildren(...found.layers.map((row) => {
      const cells = [
        whole(row.macs), ms(row.ms), percent(row.ms / all), whole(row.bytes),
        billions(row.macs / row.ms * 1000), row.output.join(" × ")];
      return made("tr", {}, made("th", {scope: "row"}, row.name),
        ...cells.map((cell) => made("td", {}, cell)));
    }));
  }

  /* Measure; the prediction comes first. */
  async function cost(event) {
    event.preventDefault();
    if (!picture) throw Error("Load a network and choose a picture first.");
    const guess = Number(find("guess").value);
    const button = event.target.querySelector("button");
    button.disabled = true;
    find("measured").hidden = true;
    try {
      const other = hasSimd()
        ? makeOf(chosen() === "simd" ? "plain" : "simd") : null;
      const result = await measure(
        network, makeOf(chosen()), other, picture.bytes, (text) => {
          find("progress").textContent = `Measuring: ${text} …`;
        });
      found = {...result, guess, network: network.name};
    } finally {
      button.disabled = false;
    }
    showCost();
  }

  function showCost() {
    find("progress").textContent = "Measured.";
    find("sentences").replaceChildren(
      ...sentences().map((text) => made("p", {}, text)));
    showBars();
    showTable();
    find("measured").hidden = false;
    showRow();
  }

  // The row for a class.

  /* The browser and its system, as the browser names them. */
  function browser() {
    const agent = navigator.userAgent;
    const [, name, version] = agent.match(
      /(Edg|Firefox|FxiOS|CriOS|Chrome|Version)\/(\d+)/) ?? ["", "?", ""];
    const names = {Edg: "Edge", FxiOS: "Firefox", CriOS: "Chrome",
      Version: "Safari"};
    const [system] = agent.match(
      /Android [\d.]+|iPhone OS [\d_]+|Windows NT [\d.]+|Mac OS X [\d_.]+/)
      ?? [navigator.platform];
    return [`${names[name] ?? name} ${version}`, system];
  }

  /* {column: text} of what was measured. */
  function row() {
    const {median, low, high} = found.image;
    const [program, system] = browser();
    const share = (kind) => (100 * found.shares.ms[kind]).toFixed(1);
    return {
      device: find("device").value.replace(/\s+/g, " ").trim(),
      browser: program, system, cores: navigator.hardwareConcurrency ?? "",
      network: found.network, engine: found.engine, ms: ms(median),
      "ms, lower quartile": ms(low), "ms, upper quartile": ms(high),
      "clock step": ms(found.step), "depthwise %": share("depthwise"),
      "pointwise %": share("pointwise"),
      "billion multiply-adds a second":
        billions(found.macs / median * 1000),
      "best product": billions(found.best), "predicted %": found.guess};
  }

  function showRow() {
    if (!found) return;
    find("row").value = [Object.keys(row()), Object.values(row())].map(
      (cells) => cells.join("\t")).join("\n");
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      find("row").select();
      throw Error("The browser forbids copying: copy what is marked below.");
    }
    find("copied").textContent = "Copied.";
  }

  // What is done when.

  const on = (id, kind, work, place = "said") =>
    find(id).addEventListener(kind, trying(place, work));

  function listen() {
    for (const name of ["small", "best-all"]) {
      on(name, "click", async () => {
        find("loaded").textContent = "Loading …";
        take(read(await fileOf(name)));
      }, "loaded");
    }
    on("network", "change", async ({target}) => {
      const [file] = target.files;
      if (file) take(read(new Uint8Array(await file.arrayBuffer())));
    }, "loaded");
    document.querySelectorAll("[name=live-engine]").forEach((one) => {
      one.addEventListener("change", changeEngine);
    });
    find("layer").addEventListener("input", showLayer);
    find("channel").addEventListener("input", showChannel);
    find("grid").addEventListener("click", pickChannel);
    on("predict", "submit", cost, "progress");
    find("device").addEventListener("input", showRow);
    const line = (place) => find("row").value.split("\n")[place];
    on("copy-row", "click", () => copy(line(1)), "copied");
    on("copy-header", "click", () => copy(line(0)), "copied");
    on("copy-text", "click", () => copy(sentences().join("\n")), "copied");
  }

  function listenToPictures() {
    on("file", "change", ({target}) => askFile(target.files));
    document.addEventListener("paste", trying("said", (event) =>
      askFile([...event.clipboardData?.files ?? []])));
    on("drop", "dragover", (event) => event.preventDefault());
    on("drop", "drop", (event) => {
      event.preventDefault();
      return askFile(event.dataTransfer.files);
    });
    for (const sample of document.querySelectorAll(".live-sample")) {
      sample.addEventListener("click", trying("said", async () => {
        const image = sample.querySelector("img");
        await image.decode();
        ask(image, sample.dataset.truth);
      }));
    }
    on("camera", "click", openCamera);
    on("shoot", "click", shoot);
    on("close", "click", closeCamera);
    for (const kind of ["pointerdown", "pointermove"]) {
      find("drawing").addEventListener(kind, drawTo);
    }
    on("clear", "click", clearDrawing);
    on("drawn", "click", takeDrawing);
  }

  /* Offer what works here. */
  function start() {
    if (!hasSimd()) {
      const box = document.querySelector("[name=live-engine][value=simd]");
      box.disabled = true;
      document.querySelector("[name=live-engine][value=plain]").checked = true;
      find("loaded").textContent = "This browser's WebAssembly has no SIMD:"
        + " the network runs in plain JavaScript.";
    }
    listen();
    listenToPictures();
    clearDrawing();
    window.live = {
      found: () => found, network: () => network, row, fileOf};
  }

  start();
})();
