/* What was measured on this device, shown by the page On your device
   (book/live.md): in sentences, bars, a table, and a row for a class. */
(() => {
  "use strict";

  const {Fault} = window.liveNetwork;
  const {KINDS} = window.liveMeasure;
  const {find, percent, whole, made, on} = window.livePage;
  // Images a second that chapter 1 asks for, where a core has one camera.
  const WANTED = {"one camera of the car": 20, "the phone": 30,
    "the drone": 18, "the microcontroller": 1};
  // Multiply-adds of the paper’s network, 224 pixels, chapter 4.
  const PAPER = 568_740_352;
  // A browser also names those that it is built like: the first name counts.
  const BROWSERS = [
    ["Edg(?:A|iOS)?", "Edge"], ["SamsungBrowser", "Samsung Internet"],
    ["OPR", "Opera"], ["FxiOS", "Firefox"], ["CriOS", "Chrome"],
    ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Version", "Safari"]];

  let found = null;  // what was measured

  const ms = (time) => time < 1 ? time.toFixed(3)
    : time < 100 ? time.toFixed(2) : time.toFixed(0);
  const billions = (rate) => (rate / 1e9).toFixed(2);

  /* How many images a second are, by what chapter 1 asks. */
  function reached(rate) {
    const names = Object.keys(WANTED).filter((name) => rate >= WANTED[name]);
    return names.length ? "at least the rate that chapter 1 asks of"
      + ` ${new Intl.ListFormat("en-GB").format(names)}`
      : "less than chapter 1 asks of any device";
  }

  /* What was measured, in sentences. */
  function sentences() {
    const {median, low, high} = found.image;
    const rate = found.macs / median * 1000;
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
      + ` ${percent(rate / found.best)} of what this code reaches on one`
      + " core.",
      `That is ${whole(1000 / median)} images a second,`
      + ` ${reached(1000 / median)}. If multiply-adds predicted time (chapter`
      + " 10: they do not), the paper’s network, for 224 × 224 pixels, would"
      + ` take ${ms(PAPER / rate * 1000)} ms.`];
    return found.other ? [...texts, gain(found)] : texts;
  }

  /* How the two engines compare. */
  function gain({engine, image, other}) {
    const times = [image.median, other.median];
    const [fast, slow] = engine.includes("SIMD") ? times : times.reverse();
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
    const all = found.layers.reduce((sum, layer) => sum + layer.ms, 0);
    find("layers").tBodies[0].replaceChildren(...found.layers.map((layer) => {
      const cells = [
        whole(layer.macs), ms(layer.ms), percent(layer.ms / all),
        whole(layer.bytes), billions(layer.macs / layer.ms * 1000),
        layer.output.join(" × ")];
      return made("tr", {}, made("th", {scope: "row"}, layer.name),
        ...cells.map((cell) => made("td", {}, cell)));
    }));
  }

  /* Show what was measured. */
  function showCost(measured) {
    found = measured;
    find("sentences").replaceChildren(
      ...sentences().map((text) => made("p", {}, text)));
    showBars();
    showTable();
    find("measured").hidden = false;
    showRow();
  }

  function hideCost() {
    found = null;
    find("measured").hidden = true;
  }

  // The row for a class.

  /* The browser and its system, as the browser names them. */
  function browser({userAgent, platform}) {
    const named = BROWSERS.map(([mark, name]) => [
      name, userAgent.match(RegExp(`${mark}/(\\d+)`))?.[1]]);
    const [name, version] = named.find(([, number]) => number) ?? ["?", ""];
    const [system] = userAgent.match(
      /Android [\d.]+|iPhone OS [\d_]+|Windows NT [\d.]+|Mac OS X [\d_.]+/)
      ?? [platform];
    return [`${name} ${version}`.trim(), system];
  }

  /* {column: text} of what was measured. */
  function row() {
    const {median, low, high} = found.image;
    const [program, system] = browser(navigator);
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
      throw new Fault(
        "The browser forbids copying: copy what is marked below.");
    }
    find("copied").textContent = "Copied.";
  }

  const line = (place) => find("row").value.split("\n")[place];
  find("device").addEventListener("input", showRow);
  on("copy-row", "click", () => copy(line(1)), "copied");
  on("copy-header", "click", () => copy(line(0)), "copied");
  on("copy-text", "click", () => copy(sentences().join("\n")), "copied");
  window.liveCost = {showCost, hideCost, browser, row, found: () => found};
})();
