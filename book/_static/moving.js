/* The player of the moving figures. A figure is a file of moving/ that calls
   movingFigure(name, figure); figure has

     title      what the figure is called,
     settings   [{name, label, options: [[value, text], ...]}, ...],
     guess      (values) => {question, options, answer, reason}, texts,
     scene      (values, go) => {steps, stage, show, pace}: show(step) draws
                step 0, ... of steps on the element stage and returns what it
                says; go(step) is for a click on the stage; pace, in
                milliseconds, may be left out,
     arithmetic the functions that tests compare with the Python code.

   A classic script, not a module: browsers refuse to load a module where a
   page is opened from a disk. */
(() => {
  "use strict";

  const figures = {};
  window.movingFigures = figures;
  const PACE = 700; // milliseconds a step

  /* Return a new element with attributes and children. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /* Return a grid of numbers, [[...], ...]; paint(row, column) gives the class
     of a cell, and label says aloud what the grid is. */
  function grid(rows, label, paint = () => "") {
    const box = element("div", {
      class: "moving-grid", role: "img", "aria-label": label,
      style: `--columns: ${rows[0].length}`});
    rows.forEach((row, y) => row.forEach((value, x) => {
      box.append(element("span", {class: paint(y, x)}, String(value)));
    }));
    return box;
  }

  /* Return a captioned part of a stage. */
  function part(caption, ...children) {
    return element("figure", {class: "moving-part"},
      element("figcaption", {}, caption), ...children);
  }

  window.movingParts = {element, grid, part};

  /* Ask for a guess; once it is made, say how it was and call then. */
  function asked({question, options, answer, reason}, then) {
    const box = element("div", {class: "moving-guess"});
    const said = element("p", {role: "status"});
    const buttons = options.map((option) => {
      const button = element("button", {type: "button"}, option);
      button.addEventListener("click", () => {
        buttons.forEach((one) => { one.disabled = true; });
        said.textContent = (option === answer ? "Correct. "
          : `Not ${option}, but ${answer}. `) + reason;
        then();
      });
      return button;
    });
    box.append(element("p", {}, element("strong", {}, "Guess first. "),
      question), element("p", {}, ...buttons), said);
    return box;
  }

  /* Fill place with the figure. */
  function open(place, figure) {
    const values = Object.fromEntries(
      figure.settings.map(({name, options}) => [name, options[0][0]]));
    let scene;
    let step = 0;
    let timer;

    const text = element("p", {class: "moving-text", "aria-live": "polite"});
    const slider = element("input", {
      type: "range", min: 0, value: 0, "aria-label": "step"});
    const control = (label, action) => {
      const button = element("button", {type: "button"}, label);
      button.addEventListener("click", action);
      return button;
    };
    const play = control("Play", () => timer ? pause() : start());
    const forward = control("Step", () => go(
      step === scene.steps - 1 ? 0 : step + 1));
    const count = element("span", {"aria-hidden": "true"});
    const stage = element("div", {class: "moving-stage"});

    function show(to) {
      step = Math.max(0, Math.min(to, scene.steps - 1));
      text.textContent = scene.show(step);
      slider.value = step;
      count.textContent = `step ${step + 1} of ${scene.steps}`;
      slider.setAttribute("aria-valuetext", count.textContent);
      forward.textContent = step === scene.steps - 1 ? "Again" : "Step";
    }

    function pause() {
      clearInterval(timer);
      timer = undefined;
      play.textContent = "Play";
    }

    function start() {
      if (step === scene.steps - 1) show(0);
      play.textContent = "Pause";
      timer = setInterval(() => {
        show(step + 1);
        if (step === scene.steps - 1) pause();
      }, scene.pace ?? PACE);
    }

    function go(to) {
      pause();
      show(to);
    }

    function renew() {
      pause();
      scene = figure.scene(values, go);
      stage.replaceChildren(scene.stage);
      slider.max = scene.steps - 1;
      show(0);
    }

    const controls = element("div", {class: "moving-controls"},
      control("Back", () => go(step - 1)), play, forward, slider, count);
    slider.addEventListener("input", () => go(Number(slider.value)));
    // Nothing moves by itself for those who asked for less motion.
    const still = window.matchMedia("(prefers-reduced-motion: reduce)");
    play.hidden = still.matches;
    still.addEventListener("change", () => {
      pause();
      play.hidden = still.matches;
    });

    const fields = figure.settings.map(({name, label, options}) => {
      const field = element("select", {}, ...options.map(
        ([value, shown]) => element("option", {value}, shown)));
      field.addEventListener("change", () => {
        values[name] = options[field.selectedIndex][0];
        renew();
      });
      return element("label", {}, `${label} `, field);
    });
    const settings = element("div", {class: "moving-settings"}, ...fields);
    const shown = [settings, stage, text, controls];
    const guess = asked(figure.guess(values), () => {
      shown.forEach((one) => { one.hidden = false; });
      renew();
    });
    shown.forEach((one) => { one.hidden = true; });
    place.replaceChildren(guess, ...shown);
  }

  /* Offer the figure below each picture that it sets in motion. */
  window.movingFigure = (name, figure) => {
    figures[name] = figure.arithmetic;
    const places = document.querySelectorAll(`.moving[data-moving="${name}"]`);
    for (const place of places) {
      const button = element(
        "button", {type: "button", class: "moving-open"}, figure.title);
      button.addEventListener("click", () => {
        open(place, figure);
        place.querySelector("button").focus({preventScroll: true});
      });
      place.append(button);
    }
  };
})();
