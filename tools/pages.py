"""Serve, measure and print the built book.

    python tools/pages.py pdf [FILE]        the whole book as one PDF
    python tools/pages.py cite [VERSION DATE]   CITATION.cff of a release
    python tools/pages.py measure [PAGE...] weight and scores, ours and stock
    python tools/pages.py engines [PAGE...] what each engine shows wrong

All but cite need Chromium on the PATH (Debian: apt-get install chromium), or
its place in CHROMIUM; measure needs npm too, which installs Lighthouse, and
engines what tools/engines.py names.
"""

import contextlib
import functools
import gzip
import http.server
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import pikepdf
import yaml

ROOT = pathlib.Path(__file__).parent.parent
PLACE = ROOT / "_build" / "pages"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run")


def title():
    """Return the book's title, which _config.yml alone decides."""
    return yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["title"]


def slug():
    """Return the title as files and courses are named after it."""
    return re.sub(r"\W+", "-", title().lower()).strip("-")


def citation(version="", date=""):
    """Return CITATION.cff of a release: its title, its addresses, its date.

    The addresses are those that the site is built with; without a repository
    there are none.
    """
    sys.path.insert(0, str(ROOT / "book" / "_extensions"))
    import repository_links
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    repository = repository_links.repository_url(ROOT)
    found = {
        "title": title(), "repository-code": repository,
        "url": os.environ.get("BOOK_SITE_URL") or (
            repository_links.pages_url(repository)),
        "version": version.removeprefix("v"), "date-released": date}
    cited |= {key: value for key, value in found.items() if value}
    return yaml.safe_dump(cited, sort_keys=False, allow_unicode=True)


