// A formula that scrolls in its box can be reached and moved by the keyboard.
// A box is asked when it gets its size: to ask all at once would lay out every
// section of the page.
const sizes = new ResizeObserver((entries) => {
  for (const { target: box } of entries) {
    if (box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  }
});
for (const box of document.querySelectorAll(".formula")) {
  sizes.observe(box);
}
