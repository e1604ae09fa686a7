/* The page of the cost explorer (book/explorer.md); costs.js, loaded before,
   does its arithmetic. A classic script, not a module: browsers refuse to load
   a module where a page is opened from a disk. */
(() => {
  "use strict";

  const {layerCost, networkCost} = window.costExplorer;
  const whole = (number) => number.toLocaleString("en");
  const percent = (part, all) => `${(100 * part / all).toFixed(1)} %`;
  const times = (more, less) => (more / less).toLocaleString(
    "en", {minimumFractionDigits: 2, maximumFractionDigits: 2});
  const total = (rows, column) =>
    rows.reduce((sum, row) => sum + row[column], 0);
  const find = (id) => document.getElementById(`explorer-${id}`);

  /* Say how a cost compares with another. */
  function compared(cost, other) {
    if (cost === other) return "equally many";
    if (cost < other) return `${times(other, cost)} times fewer`;
    return `${times(cost, other)} times more`;
  }

  /* Replace a table's body. A row is a list of cells, the first its header; a
     cell is a text, or {text, bar} with a bar between 0 and 1 wide. */
  function fill(table, rows) {
    const lines = rows.map((cells) => {
      const line = document.createElement("tr");
      cells.forEach((cell, index) => {
        const box = document.createElement(index ? "td" : "th");
        if (!index) box.scope = "row";
        box.textContent = cell.text ?? cell;
        if (cell.text) {
          box.className = "explorer-share";
          box.style.setProperty("--bar", cell.bar);
        }
        line.append(box);
      });
      return line;
    });
    table.tBodies[0].replaceChildren(...lines);
  }

  /* Return a cell for each part of a whole; the largest has a full bar. */
  function shares(parts, all) {
    const most = Math.max(...parts);
    return parts.map(
      (part) => ({text: percent(part, all), bar: part / most}));
  }

  function show(totals, texts) {
    for (const [key, text] of Object.entries(texts)) {
      totals.querySelector(`[data-show="${key}"]`).textContent = text;
    }
  }

  /* Show one layer; return the sentence to announce. */
  function showLayer(options) {
    const {kernel, channels, filters, map, stride, strided} = options;
    const costs = layerCost(options);
    const {standard, depthwise, pointwise, separable} = costs;
    const saving = compared(separable.macs, standard.macs);
    show(find("layer-totals"), {
      standard: whole(standard.macs),
      separable: whole(separable.macs),
      saving,
    });

    const widest = Math.max(standard.macs, separable.macs);
    for (const part of ["standard", "depthwise", "pointwise"]) {
      document.querySelector(`.explorer-bars .explorer-${part}`).style.width =
        `${100 * costs[part].macs / widest}%`;
    }

    const weights = {
      standard: `${kernel} × ${kernel} × ${channels} × ${filters}`,
      depthwise: `${kernel} × ${kernel} × ${channels}`,
      pointwise: `${channels} × ${filters}`,
    };
    fill(find("layer-table"), Object.entries(costs).map(([name, cost]) => [
      name, weights[name] ?? "–", whole(cost.params),
      cost.side ? `${cost.side} × ${cost.side}` : "–", whole(cost.macs),
      name === "standard" ? "–" : percent(cost.macs, separable.macs)]));
    find("layer-caption").textContent =
      `k = ${kernel}, C = ${channels}, M = ${filters}, a ${map} × ${map} map,`
      + ` stride ${stride}`;

    const ratio = (separable.macs / standard.macs).toFixed(4);
    const quotient = `${depthwise.side ** 2}/${pointwise.side ** 2}`;
    find("verdict").textContent =
      `Separable over standard, multiply-adds: ${ratio}. ` + (
        depthwise.side === pointwise.side
          ? `This is 1/M + 1/k² = 1/${filters} + 1/${kernel ** 2}, exactly.`
            + " The same holds for the parameters."
          : `This is (${quotient})/M + 1/k², not 1/M + 1/k²: the depthwise`
            + ` half computes ${map} × ${map} positions, and the pointwise`
            + ` half keeps ${pointwise.side} × ${pointwise.side} of them.`
            + " For the parameters 1/M + 1/k² still holds.");
    return `Standard ${whole(standard.macs)}, separable`
      + ` ${whole(separable.macs)} multiply-adds, ${saving}.`;
  }

  /* Show the whole network; return the sentence to announce. */
  function showNetwork(options) {
    const rows = networkCost(options);
    const macs = total(rows, "macs");
    const params = total(rows, "params");
    const other = networkCost({...options, separable: !options.separable});
    const saving = compared(macs, total(other, "macs"));
    // Of a channel's four numbers in a batch norm two are moving averages.
    const normalised = total(
      rows.filter((row) => row.kind === "batch norm"), "params");
    const [side] = rows.at(-3).output;
    show(find("network-totals"), {
      macs: whole(macs),
      params: whole(params),
      trained: whole(params - normalised / 2),
      other: options.separable ? "standard" : "separable",
      saving,
      map: `${side} × ${side}`,
    });

    const kinds = ["convolution", "depthwise", "pointwise", "dense",
      "batch norm"].map((kind) => {
      const those = rows.filter((row) => row.kind === kind);
      return {
        kind, macs: total(those, "macs"), params: total(those, "params")};
    }).filter((kind) => kind.params);
    const kindMacs = shares(kinds.map((kind) => kind.macs), macs);
    const kindParams = shares(kinds.map((kind) => kind.params), params);
    fill(find("kinds"), kinds.map((kind, index) => [
      kind.kind, whole(kind.macs), kindMacs[index], whole(kind.params),
      kindParams[index]]));

    // A line for each layer with multiply-adds, and the batch norm behind it.
    const layers = rows.flatMap((row, index) => row.macs ? [{
      ...row, norm: rows[index + 1]?.kind === "batch norm"
        ? rows[index + 1].params : 0}] : []);
    const layerMacs = shares(layers.map((row) => row.macs), macs);
    const layerParams = shares(
      layers.map((row) => row.params + row.norm), params);
    fill(find("layers"), [
      ...layers.map((row, index) => [
        row.layer, row.output.join(" × "), whole(row.macs), layerMacs[index],
        whole(row.params), whole(row.norm), layerParams[index]]),
      ["total", "", whole(macs), "100.0 %", whole(params - normalised),
        whole(normalised), "100.0 %"]]);
    return `${whole(macs)} multiply-adds, ${whole(params)} parameters,`
      + ` ${saving} than with ${options.separable ? "standard" : "separable"}`
      + " blocks.";
  }

  const parts = [
    {form: find("layer"), show: showLayer},
    {form: find("network"), show: showNetwork},
  ];
  const fields = parts.flatMap(({form}) => [...form.elements]);
  // What is shown, as the texts that stand in the address.
  const state = {};
  const faults = new Map();
  let said = "";
  let timer;

  function preset(field) {
    return field.tagName === "SELECT"
      ? [...field.options].find((option) => option.defaultSelected).value
      : field.defaultValue;
  }

  /* Return [text, fault]: a text that the field can have, the nearest to what
     is asked where there is one, and what was wrong, or "". */
  function fitted(field, asked, fallback) {
    if (field.tagName === "SELECT") {
      const options = [...field.options].map((option) => option.value);
      return options.includes(asked) ? [asked, ""] : [
        fallback, `must be ${options.join(" or ")}`];
    }
    const number = asked.trim() === "" ? NaN : Number(asked);
    if (!Number.isFinite(number)) return [fallback, "must be a number"];
    const [least, most] = [Number(field.min), Number(field.max)];
    if (number < least) return [field.min, `must be at least ${least}`];
    if (number > most) return [field.max, `must be at most ${most}`];
    // Dividing by 40, not multiplying by 0.025, gives the nearest number to
    // the decimal that is shown, which is the one Python reads.
    const fineness = Math.round(1 / Number(field.step));
    const near = Math.round(number * fineness) / fineness;
    const rule = fineness === 1 ? "whole number" : `multiple of ${field.step}`;
    return [String(near), near === number ? "" : `must be a ${rule}`];
  }

  function sayFaults(unknown = []) {
    const lines = [...faults].map(([name, {asked, fault}]) =>
      `${name} ${fault}, not “${asked}”: ${state[name]} is shown.`);
    for (const name of unknown) {
      lines.push(`“${name}” is no setting of this page and is left out.`);
    }
    find("notice").textContent = lines.join(" ");
  }

  /* Make the field, its slider and the state agree on a text. */
  function set(field, text) {
    state[field.name] = text;
    field.value = text;
    field.removeAttribute("aria-invalid");
    const slider = field.previousElementSibling;
    if (slider?.type === "range") slider.value = text;
  }

  function options(form) {
    const named = [...form.elements].filter(({name}) => name);
    return Object.fromEntries(named.map(({name}) => {
      const text = state[name];
      if (text === "true" || text === "false") return [name, text === "true"];
      return [name, Number.isNaN(Number(text)) ? text : Number(text)];
    }));
  }

  /* Write the state into the address and announce what changed. It waits for
     a pause, since browsers allow an address few changes in a short time, and
     nobody can listen to every step of a slider. */
  function settle(hash = window.location.hash) {
    clearTimeout(timer);
    window.history.replaceState(
      null, "", `?${new URLSearchParams(state)}${hash}`);
    find("announcement").textContent = said;
  }

  function update(part) {
    said = part.show(options(part.form));
    for (const copied of document.querySelectorAll(".explorer-copy span")) {
      copied.textContent = "";
    }
    for (const link of find("presets").querySelectorAll("a")) {
      const shown = [...new URLSearchParams(link.search)].every(
        ([name, text]) => state[name] === text);
      if (shown) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    clearTimeout(timer);
    timer = setTimeout(settle, 400);
  }

  /* Set all fields that an address names; return the names it should not. */
  function read(address) {
    const names = new Set(fields.map(({name}) => name));
    for (const field of fields.filter(({name}) => address.has(name))) {
      const asked = address.get(field.name);
      const [text, fault] = fitted(field, asked, preset(field));
      set(field, text);
      if (fault) faults.set(field.name, {asked, fault});
    }
    return [...new Set(address.keys())].filter((name) => !names.has(name));
  }

  function apply(address) {
    faults.clear();
    const unknown = read(address);
    sayFaults(unknown);
    parts.forEach(update);
  }

  function addSlider(field) {
    const slider = document.createElement("input");
    for (const name of ["min", "max", "step", "value"]) {
      slider.setAttribute(name, field.getAttribute(name));
    }
    slider.type = "range";
    slider.setAttribute(
      "aria-label", `${field.labels[0].textContent}, slider`);
    field.before(slider);
    slider.addEventListener("input", () => {
      field.value = slider.value;
      field.dispatchEvent(new Event("input", {bubbles: true}));
    });
  }

  function start(part) {
    // While a number is typed, what cannot be is only marked; it is mended,
    // and that is said, once the field is left.
    part.form.addEventListener("input", ({target}) => {
      if (!target.name) return;
      const [text, fault] = fitted(target, target.value, state[target.name]);
      if (fault) {
        target.setAttribute("aria-invalid", "true");
        return;
      }
      faults.delete(target.name);
      sayFaults();
      set(target, text);
      update(part);
    });
    part.form.addEventListener("change", ({target}) => {
      if (!target.name) return;
      const asked = target.value;
      const [text, fault] = fitted(target, asked, state[target.name]);
      if (!fault) return;
      set(target, text);
      faults.set(target.name, {asked, fault});
      sayFaults();
      update(part);
    });
  }

  async function copyLink({currentTarget: button}) {
    settle(`#${button.dataset.section}`);
    const feedback = button.parentElement.querySelector("span");
    feedback.textContent = "";
    try {
      await navigator.clipboard.writeText(window.location.href);
      feedback.textContent = "Link copied.";
    } catch {
      feedback.textContent =
        "The browser forbids copying: take the link from the address bar.";
    }
  }

  for (const field of fields) {
    state[field.name] = preset(field);
    if (field.type === "number") addSlider(field);
  }
  parts.forEach(start);
  for (const button of document.querySelectorAll(".explorer-copy button")) {
    button.addEventListener("click", copyLink);
  }
  find("presets").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    apply(new URLSearchParams(link.search));
  });
  apply(new URLSearchParams(window.location.search));
  clearTimeout(timer);
  if (window.location.search) {
    said = "";
    settle();
  }
})();