def chromium():
    """Return the path of a Chromium; ValueError says how to get one."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser",
                 "google-chrome"):
        if name and shutil.which(name):
            return shutil.which(name)
    raise ValueError(
        "no Chromium: apt-get install chromium, or name one in CHROMIUM")


def build(folder, *options, repository="", check=True):
    """Build the book into a folder as a fork at that address would.

    Returns the finished process; with check, one that failed is an error.
    """
    run = subprocess.run(
        [sys.executable, "-c",
         "from jupyter_book.cli.main import main; main()", "build", str(ROOT),
         "-W", "-n", "--keep-going", "--path-output", str(folder), *options],
        env={**os.environ, "BOOK_REPO_URL": repository},
        capture_output=True, text=True)
    if check and run.returncode:
        raise ValueError(run.stdout[-3000:] + run.stderr[-3000:])
    return run


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve a folder as a good host does: text compressed, kept alive."""

    protocol_version = "HTTP/1.1"

    first = b""

    def do_GET(self):  # noqa: N802
        """Send a file, or the site's own page for what is not there."""
        path = pathlib.Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        status = 200
        if not path.is_file():
            status, path = 404, pathlib.Path(self.directory, "404.html")
        if not path.is_file():
            self.send_error(404)
            return
        kind = self.guess_type(path)
        body = path.read_bytes()
        if path.suffix == ".html":
            body = body.replace(b"<head>", b"<head>" + self.first, 1)
        self.send_response(status)
        if kind.startswith("text/") or kind.endswith(("script", "svg+xml")):
            body = gzip.compress(body, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        # A browser that leaves a page wants no more of it.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def served(folder, first=""):
    """Serve a folder on this machine alone; yields its address.

    `first` is a script that every page runs before all others.
    """
    class Here(Handler):
        pass

    if first:
        Here.first = f"<script>{first}</script>".encode()
    with http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0),
            functools.partial(Here, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@contextlib.contextmanager
def browser():
    """Start Chromium without a window."""
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium(), args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


# Loads every picture, and lists the chapters on a page after the cover.
CONTENTS = """async () => {
    const images = [...document.images];
    images.forEach(image => image.loading = "eager");
    await Promise.all(images.map(image => image.decode()));
    const wrapper = document.querySelector(".toctree-wrapper");
    const contents = document.createElement("div");
    contents.className = "contents";
    contents.innerHTML = "<h2>Contents</h2>";
    document.querySelectorAll(".toctree-wrapper > section").forEach(part => {
        const heading = part.querySelector("h2").cloneNode(true);
        heading.querySelector(".headerlink").remove();
        const entry = document.createElement("a");
        entry.href = "#" + part.id;
        entry.append(heading.textContent, document.createElement("b"));
        contents.append(entry);
        // The page's anchor, left before the break, could need a page alone.
        part.prepend(part.previousElementSibling);
        part.style.breakBefore = "page";
    });
    contents.style.breakBefore = "page";
    wrapper.before(contents);
}"""
CONTENTS_STYLE = """.contents > a {
    color: inherit; display: flex; justify-content: space-between;
    gap: 2em; padding-block: 0.3em}"""
# Writes the number of its page behind each chapter.
NUMBERS = """pages => document.querySelectorAll(".contents b").forEach(
    one => { one.textContent = pages[one.parentElement.hash.slice(1)]; })"""


def landings(path):
    """Return the numbers of the pages that a PDF's links lead to, by name."""
    with pikepdf.open(path) as book:
        numbers = {
            page.objgen: number for number, page in enumerate(book.pages, 1)}
        return {
            name[1:]: numbers[place[0].objgen]
            for name, place in book.Root.Dests.items()}


def drawn(page):
    """Yield (bottom, top) of each text and figure of a PDF's page."""
    place, line, kept = pikepdf.Matrix(), pikepdf.Matrix(), []
    for operands, operator in pikepdf.parse_content_stream(page):
        match str(operator):
            case "q":
                kept.append(place)
            case "Q":
                place = kept.pop()
            case "cm":
                place = pikepdf.Matrix(*map(float, operands)) @ place
            case "Tm":
                line = pikepdf.Matrix(*map(float, operands))
            case "Td":
                line = line.translated(*map(float, operands))
            case "Tj" | "TJ":
                yield ((line @ place).f,) * 2
            case "Do":
                yield tuple(sorted((place.f, place.f + place.d)))


def check_no_blank_page(path, foot=60):
    """Raise ValueError naming pages of a PDF with nothing above their foot."""
    with pikepdf.open(path) as book:
        blank = [number for number, page in enumerate(book.pages, 1)
                 if all(top < foot for _, top in drawn(page))]
    if blank:
        raise ValueError(f"{path} has blank pages: {blank}")


def compressed(path):
    """Pack a PDF's many small objects; Chromium writes them as plain text."""
    with pikepdf.open(path, allow_overwriting_input=True) as book:
        book.save(
            path, object_stream_mode=pikepdf.ObjectStreamMode.generate)


def pdf(path):
    """Build the book as one page and print it; returns the path."""
    chromium()
    shutil.rmtree(PLACE / "_build" / "singlehtml", ignore_errors=True)
    build(PLACE, "--builder", "singlehtml", "--all")
    folder = PLACE / "_build" / "singlehtml"
    # The one page lies beside the cover, its links lead from the top.
    shutil.copy(folder / "book" / "index.html", folder / "whole.html")
    with served(folder) as home, browser() as running:
        page = running.new_page()
        # It is the whole book, and the machine may be busy: ten minutes.
        page.goto(home + "whole.html", wait_until="load", timeout=600_000)
        page.evaluate(CONTENTS)
        page.add_style_tag(content=CONTENTS_STYLE)
        write = functools.partial(
            page.pdf, path=path, format="A4", scale=0.85,
            print_background=True, tagged=True, outline=True,
            display_header_footer=True, header_template="<span></span>",
            footer_template='<div style="font-size:8px;width:100%;'
            'text-align:center"><span class="pageNumber"></span></div>',
            margin={"top": "18mm", "bottom": "18mm",
                    "left": "16mm", "right": "16mm"})
        # Where the chapters begin is known when they are printed.
        write()
        page.evaluate(NUMBERS, landings(path))
        write()
    compressed(path)
    check_no_blank_page(path)
    return path


# Notes what goes wrong on a page, from before its own scripts on.
LISTEN = """window.wrong = [];
addEventListener("error", ({message, target}) => wrong.push(
    message ?? `not loaded: ${target.src ?? target.href}`), true);
addEventListener("unhandledrejection", ({reason}) => wrong.push(`${reason}`));
for (const kind of ["error", "warn"])
    console[kind] = (...words) => wrong.push(words.join(" "));"""


def found_wrong(window, address):
    """Load a page; return {what: places} of what its reader sees wrong."""
    window.goto(address)
    return window.run(
        pathlib.Path(__file__).with_name("probe.js").read_text("utf8"))


def engines(names):
    """Print what each engine shows wrong on each page at three widths.

    ValueError, at the end, where there is anything.
    """
    from engines import NAMES, started
    build(PLACE / "ours")
    site = PLACE / "ours" / "_build" / "html"
    every = sorted(path for path in (site / "book").glob("*.html")
                   if not names or path.stem in names)
    total = 0
    print("page                      engine    width  formulas broken"
          "  landings missed  lines cut  errors")
    with served(site, LISTEN) as home:
        for engine, width in itertools.product(NAMES, (360, 768, 1280)):
            with started(engine) as one, one.open(width) as window:
                for path in every:
                    found = found_wrong(window, f"{home}book/{path.name}")
                    counts = [len(found[kind]) for kind in (
                        "broken", "missed", "cut", "wrong")]
                    total += sum(counts)
                    print(f"{path.stem[:25]:25} {engine:9} {width:5}"
                          "  {:15}  {:15}  {:9}  {:6}".format(*counts),
                          *sum(found.values(), []), sep="\n    ", flush=True)
    if total:
        raise ValueError(f"{total} faults")


def tools():
    """Install Lighthouse and MathJax from npm, once; return their folder."""
    folder = PLACE / "npm"
    if not (folder / "node_modules" / "lighthouse").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
             "--prefix", str(folder), "lighthouse@12", "mathjax@3"],
            check=True, stdout=subprocess.DEVNULL)
    return folder / "node_modules"


