// A formula that scrolls in its box can be reached and moved by the keyboard.
// All boxes are asked before one is changed, so that the page is laid out once.
const boxes = [...document.querySelectorAll(".formula")];
new ResizeObserver(() => {
  const wide = boxes.map((box) => box.scrollWidth > box.clientWidth);
  boxes.forEach((box, place) => {
    if (wide[place]) {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  });
}).observe(document.documentElement);
