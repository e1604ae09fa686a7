/* What the scripts of the page On your device share (book/live.md). */
(() => {
  "use strict";

  const {Fault} = window.liveNetwork;
  const find = (id) => document.getElementById(`live-${id}`);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const whole = (number) => Math.round(number).toLocaleString("en");

  /* Make an element with attributes and children. */
  function made(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const turns = {};

  /* Do what may fail, work(event, isLast), and say in a line at a place what
     did. isLast() tells whether nothing was begun there since. */
  const trying = (place, work) => async (event) => {
    const turn = turns[place] = (turns[place] ?? 0) + 1;
    const isLast = () => turn === turns[place];
    find(place).textContent = "";
    try {
      await work(event, isLast);
    } catch (error) {
      if (!isLast()) return;
      find(place).textContent = error instanceof Fault
        ? error.message : `This did not work: ${error.message}`;
    }
  };

  const on = (id, kind, work, place) =>
    find(id).addEventListener(kind, trying(place, work));

  window.livePage = {find, percent, whole, made, trying, on};
})();
