/* Chapter 5: the rows of MobileNet v1, each opening to its shapes and costs. */
(() => {
  "use strict";
  const {element} = window.movingParts;
  const whole = (number) => number.toLocaleString("en");
  const size = (shape) => shape.join(" × ");

  /* Return the layers that hold weights: {layer, kind, input, output, macs,
     params, norm}, norm the parameters of the batch norm after a layer. */
  function weighted({side, classes, alpha, stem_stride}) {
    const rows = window.costExplorer.networkCost({
      side, classes, alpha, stem_stride, stride_on: "depthwise",
      use_bias: false, separable: true});
    return rows.flatMap((row, index) => row.params && row.kind !== "batch norm"
      ? [{
        ...row, input: rows[index - 1].output,
        norm: rows[index + 1]?.kind === "batch norm"
          ? rows[index + 1].params : 0}]
      : []);
  }

  /* Say in one line how a layer's multiply-adds come about. */
  function sum({kind, input, output, macs}) {
    const [height, width, filters] = output;
    const terms = {
      convolution: () => [height, width, 3, 3, input[2], filters],
      depthwise: () => [height, width, 3, 3, filters],
      pointwise: () => [height, width, input[2], filters],
      dense: () => [input[0], output[0]],
    }[kind]();
    return `${terms.join(" × ")} = ${whole(macs)}`;
  }

  function scene(options, go) {
    const rows = weighted(options);
    const total = rows.reduce((all, row) => all + row.macs, 0);
    const most = Math.max(...rows.map((row) => row.macs));
    const list = element("ol", {class: "moving-layers"});
    const stage = element("div", {},
      element("div", {class: "moving-heads", "aria-hidden": "true"},
        element("span", {}, "layer"), element("span", {}, "output map"),
        element("span", {}, "multiply-adds")), list);
    const lines = rows.map((row, index) => {
      const button = element("button", {type: "button"},
        element("span", {}, row.layer.replace("_", " ")),
        element("span", {}, size(row.output)),
        element("span", {
          class: `moving-bar ${row.kind}`,
          style: `--bar: ${row.macs / most}`}));
      button.addEventListener("click", () => go(index));
      return element("li", {}, button);
    });
    list.append(...lines);

    function show(step) {
      lines.forEach((line, index) => {
        line.classList.toggle("on", index === step);
        line.firstChild.setAttribute("aria-expanded", index === step);
        line.querySelector("p")?.remove();
      });
      const row = rows[step];
      lines[step].append(element("p", {},
        `${size(row.input)} goes in, ${size(row.output)} comes out. `
        + `Multiply-adds: ${sum(row)}. Weights: ${whole(row.params)}`
        + (row.norm ? `, and ${whole(row.norm)} numbers of batch norm.`
          : ", biases included.")));
      const before = rows.slice(0, step + 1)
        .reduce((all, one) => all + one.macs, 0);
      return `${whole(before)} of ${whole(total)} multiply-adds so far,`
        + ` ${(100 * before / total).toFixed(1)} %.`;
    }
    return {steps: rows.length, stage, show};
  }

  window.movingFigure("network", {
    title: "Walk through the network",
    settings: [
      {name: "side", label: "image side", options: [
        [224, "224"], [32, "32"], [64, "64"]]},
      {name: "alpha", label: "alpha", options: [
        [1, "1"], [0.5, "0.5"], [0.25, "0.25"]]},
      {name: "stem_stride", label: "stem's stride", options: [
        [2, "2"], [1, "1"]]},
      {name: "classes", label: "classes", options: [
        [1000, "1000"], [10, "10"]]},
    ],
    guess: () => ({
      question: "The image shrinks from 224 to 32 pixels, and there are still"
        + " 1000 classes. Whose share of the multiply-adds grows most?",
      options: ["the stem's", "depthwise", "pointwise", "the classifier's"],
      answer: "the classifier's",
      reason: "Its work does not depend on the size of the image; that of all"
        + " others falls about 49 times. Choose 32 and look at its bar.",
    }),
    scene,
    arithmetic: {weighted},
  });
})();
