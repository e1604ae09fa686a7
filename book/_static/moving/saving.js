/* Chapter 4: what the separable pair saves as the layer gets wider. */
(() => {
  "use strict";
  const {element} = window.movingParts;
  const whole = (number) => number.toLocaleString("en");
  const FILTERS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

  /* Return costExplorer's costs with the saving, standard over separable. */
  function costs({kernel, channels, map}, filters) {
    const found = window.costExplorer.layerCost({
      kernel, channels, filters, map, stride: 1, strided: "depthwise"});
    return {
      ...found, saving: found.standard.macs / found.separable.macs};
  }

  function scene(options) {
    const {kernel, channels, map} = options;
    const stage = element("dl", {class: "moving-bars"});

    function show(step) {
      const filters = FILTERS[step];
      const found = costs(options, filters);
      const widest = Math.max(found.standard.macs, found.separable.macs);
      const places = `${map}² ×`;
      const sums = {
        standard: `${places} ${kernel}² × ${channels} × ${filters}`,
        depthwise: `${places} ${kernel}² × ${channels}`,
        pointwise: `${places} ${channels} × ${filters}`,
      };
      stage.replaceChildren(...Object.entries(sums).flatMap(([name, terms]) => [
        element("dt", {}, name),
        element("dd", {},
          element("span", {
            class: `moving-bar ${name}`,
            style: `--bar: ${found[name].macs / widest}`}),
          `${terms} = ${whole(found[name].macs)}`)]));
      const saved = found.saving.toFixed(2);
      return `With M = ${filters} output channels the pair costs 1/${filters} +`
        + ` 1/${kernel ** 2} = ${(1 / found.saving).toFixed(4)} of the standard`
        + ` layer: ${saved} times fewer multiply-adds`
        + (found.saving < 1 ? ", that is, more." : ".");
    }
    return {steps: FILTERS.length, stage, show};
  }

  window.movingFigure("saving", {
    title: "Make the layer wider, step by step",
    settings: [
      {name: "kernel", label: "kernel k", options: [
        [3, "3"], [5, "5"], [7, "7"]]},
      {name: "channels", label: "channels C", options: [
        [512, "512"], [64, "64"], [3, "3"]]},
      {name: "map", label: "side of the map", options: [
        [14, "14"], [56, "56"], [7, "7"]]},
    ],
    guess: () => ({
      question: "A 3 × 3 layer gets twice as many output channels, again and"
        + " again. What does the saving of the pair approach?",
      options: ["M", "9", "no limit"], answer: "9",
      reason: "1/M goes to 0, and 1/k² = 1/9 stays.",
    }),
    scene,
    arithmetic: {costs},
  });
})();
