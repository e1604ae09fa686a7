/* The page On your device (book/live.md): what a reader does. */
(() => {
  "use strict";

  const {Fault, read, shares, plain, simd, hasSimd, decoded} =
    window.liveNetwork;
  const {square, imageOf} = window.livePicture;
  const {measure, mapsOf} = window.liveMeasure;
  const {find, percent, made, trying, on} = window.livePage;
  const {showMaps} = window.liveMaps;
  const {showCost, hideCost, row, found} = window.liveCost;
  const here = document.currentScript.src;
  const NONE = "none of these";
  const REFUSALS = {
    NotAllowedError: "The browser does not let this page use the camera;"
      + " allow it in the settings.",
    NotFoundError: "This device has no camera."};

  let network = null;
  let engine = null;
  let picture = null;  // {source, truth, bytes}
  let stream = null;  // of the camera
  let drawnTo = [0, 0];

  // A network.

  /* Run a script of the site: a file opened from a disk can be fetched in no
     other way. */
  function runScript(name) {
    const script = made(
      "script", {src: new URL(`live/${name}.js`, here).href});
    return new Promise((done, failed) => {
      script.addEventListener("load", done);
      script.addEventListener("error", () => failed(new Fault(
        "The network could not be loaded. Check the connection, or whether"
        + " the page’s folder is complete.")));
      document.head.append(script);
    });
  }

  /* The bytes of a network of the book. */
  async function fileOf(name) {
    if (typeof DecompressionStream === "undefined") {
      throw new Fault("This browser is too old to unpack the network; use one"
        + " from mid-2023 or later.");
    }
    if (!window.liveFiles?.[name]) await runScript(name);
    const packed = new Blob([decoded(window.liveFiles[name])]);
    const unpacked = packed.stream().pipeThrough(
      new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(unpacked).arrayBuffer());
  }

  const makeOf = (name) => name === "simd" ? simd : plain;
  const chosen = () =>
    document.querySelector("[name=live-engine]:checked").value;

  /* Take a network: what was shown of another is hidden. */
  function take(next) {
    engine = makeOf(chosen())(next);  // first, since it may fail
    network = next;
    hideCost();
    find("progress").textContent = "";
    find("ready").hidden = false;
    find("loaded").textContent = `Loaded: the network “${network.name}”,`
      + ` ${network.layers.length} layers, ${network.classes.length} classes.`
      + ` ${network.about}.`;
    showGuesses();
    if (picture) {
      keep(picture.source, picture.truth);
      ask();
    }
  }

  /* Take the network of a file, unless another was asked for meanwhile. */
  const load = (contentOf) => trying("loaded", async (event, isLast) => {
    find("loaded").textContent = "Loading …";
    const content = new Uint8Array(await contentOf(event));
    if (isLast()) take(read(content));
  });

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

  /* Keep a picture as the network sees it. */
  function keep(source, truth) {
    const side = network?.side ?? 32;
    picture = {source, truth, bytes: square(source, ...sizeOf(source), side)};
  }

  /* Show the picture, and ask what the reader sees. */
  function ask() {
    const {side} = network;
    draw(find("seen"), picture.bytes, side);
    find("side").textContent = `${side} × ${side}`;
    find("asked").hidden = false;
    find("verdict").textContent = "";
    find("answer").hidden = true;
    find("maps").hidden = true;
  }

  /* Take a picture that the reader chose. */
  function choose(source, truth = null) {
    keep(source, truth);
    if (!network) {
      throw new Fault("Load a network first; your picture is kept.");
    }
    ask();
    find("question").focus();
  }

  /* The first picture among files that were chosen, dropped or pasted. */
  async function chooseFile(files, isLast) {
    const file = [...files].find(({type}) => type.startsWith("image/"))
      ?? files[0];
    if (!file) return;
    const image = await imageOf(file, file.name);
    if (isLast()) choose(image);
  }

  async function chooseSample(sample, isLast) {
    const image = sample.querySelector("img");
    await image.decode();
    if (isLast()) choose(image, sample.dataset.truth);
  }

  // The answer.

  function guessButton(name) {
    const button = made("button", {type: "button"}, name);
    button.addEventListener(
      "click", trying("verdict", () => answer(name)));
    return button;
  }

  /* A list to choose a guess from, where buttons would be too many. */
  function guessList(names) {
    const list = made("select", {id: "live-choice"},
      ...names.map((name) => made("option", {}, name)));
    const button = made("button", {type: "button"}, "Answer");
    button.addEventListener(
      "click", trying("verdict", () => answer(list.value)));
    return [made("label", {for: "live-choice"}, "My answer"), list, button];
  }

  function showGuesses() {
    const names = [...network.classes, NONE];
    find("guesses").replaceChildren(...names.length > 21
      ? guessList(names) : names.map(guessButton));
  }

  /* What is said of an answer, a guess and, where it is known, the truth. */
  function verdict(guess, best, share) {
    const said = `You said ${guess}. The network says ${best},`
      + ` ${percent(share)}.`;
    const {truth} = picture;
    const article = /^[aeiou]/.test(truth ?? "") ? "an" : "a";
    if (network.classes.includes(truth)) {
      return `${said} It is ${article} ${truth}.`;
    }
    if (truth === null && network.classes.includes(guess)) return said;
    const shown = truth === null ? "" : ` The picture shows ${article}`
      + ` ${truth}, and no class of this network has that name.`;
    return `${said}${shown} The network cannot say “${NONE}”: its shares`
      + " always add up to 100 %.";
  }

  function showShares(ranked) {
    find("shares").tBodies[0].replaceChildren(...ranked.map(
      ([share, name]) => {
        const cell = made("td", {class: "live-share"}, percent(share));
        cell.style.setProperty("--bar", share);
        return made("tr", {}, made("th", {scope: "row"}, name), cell);
      }));
    find("answer").hidden = false;
  }

  /* Ask the network, after the reader. */
  function answer(guess) {
    const maps = mapsOf(network, engine, picture.bytes);
    const ranked = shares(maps.at(-1).data).map(
      (share, place) => [share, network.classes[place]]).sort(
      ([a], [b]) => b - a).slice(0, 10);
    const [[share, best]] = ranked;
    find("verdict").textContent = verdict(guess, best, share);
    showShares(ranked);
    showMaps(network.layers, maps.slice(1, -1));
  }

  // The camera.

  const stop = (camera) => camera?.getTracks().forEach((track) => track.stop());

  async function openCamera(_event, isLast) {
    const devices = navigator.mediaDevices;
    if (!devices?.getUserMedia) {
      throw new Fault("The browser gives this page no camera; it may need an"
        + " https address.");
    }
    const next = await devices.getUserMedia(
      {video: {facingMode: "environment"}}).catch(({name}) => {
        throw new Fault(REFUSALS[name] ?? "The camera cannot be opened.");
      });
    if (!isLast()) return stop(next);
    closeCamera();
    stream = next;
    find("video").srcObject = stream;
    find("camera-box").hidden = false;
    await find("video").play();
    find("shoot").focus();
  }

  function closeCamera() {
    stop(stream);
    stream = null;
    find("camera-box").hidden = true;
    find("camera").focus();
  }

  /* Take what the camera sees now, and close it. */
  function shoot() {
    const video = find("video");
    const still = made("canvas");
    [still.width, still.height] = sizeOf(video);
    still.getContext("2d").drawImage(video, 0, 0);
    closeCamera();
    choose(still);
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
    if (event.type === "pointerdown") {
      canvas.setPointerCapture(event.pointerId);
      drawnTo = to;
    }
    const context = pen();
    context.strokeStyle = find("colour").value;
    context.lineWidth = 14;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...drawnTo);
    context.lineTo(...to);
    context.stroke();
    drawnTo = to;
  }

  /* What was drawn, as it is now. */
  function takeDrawing() {
    const still = made("canvas", {width: 192, height: 192});
    still.getContext("2d").drawImage(find("drawing"), 0, 0);
    choose(still);
  }

  // The cost.

  /* Measure with the engine chosen, and compare the other. */
  function measured(say) {
    const other = chosen() === "simd" ? plain : simd;
    return measure(network, makeOf(chosen()), hasSimd() ? other : null,
      picture.bytes, say);
  }

  /* Measure; the prediction comes first. */
  async function predict(event) {
    event.preventDefault();
    if (!network || !picture) {
      throw new Fault("Load a network and choose a picture first.");
    }
    const [before, guess] = [network, Number(find("guess").value)];
    const button = event.target.querySelector("button");
    hideCost();
    find("progress").textContent = "Measuring …";
    button.disabled = true;
    const result = await measured(
      (text) => { find("step").textContent = text; }).finally(() => {
        button.disabled = false;
        find("step").textContent = "";
      });
    if (network !== before) {
      throw new Fault("Another network was loaded meanwhile: measure again.");
    }
    find("progress").textContent = "Measured.";
    showCost({...result, guess, network: network.name});
  }

  // What is done when.

  function listenToNetworks() {
    for (const name of ["small", "best-all"]) {
      find(name).addEventListener("click", load(() => fileOf(name)));
    }
    const open = load(({target}) => target.files[0].arrayBuffer());
    find("network").addEventListener("change", (event) => {
      if (event.target.files.length) open(event);
    });
    for (const box of document.querySelectorAll("[name=live-engine]")) {
      box.addEventListener("change", trying("engine-said", changeEngine));
    }
    on("predict", "submit", predict, "progress");
  }

  /* A file can be dropped anywhere; a field for files takes its own. */
  function listenToDrops() {
    const isOurs = ({target, dataTransfer}) =>
      dataTransfer?.types.includes("Files")
      && !target.closest?.("input[type=file]");
    const drop = trying("said", ({dataTransfer}, isLast) =>
      chooseFile(dataTransfer.files, isLast));
    document.addEventListener("dragover", (event) => {
      if (isOurs(event)) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      if (!isOurs(event)) return;
      event.preventDefault();
      drop(event);
    });
  }

  function listenToPictures() {
    on("file", "change", ({target}, isLast) =>
      chooseFile(target.files, isLast), "said");
    document.addEventListener("paste", trying("said", (event, isLast) =>
      chooseFile(event.clipboardData?.files ?? [], isLast)));
    for (const sample of document.querySelectorAll(".live-sample")) {
      sample.addEventListener("click", trying("said", (_event, isLast) =>
        chooseSample(sample, isLast)));
    }
    on("camera", "click", openCamera, "said");
    on("shoot", "click", shoot, "said");
    on("close", "click", closeCamera, "said");
    for (const kind of ["pointerdown", "pointermove"]) {
      find("drawing").addEventListener(kind, drawTo);
    }
    find("clear").addEventListener("click", clearDrawing);
    on("drawn", "click", takeDrawing, "said");
  }

  /* Offer what works here. */
  function start() {
    if (!hasSimd()) {
      const box = document.querySelector("[name=live-engine][value=simd]");
      box.disabled = true;
      document.querySelector("[name=live-engine][value=plain]").checked = true;
      find("loaded").textContent = "This browser’s WebAssembly has no SIMD:"
        + " the network runs in plain JavaScript.";
    }
    listenToNetworks();
    listenToDrops();
    listenToPictures();
    clearDrawing();
    window.live = {found, network: () => network, row, fileOf};
  }

  start();
})();
