/* Chapter 3: what one output number reads, and what all of them cost. */
(() => {
  "use strict";
  const {element, part} = window.movingParts;
  const KERNEL = 3;

  /* Of each layer: outputs(channels, filters) is how many maps come out, and
     reads(y, x, m, channels) the numbers [row, column, channel] that number
     (y, x) of map m reads. */
  const LAYERS = {
    standard: {
      outputs: (channels, filters) => filters,
      reads: (y, x, m, channels) => block(y, x, KERNEL, 0, channels)},
    depthwise: {
      outputs: (channels) => channels,
      reads: (y, x, m) => block(y, x, KERNEL, m, m + 1)},
    pointwise: {
      outputs: (channels, filters) => filters,
      reads: (y, x, m, channels) => block(y, x, 1, 0, channels)},
  };

  const TITLES = {
    standard: "standard", depthwise: "the pair: depthwise",
    pointwise: "the pair: pointwise, reads the depthwise output"};

  /* Return the numbers of a k x k window in channels first to last - 1. */
  function block(y, x, k, first, last) {
    const found = [];
    for (let i = 0; i < k; i += 1) {
      for (let j = 0; j < k; j += 1) {
        for (let c = first; c < last; c += 1) found.push([y + i, x + j, c]);
      }
    }
    return found;
  }

  /* Return {side, filters, each, all}: the output's side and channels, the
     multiply-adds of one number and of all. side is the side of the image, and
     the depthwise output is what the pointwise layer reads. */
  function cost(layer, side, channels, filters) {
    const {outputs, reads} = LAYERS[layer];
    const places = side - KERNEL + 1;
    const each = reads(0, 0, 0, channels).length;
    const maps = outputs(channels, filters);
    return {side: places, filters: maps, each, all: each * places ** 2 * maps};
  }

  /* Return maps, one for each channel, painted by paint(y, x, c). */
  function maps(count, side, label, paint) {
    const box = element("div", {
      class: "moving-maps", role: "img", "aria-label": label});
    for (let c = 0; c < count; c += 1) {
      const map = element(
        "div", {class: "moving-map", style: `--columns: ${side}`});
      for (let y = 0; y < side; y += 1) {
        for (let x = 0; x < side; x += 1) {
          map.append(element("span", {class: paint(y, x, c)}));
        }
      }
      box.append(map);
    }
    return box;
  }

  function scene({channels, filters}, go) {
    const side = 5;
    const stage = element("div", {class: "moving-row"});
    const names = Object.keys(LAYERS);
    const costs = names.map((name) => cost(name, side, channels, filters));
    const steps = Math.max(...costs.map((one) => one.side ** 2 * one.filters));

    function panel(name, index, step) {
      const {side: places, filters: count, each, all} = costs[index];
      const last = places ** 2 * count - 1;
      const at = Math.min(step, last);
      const m = Math.floor(at / places ** 2);
      const y = Math.floor(at % places ** 2 / places);
      const x = at % places;
      const read = new Set(LAYERS[name].reads(y, x, m, channels).map(String));
      const before = name === "pointwise" ? places : side;
      return part(TITLES[name],
        maps(channels, before, `${name}: ${each} input numbers shaded`,
          (row, column, c) => read.has(`${row},${column},${c}`) ? "on" : ""),
        element("div", {class: "moving-arrow", "aria-hidden": "true"}, "↓"),
        maps(count, places, `${name}: output numbers so far`,
          (row, column, c) => {
            const here = c * places ** 2 + row * places + column;
            return here === at ? "on" : here < at ? "done" : "";
          }),
        element("p", {}, `${each} for each number`),
        element("p", {class: "moving-count"},
          `${((at + 1) * each).toLocaleString("en")} of`
          + ` ${all.toLocaleString("en")} multiply-adds`));
    }

    function show(step) {
      stage.replaceChildren(
        ...names.map((name, index) => panel(name, index, step)));
      const [standard, depthwise, pointwise] = costs.map((one) => one.all);
      const pair = depthwise + pointwise;
      if (step < steps - 1) {
        return "The standard layer reads a block through all channels, the"
          + " depthwise layer a square of one channel, and the pointwise layer"
          + " one position through all channels.";
      }
      return `Standard: ${standard.toLocaleString("en")} multiply-adds. The`
        + ` pair: ${depthwise.toLocaleString("en")} +`
        + ` ${pointwise.toLocaleString("en")} = ${pair.toLocaleString("en")},`
        + ` ${(standard / pair).toFixed(2)} times fewer.`;
    }

    stage.addEventListener("click", ({target}) => {
      const map = target.closest(".moving-map");
      const panelOf = target.closest(".moving-part");
      if (!map || !panelOf || target === map) return;
      const [, after] = panelOf.querySelectorAll(".moving-maps");
      if (map.parentElement !== after) return;
      const number = [...after.children].indexOf(map) * map.children.length
        + [...map.children].indexOf(target);
      go(number);
    });
    return {steps, stage, show, pace: 250};
  }

  window.movingFigure("three-layers", {
    title: "Watch the three layers compute",
    settings: [
      {name: "channels", label: "channels in", options: [
        [3, "3"], [2, "2"], [4, "4"]]},
      {name: "filters", label: "channels out", options: [
        [4, "4"], [2, "2"], [8, "8"]]},
    ],
    guess: () => ({
      question: "There are to be 8 output channels instead of 4. Which layers"
        + " get more work?",
      options: ["standard", "standard and pointwise", "all three"],
      answer: "standard and pointwise",
      reason: "The depthwise layer filters each input channel once, however"
        + " many outputs there are. Choose 8 and see.",
    }),
    scene,
    arithmetic: {
      cost,
      reads: (layer, y, x, m, channels) =>
        LAYERS[layer].reads(y, x, m, channels)},
  });
})();
