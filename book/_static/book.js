// A box that scrolls can be reached and moved by the keyboard. Each is asked
// when it is laid out, all of them before one is changed: to ask a box far
// below the window would lay out the page down to there.
// In the next frame: WebKit reports what changes within its round as an error.
const watch = new ResizeObserver((entries) => requestAnimationFrame(() => {
  const boxes = entries.map((entry) => entry.target);
  const wide = boxes.map((box) => box.scrollWidth > box.clientWidth);
  boxes.forEach((box, place) => {
    if (wide[place]) {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  });
}));
document.querySelectorAll(
  "pre, .cell_output > .output, .jp-RenderedHTMLCommon,"
  + " .pst-scrollable-table-container, .formula",
).forEach((box) => watch.observe(box));
