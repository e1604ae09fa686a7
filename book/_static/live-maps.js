/* The maps of each layer on the page On your device (book/live.md). */
(() => {
  "use strict";

  const {find} = window.livePage;
  const ACROSS = 8;  // maps beside one another

  let layers = [];
  let maps = [];  // what each layer put out

  /* Draw channels of a map beside one another, black 0 and white most. */
  function drawMaps(canvas, map, first, count, most) {
    const {width, height, channels, data} = map;
    const across = Math.min(count, ACROSS);
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
    (most, number) => Math.max(most, number), 1e-9);

  function showLayer() {
    const place = Number(find("layer").value);
    const [map, layer] = [maps[place], layers[place]];
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
    find("channel").value = ACROSS * row + column;
    showChannel();
  }

  /* Show what layers of a network put out. */
  function showMaps(newLayers, newMaps) {
    [layers, maps] = [newLayers, newMaps];
    find("layer").max = maps.length - 1;
    find("maps").hidden = false;
    showLayer();
  }

  find("layer").addEventListener("input", showLayer);
  find("channel").addEventListener("input", showChannel);
  find("grid").addEventListener("click", pickChannel);
  window.liveMaps = {showMaps};
})();
