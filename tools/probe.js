// What a reader of the page in a window sees wrong, asked by engines() of
// pages.py in any engine: {broken, missed, cut, wrong}, lists of what is where.
const all = (selector) => [...document.querySelectorAll(selector)];
const box = (one) => one.getBoundingClientRect();
const frame = () => new Promise(requestAnimationFrame);
const words = (one) => one.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
const seen = (one) => one.checkVisibility() && box(one).width > 0;

// Wait until nothing has moved for five frames, five seconds at most.
async function settled() {
  const end = performance.now() + 5000;
  for (let still = 0, last = NaN; still < 5 && performance.now() < end;) {
    await frame();
    still = scrollY === last ? still + 1 : 0;
    last = scrollY;
  }
}

// The entries of the contents beside the text that do not lead to where they
// say: the heading on top and uncovered, or in sight of a page at its end.
// From the last, since what lies above it is not laid out yet.
async function missed() {
  const found = [];
  for (const entry of all(".bd-sidebar-secondary nav a[href^='#']").reverse()) {
    if (!seen(entry)) continue;
    entry.click();
    await settled();
    const heading = document.getElementById(
      decodeURIComponent(entry.hash.slice(1))).querySelector("h1, h2, h3, h4");
    const { left, top, bottom } = box(heading);
    const end = scrollY + innerHeight > document.documentElement.scrollHeight - 2;
    const under = document.elementFromPoint(left + 3, (top + bottom) / 2);
    if (!(top >= 0 && (top < 150 || (end && bottom <= innerHeight))
          && heading.contains(under))) {
      found.push(`${words(entry)}: ${Math.round(top)} px from the top`);
    }
  }
  return found;
}

// A formula is broken where a part stands below and left of the part before
// it, or where its punctuation begins the next line.
function broken() {
  const found = [];
  for (const math of all("math").filter(seen)) {
    const rows = [math, ...math.querySelectorAll("mrow, mstyle, mtd, mpadded")];
    const parted = rows.some((row) => [...row.children].some((part, place) => {
      const before = place && box(row.children[place - 1]);
      return before && before.width && box(part).width
        && box(part).top >= before.bottom - 1 && box(part).left < before.left;
    }));
    const after = math.nextSibling;
    let left = false;
    if (after?.nodeType === Node.TEXT_NODE && /^[^\s\u2010-\u2014-]/.test(after.data)) {
      const range = document.createRange();
      range.setStart(after, 0);
      range.setEnd(after, 1);
      left = box(range).top >= box(math).bottom - 2;
    }
    const before = math.previousSibling;
    if (before?.nodeType === Node.TEXT_NODE && /[^\s\u2010-\u2014-]$/.test(before.data)) {
      const range = document.createRange();
      range.setStart(before, before.length - 1);
      range.setEnd(before, before.length);
      left ||= box(range).bottom <= box(math).top + 2;
    }
    if (parted || left) {
      found.push(`${math.closest("[id]").id}: ${words(math)}`);
    }
  }
  return found;
}

// What a reader does not see: on a desk whatever does not fit its box, on any
// screen what no box lets a reader move.
function cut() {
  const found = innerWidth < 1200 ? [] : all(
    "article pre, article .formula, article .cell_output > .output").filter(
    (one) => seen(one) && one.scrollWidth > one.clientWidth + 1).map(
    (one) => `${one.scrollWidth - one.clientWidth} px of ${words(one)}`);
  const edge = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > edge) {
    found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  }
  for (const math of all("article math:not([display])").filter(seen)) {
    let outer = math.parentElement;
    while (outer.tagName !== "ARTICLE"
           && !/auto|scroll/.test(getComputedStyle(outer).overflowX)) {
      outer = outer.parentElement;
    }
    if (outer.tagName === "ARTICLE" && box(math).right > box(outer).right + 1) {
      found.push(`${words(math)} runs off the text`);
    }
  }
  return found;
}

const result = { missed: await missed() };
document.head.append(Object.assign(document.createElement("style"), {
  textContent: "section { content-visibility: visible !important }",
}));
all("details").forEach((one) => { one.open = true; });
const images = all("img");
images.forEach((one) => { one.loading = "eager"; });
await Promise.all(images.map((one) => one.decode().catch(
  () => wrong.push(`${one.src} does not decode`))));
await document.fonts.ready;
await settled();
result.broken = broken();
result.cut = cut();
result.wrong = [...wrong, ...performance.getEntriesByType("resource").filter(
  (one) => !one.name.startsWith(location.origin + "/")
    && !one.name.startsWith("data:")).map((one) => `asks ${one.name}`)];
return result;
