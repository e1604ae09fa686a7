/* What layers and networks cost, for the explorer and the moving figures. The
   arithmetic is that of book/mobilenet/costs.py and network.py, and
   tests/test_explorer.py compares the two. A classic script, not a module:
   browsers refuse to load a module where a page is opened from a disk. */
(() => {
  "use strict";

  // network.BODY: output channels and stride of each block.
  const BODY = [
    [64, 1], [128, 2], [128, 1], [256, 2], [256, 1],
    [512, 2], [512, 1], [512, 1], [512, 1], [512, 1], [512, 1],
    [1024, 2], [1024, 1],
  ];

  /* Return the costs of a standard convolution and of the separable one, which
     is a depthwise and a pointwise: {standard, depthwise, pointwise,
     separable}, each {params, side, macs} but for separable, which has no
     side; side x side are the output positions. */
  function layerCost({kernel, channels, filters, map, stride, strided}) {
    const after = Math.ceil(map / stride);
    const cost = (params, side) => ({params, side, macs: params * side ** 2});
    const standard = cost(kernel ** 2 * channels * filters, after);
    const depthwise = cost(
      kernel ** 2 * channels, strided === "depthwise" ? after : map);
    const pointwise = cost(channels * filters, after);
    const separable = {
      params: depthwise.params + pointwise.params,
      macs: depthwise.macs + pointwise.macs,
    };
    return {standard, depthwise, pointwise, separable};
  }

  /* Return the rows of costs.count(mobilenet_v1(...)), one a layer. Options
     have the names of its arguments; side is the image's. */
  function networkCost({
    side, classes, alpha, stem_stride, stride_on, use_bias, separable}) {
    const rows = [];
    let channels = 3;

    function add(layer, kind, macs = 0, params = 0) {
      const output = [side, side, channels];
      rows.push({layer, kind, output, macs, params});
    }

    function convolution(layer, kind, kernel, stride, filters) {
      const inputs = kind === "depthwise" ? 1 : channels;
      const weights = kernel ** 2 * inputs * filters;
      side = Math.ceil(side / stride);
      channels = filters;
      add(layer, kind, side ** 2 * weights,
        weights + (use_bias ? filters : 0));
      add(`${layer}_bn`, "batch norm", 0, 4 * filters);
      add(`${layer}_relu`, "activation");
    }

    add("images", "other");
    convolution("stem", "convolution", 3, stem_stride, Math.trunc(alpha * 32));
    BODY.forEach(([width, stride], index) => {
      const name = `block${index + 1}`;
      const filters = Math.trunc(alpha * width);
      if (separable) {
        const early = stride_on === "depthwise";
        convolution(
          `${name}_depthwise`, "depthwise", 3, early ? stride : 1, channels);
        convolution(
          `${name}_pointwise`, "pointwise", 1, early ? 1 : stride, filters);
      } else {
        convolution(`${name}_conv`, "convolution", 3, stride, filters);
      }
    });
    rows.push({
      layer: "average", kind: "pooling", output: [channels], macs: 0,
      params: 0});
    rows.push({
      layer: "logits", kind: "dense", output: [classes],
      macs: channels * classes, params: (channels + 1) * classes});
    return rows;
  }

  window.costExplorer = {layerCost, networkCost};
})();
