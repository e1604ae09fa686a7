// A formula that scrolls in its box can be reached and moved by the keyboard.
const boxes = document.querySelectorAll(".formula");
new ResizeObserver(() => {
  for (const box of boxes) {
    if (box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  }
}).observe(document.documentElement);
