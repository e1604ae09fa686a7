/* Chapter 2: a window that moves over an image. */
(() => {
  "use strict";
  const {element, grid, part} = window.movingParts;

  // The chapter's image and kernel; a larger image goes on from the chapter's.
  const IMAGE = [
    [1, 2, 0, 1, 3, 0], [0, 1, 3, 2, 1, 1], [2, 0, 1, 1, 0, 2],
    [1, 1, 0, 2, 1, 0], [0, 3, 1, 0, 2, 1], [1, 0, 2, 1, 0, 3],
  ];
  const KERNEL = [[1, 0, -1], [2, 0, -2], [1, 0, -1]];

  /* Return how many zeros come before and after a side: equation (2.5). */
  function zeros(side, kernel, stride, padding) {
    if (padding === "valid") return [0, 0];
    if (padding !== "same") return [padding, padding];
    const outputs = Math.ceil(side / stride);
    const total = Math.max((outputs - 1) * stride + kernel - side, 0);
    return [Math.floor(total / 2), total - Math.floor(total / 2)];
  }

  /* Return a square image with its zeros around it. */
  function padded(image, kernel, stride, padding) {
    const [before, after] = zeros(image.length, kernel, stride, padding);
    const side = before + image.length + after;
    const places = [...Array(side).keys()];
    return places.map((y) => places.map(
      (x) => image[y - before]?.[x - before] ?? 0));
  }

  /* Return the output: equation (2.6) with one channel and one filter. */
  function convolve(image, kernel, stride, padding) {
    const wide = padded(image, kernel.length, stride, padding);
    const count = Math.floor((wide.length - kernel.length) / stride) + 1;
    const places = [...Array(count).keys()];
    return places.map((y) => places.map((x) => kernel.reduce(
      (sum, row, i) => row.reduce((total, weight, j) =>
        total + weight * wide[y * stride + i][x * stride + j], sum), 0)));
  }

  const minus = (number) => String(number).replace("-", "−");

  function scene({side, stride, padding}) {
    const image = IMAGE.slice(0, side).map((row) => row.slice(0, side));
    const k = KERNEL.length;
    const wide = padded(image, k, stride, padding);
    const [before] = zeros(side, k, stride, padding);
    const output = convolve(image, KERNEL, stride, padding);
    const stage = element("div", {class: "moving-row"});

    function show(step) {
      const y = Math.floor(step / output.length);
      const x = step % output.length;
      const inside = (row, column) => row >= y * stride && column >= x * stride
        && row < y * stride + k && column < x * stride + k;
      const isZero = (row, column) =>
        image[row - before]?.[column - before] === undefined;
      const under = KERNEL.map((row, i) => row.map(
        (weight, j) => [weight, wide[y * stride + i][x * stride + j]]));
      stage.replaceChildren(
        part("image", grid(wide, "image, the window shaded", (row, column) =>
          (inside(row, column) ? "on " : "")
          + (isZero(row, column) ? "zero" : ""))),
        part("weight × pixel", grid(under.map((row) => row.map(
          ([weight, pixel]) => `${minus(weight)}·${pixel}`)),
        "the nine products", () => "wide")),
        part("output", grid(output.map((row, r) => row.map((value, c) =>
          r * output.length + c <= step ? minus(value) : "")),
        "output so far", (r, c) => r === y && c === x ? "on" : "")));
      const products = under.flat().map(([weight, pixel]) => weight * pixel);
      const plus = products.filter((one) => one > 0);
      const less = products.filter((one) => one < 0);
      return `Output row ${y}, column ${x}: the positive products add up to `
        + `${plus.reduce((a, b) => a + b, 0)}, the negative ones to `
        + `${minus(less.reduce((a, b) => a + b, 0))}, together `
        + `${minus(output[y][x])}. ${9 * (step + 1)} multiply-adds so far.`;
    }
    return {steps: output.length ** 2, stage, show};
  }

  window.movingFigure("window", {
    title: "Move the window yourself",
    settings: [
      {name: "side", label: "side", options: [[4, "4"], [5, "5"], [6, "6"]]},
      {name: "stride", label: "stride", options: [[1, "1"], [2, "2"]]},
      {name: "padding", label: "padding", options: [
        ["valid", "valid"], ["same", "same"], [1, "1"]]},
    ],
    guess: () => ({
      question: "The image grows to 6 × 6 pixels. How many output numbers are"
        + " there then?",
      options: ["4", "9", "16", "36"], answer: "16",
      reason: "The window has four positions down and four across. Choose the"
        + " side 6 and see.",
    }),
    scene,
    arithmetic: {zeros, convolve},
  });
})();