def stock(modules):
    """Build the same pages with the theme as it comes; return the site.

    Its MathJax, which it asks another host for, lies beside it instead.
    """
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())
    settings["sphinx"] = {"config": {
        "mathjax_path": "mathjax/tex-mml-chtml.js",
        "suppress_warnings": ["mystnb.unknown_mime_type"]}}
    settings["launch_buttons"] = {}
    place = PLACE / "stock"
    place.mkdir(parents=True, exist_ok=True)
    config = place / "config.yml"
    config.write_text(yaml.safe_dump(settings))
    build(place, "--config", str(config), check=False)
    site = place / "_build" / "html"
    shutil.copytree(modules / "mathjax" / "es5", site / "_static" / "mathjax",
                    dirs_exist_ok=True)
    return site


def loaded(running, address):
    """Load a page on a phone; return bytes, bytes less figures, requests."""
    page = running.new_page(viewport={"width": 360, "height": 800})
    sizes, figures = {}, set()
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.on("Network.responseReceived", lambda event: (
        "/_images/" in event["response"]["url"]
        and figures.add(event["requestId"])))
    client.on("Network.loadingFinished", lambda event: sizes.update(
        {event["requestId"]: event["encodedDataLength"]}))
    page.goto(address, wait_until="networkidle")
    page.close()
    return (sum(sizes.values()),
            sum(size for name, size in sizes.items() if name not in figures),
            len(sizes))


# Elements with text of their own, two of each that look alike: of one colour,
# size and weight, on the same backgrounds. axe-core takes a millisecond for
# the contrast of each element, and a chapter has some ten thousand.
LOOKS = """() => {
  const backs = new Map(), looks = new Map();
  const back = (element) => {
    if (!element) return "";
    if (!backs.has(element)) {
      const style = getComputedStyle(element);
      const own = [style.backgroundColor, style.backgroundImage,
        style.opacity, style.position, style.filter].join();
      const plain = "rgba(0, 0, 0, 0),none,1,static,none";
      backs.set(element, (own == plain ? "" : own + "|")
        + back(element.parentElement));
    }
    return backs.get(element);
  };
  for (const element of document.body.querySelectorAll("*")) {
    if (![...element.childNodes].some(
            (node) => node.nodeType == Node.TEXT_NODE && node.data.trim())
        || !element.checkVisibility({visibilityProperty: true})) continue;
    const style = getComputedStyle(element);
    const look = [style.color, style.fontSize, style.fontWeight,
      style.textShadow, back(element)].join(";");
    looks.set(look, [...looks.get(look) ?? [], element].slice(0, 2));
  }
  return [...looks.values()].flat();
}"""


