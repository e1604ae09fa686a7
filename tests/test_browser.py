"""The built site in a browser: it works, offline, for every reader.

Every other host is blocked. Where no Chromium is found the tests are skipped,
and in CI that is a failure.
"""

import contextlib
import re

import pages
import pikepdf
import pytest

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}

# What a visit asks a page about itself, once it stands.
FACTS = """async () => {
    const all = selector => [...document.querySelectorAll(selector)];
    const images = all("img");
    images.forEach(image => image.loading = "eager");
    const broken = [];
    for (const image of images)
        await image.decode().catch(() => broken.push(image.src));
    const gaps = all("math:not([display])").filter(
        math => math.lastElementChild).map(
        math => math.getBoundingClientRect().right
            - math.lastElementChild.getBoundingClientRect().right);
    await document.fonts.ready;
    return {
        formulas: all("math").length,
        empty: all("math").filter(math => !math.closest("details:not([open])")
            && (math.getBoundingClientRect().height < 4
                || !math.childElementCount)).length,
        errors: all("merror").length,
        source: /\\\\frac|\\\\sum|\\\\tag|\\$\\$/.test(
            all("article p, .formula").map(one => one.innerText).join(" ")),
        gap: Math.max(0, ...gaps),
        fonts: [...document.fonts].filter(font => font.status == "loaded")
            .map(font => font.family.replaceAll('"', "")),
        broken,
    };
}"""


@pytest.fixture(scope="module")
def home(private):
    with pages.served(private) as address:
        yield address


@pytest.fixture(scope="module")
def names(private):
    """Every page but the front door, which leads on to the cover."""
    return sorted(
        path.relative_to(private).as_posix()
        for path in private.rglob("*.html")
        if "_static" not in path.parts and path != private / "index.html")


@contextlib.contextmanager
def opened(running, home, **options):
    """A page that may ask only the site; notes what goes wrong on it."""
    context = running.new_context(**{"viewport": WIDE, **options})
    page = context.new_page()
    page.outside, page.wrong = [], []

    def answer(route):
        if route.request.url.startswith((home, "data:")):
            route.continue_()
        else:
            page.outside.append(route.request.url)
            route.abort()

    page.route("**/*", answer)
    page.on("console", lambda message: message.type in ("error", "warning")
            and page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    try:
        yield page
    finally:
        context.close()


@pytest.fixture(scope="module")
def visits(running, home, names):
    """Visit every page once: what it says of itself, {name: facts}."""
    found = {}
    for name in names:
        # Colours change at once, so that axe sees those that stay.
        with opened(running, home, reduced_motion="reduce") as page:
            page.goto(home + name, wait_until="load")
            facts = page.evaluate(FACTS)
            facts["axe"] = axe(page)
            page.emulate_media(color_scheme="dark")
            facts["axe dark"] = axe(page, "color-contrast")
            page.set_viewport_size(PHONE)
            facts["axe phone"] = axe(
                page, "scrollable-region-focusable", "target-size")
            facts["sideways"] = page.evaluate(
                "document.documentElement.scrollWidth - innerWidth")
            facts["wrong"], facts["outside"] = page.wrong, page.outside
            found[name] = facts
    return found


def axe(page, *rules):
    """Return the rules that a page breaks, with the first place of each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(pages.axe())
    found = page.evaluate(
        "options => violations(options)",
        {"resultTypes": ["violations"],
         **({"runOnly": list(rules)} if rules else {})})
    return {
        one["id"]: one["nodes"][0]["html"][:200]
        for one in found}


def fact(visits, name):
    return {page: facts[name] for page, facts in visits.items() if facts[name]}


def test_no_page_has_an_error_on_its_console(visits):
    assert not fact(visits, "wrong")


def test_no_page_asks_another_host(visits):
    assert not fact(visits, "outside")


def test_every_formula_is_drawn_and_none_is_left_as_tex(visits):
    assert sum(facts["formulas"] for facts in visits.values()) > 300
    for problem in ("empty", "errors", "source"):
        assert not fact(visits, problem), problem


def test_mathematics_and_icons_have_their_letters(visits):
    for name, facts in visits.items():
        assert "Font Awesome 6 Free" in facts["fonts"], name
        assert not facts["formulas"] or (
            "Book Mathematics" in facts["fonts"]), name


def test_no_formula_leaves_a_gap_in_its_line(visits):
    assert all(facts["gap"] < 2 for facts in visits.values()), (
        fact(visits, "gap"))


def test_every_image_decodes(visits):
    assert not fact(visits, "broken")


def test_no_page_scrolls_sideways_on_a_phone(visits):
    assert not fact(visits, "sideways")


@pytest.mark.parametrize("mode", ["axe", "axe dark", "axe phone"])
def test_axe_finds_nothing(visits, mode):
    assert not fact(visits, mode)


@pytest.mark.parametrize("fault", [
    '<p style="color: #bbb">pale</p>',
    '<div style="background: #666"><p>on grey</p></div>',
    '<div style="opacity: 0.3"><p>faded</p></div>', ""])
def test_low_contrast_is_found_among_many_that_look_alike(running, fault):
    with contextlib.closing(running.new_page()) as page:
        page.set_content(
            "<html lang=en><title>x</title><main><h1>y</h1>"
            + "<p>words</p>" * 9 + fault + "</main>")
        assert [*axe(page, "color-contrast")] == (
            ["color-contrast"] if fault else [])


def test_a_chapter_is_light_enough_for_a_phone(running, home, names):
    for name in names:
        _, lean, requests = pages.loaded(running, home + name)
        if name.startswith("book/"):
            assert lean < 400_000 and requests <= 25, (name, lean, requests)


def test_search_finds_a_term_of_the_book(running, home):
    with opened(running, home) as page:
        page.goto(home + "search.html?q=depthwise")
        page.wait_for_selector("#search-results li a")
        found = page.eval_on_selector_all(
            "#search-results li a", "links => links.map(one => one.href)")
        assert any("03-separable-convolution.html" in one for one in found)
        assert not page.wrong


def test_the_search_button_asks_and_the_search_page_answers(running, home):
    with opened(running, home) as page:
        page.goto(home + "book/index.html")
        page.locator(".search-button-field").click()
        page.keyboard.type("quantum chromodynamics")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=*")
        page.wait_for_function(
            "document.querySelector('#search-results').innerText.length > 20")
        assert not page.locator("#search-results li").count()


def test_the_theme_switches_and_stays_switched(running, home):
    with opened(running, home, color_scheme="light") as page:
        page.goto(home + "book/notation.html")

        def look():
            return page.evaluate(
                "getComputedStyle(document.body).backgroundColor")

        light = look()
        for _ in range(3):
            page.locator(".theme-switch-button").first.click()
            if page.evaluate("document.documentElement.dataset.mode") == (
                    "dark"):
                break
        dark = look()
        assert dark != light
        page.goto(home + "book/references.html")
        assert look() == dark


def test_the_keyboard_reaches_every_control_and_shows_where_it_is(
        running, home):
    with opened(running, home) as page:
        page.goto(home + "book/notation.html")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == (
            "Skip to main content")
        page.wait_for_function(
            "document.activeElement.getBoundingClientRect().top >= 0")
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#main-content"
        page.goto(home + "book/notation.html")
        controls = page.evaluate("""() =>
            [...document.querySelectorAll("a[href], button, summary")]
            .filter(one => one.checkVisibility({visibilityProperty: true}))
            .map((one, place) => one.dataset.place = place).length""")
        seen, plain = set(), []
        for _ in range(controls + 10):
            page.keyboard.press("Tab")
            place, style, text = page.evaluate("""() => {
                const one = document.activeElement;
                const style = getComputedStyle(one);
                return [one.dataset.place, style.outlineStyle != "none"
                    && parseFloat(style.outlineWidth) >= 2, one.outerHTML];
            }""")
            if place is not None:
                seen.add(int(place))
                if not style:
                    plain.append(text[:100])
        assert seen == set(range(controls))
        assert not plain


def test_the_launch_buttons_open_by_keyboard(running, published):
    with pages.served(published) as home, opened(running, home) as page:
        page.goto(home + "book/02-convolution.html")
        page.locator(".dropdown-launch-buttons button").focus()
        page.keyboard.press("Enter")
        assert page.get_by_role("link", name="Colab").is_visible()
        assert not axe(page)
        assert not page.wrong and not page.outside


def test_a_wide_formula_scrolls_in_its_box_by_keyboard(running, home):
    with opened(running, home, viewport=PHONE) as page:
        page.goto(home + "book/02-convolution.html")
        box = page.locator("[id='equation-2.11']")
        box.scroll_into_view_if_needed()  # as reading does
        assert box.evaluate("one => one.scrollWidth > one.clientWidth")
        page.wait_for_function(
            "document.getElementById('equation-2.11').tabIndex == 0")
        box.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "document.getElementById('equation-2.11').scrollLeft > 0")


def test_boxes_that_scroll_can_be_reached_and_no_others(running, home):
    with opened(running, home, viewport=PHONE) as page:
        page.goto(home + "book/11-deployment.html")
        assert not axe(page, "scrollable-region-focusable")
        boxes = page.evaluate("""() =>
            [...document.querySelectorAll("article pre, article .formula")]
            .filter(one => one.checkVisibility())
            .map(one => [one.scrollWidth > one.clientWidth, one.tabIndex])""")
        assert {(True, 0), (False, -1)} == {tuple(box) for box in boxes}
        assert len(boxes) > 50


def test_a_chapter_reads_whole_without_scripts(running, home):
    with opened(running, home, java_script_enabled=False) as page:
        page.goto(home + "book/02-convolution.html")
        for text in ("2. Convolution", "Check yourself", "Key points"):
            heading = page.get_by_role("heading", name=text)
            heading.scroll_into_view_if_needed()
            assert heading.is_visible()
        formulas = page.locator("math[display=block]")
        assert formulas.count() > 10
        assert formulas.first.bounding_box()["height"] > 10
        assert page.locator("article img").first.is_visible()
        answer = page.locator("article details").first
        answer.locator("summary").click()
        assert answer.locator(":scope > :not(summary)").first.is_visible()
        # Nothing is offered that could not work.
        assert not page.locator(".search-button-field").is_visible()


def test_those_who_ask_for_less_motion_get_none(running, home):
    with opened(running, home, reduced_motion="reduce") as page:
        page.goto(home + "book/notation.html")
        moving = page.evaluate("""() =>
            [...document.querySelectorAll("*")].filter(one => {
                const style = getComputedStyle(one);
                return parseFloat(style.transitionDuration) > 0
                    && style.transitionProperty != "none"
                    || style.animationName != "none"
                    || style.scrollBehavior == "smooth";
            }).length""")
        assert moving == 0


def blank(page):
    """Return which share of a page's height is its largest blank band."""
    height = edge = float(page.MediaBox[3])
    bands = []
    for bottom, top in sorted(pages.drawn(page), reverse=True):
        bands.append(edge - top)
        edge = min(edge, bottom)
    return max([*bands, edge]) / height


@pytest.mark.parametrize("name", ["03-separable-convolution", "08-training"])
def test_a_printed_chapter_wastes_no_page(running, home, tmp_path, name):
    paper = tmp_path / "chapter.pdf"
    with opened(running, home) as page:
        page.goto(f"{home}book/{name}.html")
        page.pdf(path=paper, format="A4")
    with pikepdf.open(paper) as chapter:
        blanks = [blank(one) for one in chapter.pages]
    assert len(blanks) > 20
    # A figure that goes overleaf leaves as much blank as it is high.
    assert max(blanks[:-1]) < 0.5, blanks
    # The text of a chapter is all there, not a frame around nothing.
    assert sum(one < 0.2 for one in blanks) > 0.75 * len(blanks), blanks


def test_a_reader_can_go_from_the_cover_to_the_end(running, home, names):
    with opened(running, home) as page:
        page.goto(home)
        page.wait_for_url("**/book/index.html")
        seen = []
        while page.locator("a.right-next").count():
            page.locator("a.right-next").click()
            page.wait_for_load_state()
            seen.append(re.sub(r".*/(book/.*\.html).*", r"\1", page.url))
        assert set(seen) | {"book/index.html"} == {
            name for name in names if name.startswith("book/")}