def axe():
    """Return a script that makes violations(options), a promise, of axe-core.

    It lays out every section first: axe measures what lies on what, and a
    section that is not laid out has no places yet. Then it waits for what
    the page's own scripts do when one is laid out. Of elements that look
    alike it asks the contrast of two. It fetches nothing: of the two rules
    that would, one is on trial, and off, and the other is about sound.
    """
    import axe_playwright_python
    script = pathlib.Path(axe_playwright_python.__file__).with_name(
        "axe.min.js").read_text(encoding="utf8")
    return script + """;
    document.head.append(Object.assign(document.createElement("style"), {
      textContent: "section {content-visibility: visible !important}"}));
    window.violations = async (options = {}) => {
      await new Promise((done) => requestAnimationFrame(
        () => setTimeout(done, 50)));
      const contrast = "color-contrast", only = options.runOnly;
      const rest = only?.filter((rule) => rule != contrast);
      const found = rest?.length == 0 ? [] : (await axe.run({
        ...options, ...(only && {runOnly: rest}), preload: false,
        rules: {[contrast]: {enabled: false}}})).violations;
      if (only && rest.length == only.length) return found;
      return [...found, ...(await axe.run(
        (""" + LOOKS + """)(),
        {...options, runOnly: [contrast], preload: false})).violations];
    };
    0;"""  # were the last value a function, Playwright would call it


def violations(running, address):
    """Return what axe-core finds, {rule: nodes}, in both widths and modes."""
    found = {}
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            page = running.new_page(
                viewport={"width": width, "height": 800}, color_scheme=scheme,
                reduced_motion="reduce")  # colours change at once
            page.goto(address, wait_until="load")
            page.add_script_tag(content=axe())
            for one in page.evaluate("violations()"):
                nodes = found.setdefault(f"{one['id']} ({one['impact']})", {})
                for node in one["nodes"]:
                    nodes[str(node["target"])] = f"{width} {scheme}"
            page.close()
    return found


def lighthouse(address, modules):
    """Return Lighthouse's four scores on its phone: speed to findability."""
    run = subprocess.run(
        ["node", str(modules / "lighthouse" / "cli" / "index.js"), address,
         "--quiet", "--output=json", "--output-path=stdout",
         f"--chrome-flags=--headless=new {' '.join(FLAGS)}"],
        env={**os.environ, "CHROME_PATH": chromium()}, check=True,
        capture_output=True, text=True)
    scores = json.loads(run.stdout)["categories"]
    return [scores[name]["score"] for name in (
        "performance", "accessibility", "best-practices", "seo")]


def measure(names):
    """Print a row for each page of our site and of the stock theme's."""
    modules = tools()
    build(PLACE / "ours")
    sites = {"ours": PLACE / "ours" / "_build" / "html",
             "stock": stock(modules)}
    print("KB and requests on a phone before scrolling, served with gzip;\n"
          "Lighthouse: performance, accessibility, best practices, SEO")
    print("site   page                          KB  less figures  requests"
          "  perf  acc  best  seo  axe")
    for site, folder in sites.items():
        with served(folder) as home, browser() as running:
            for path in sorted(folder.rglob("*.html")):
                name = path.relative_to(folder).as_posix()
                # The front door only leads on to the cover.
                if ("_static" in name or name == "index.html"
                        or names and path.stem not in names):
                    continue
                total, lean, requests = loaded(running, home + name)
                scores = lighthouse(home + name, modules)
                rules = violations(running, home + name)
                print(f"{site:6} {name[:28]:28} {total / 1000:5.0f}"
                      f" {lean / 1000:10.0f} {requests:10}      "
                      + "  ".join(f"{score:.2f}" for score in scores)
                      + f"  {sum(map(len, rules.values()))}"
                      + "".join(f" {rule}" for rule in rules), flush=True)


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case ["pdf", *rest]:
                print(pdf(rest[0] if rest else f"{slug()}.pdf"))
            case ["measure", *rest]:
                measure(rest)
            case ["cite", *rest]:
                print(citation(*rest), end="")
            case ["engines", *rest]:
                engines(rest)
            case _:
                sys.exit(__doc__)
    except ValueError as error:
        sys.exit(str(error))
