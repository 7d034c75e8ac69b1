"""The page as its readers use it, in headless Chromium; skipped where there is none."""

import base64
import contextlib
import io
import json
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.inference.report.index import IndexRow, index_figures, index_page
from core.inference.report.page import page
from core.psg.scoring import read_scoring
from tests.core.inference.report_night import EVENTS, HOSTILE, NAMES, PLAN, planted_contents, written

webdriver = pytest.importorskip("selenium.webdriver")
TimeoutException = pytest.importorskip("selenium.common.exceptions").TimeoutException
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its driver")
PATIENCE = 120.0  # seconds that a browser on a busy machine may take to answer


class Browser:
    """A window with real pointer and keys."""

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.02)
        self.folder = folder
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.look(1440)

    def cdp(self, command: str, **values):
        return self.driver.execute_cdp_cmd(command, values)

    def js(self, code: str):
        return self.driver.execute_script(f"return {code}")

    def look(self, width: int, dark: bool = False) -> None:
        """A window of that width, in these colours, and without motion: what is clicked stands still."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        wishes = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": k, "value": v} for k, v in wishes.items()])

    def open(self, path: Path) -> None:
        self.driver.get(path.as_uri())
        self.until("document.documentElement.dataset.ready === 'signals'")

    def until(self, condition: str) -> None:
        self.waiting.until(lambda _: self.js(condition), condition)

    def comes(self, read: Callable[[], Any], wanted: Any) -> None:
        """What is read becomes what is wanted; otherwise the failure shows what it was at last."""
        with contextlib.suppress(TimeoutException):
            self.waiting.until(lambda _: read() == wanted)
        assert read() == wanted

    def shows(self, selector: str, words: str) -> None:
        """These words come to stand there."""
        self.comes(lambda: words if words in self.text(selector) else self.text(selector), words)

    def at(self, epoch: int) -> None:
        """That epoch comes to be shown."""
        self.comes(lambda: int(self.js("document.getElementById('bench').dataset.epoch")), epoch)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.cdp("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click_on(self, selector: str) -> None:
        self.js(f"document.querySelector('{selector}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.js(f"document.querySelector('{selector}').getClientRects()[0].toJSON()")
        self.click(box["x"] + min(box["width"] / 2, 20), box["y"] + min(box["height"] / 2, 8))

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Fingers on the glass: `Start`, `Move` or `End`."""
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.cdp("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=fingers)

    def press(self, key: str, code: str = "", shift: bool = False) -> None:
        values = {"key": key, "code": code or f"Key{key.upper()}", "modifiers": 8 if shift else 0}
        if key == "Enter":
            values |= {"text": "\r", "windowsVirtualKeyCode": 13}  # as a keyboard: the field takes what was typed
        self.cdp("Input.dispatchKeyEvent", type="keyDown", **values)
        self.cdp("Input.dispatchKeyEvent", type="keyUp", **values)

    def text(self, selector: str) -> str:
        return self.js(f"document.querySelector('{selector}').innerText")

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if "favicon" not in entry["message"]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("downloads"))
    yield opened
    opened.driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(page(planted_contents()), tmp_path_factory.mktemp("pages") / "night.report.html")


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Browser]:
    browser.open(report)
    browser.js("localStorage.clear()")
    browser.open(report)
    yield browser
    assert browser.errors() == []


def saved(browser: Browser) -> Path:
    """Save by the key and wait for the file."""
    for old in browser.folder.iterdir():
        old.unlink()
    browser.press("s")
    browser.waiting.until(lambda _: list(browser.folder.glob("*.scoring.json")), "saved")
    return next(browser.folder.glob("*.scoring.json"))


def test_a_click_on_the_hypnogram_shows_that_epoch(opened):
    opened.js("document.querySelector('#night').scrollIntoView({block: 'start', behavior: 'instant'})")
    box = opened.js("document.querySelector('svg.plot[data-track=stages]').getBoundingClientRect().toJSON()")
    opened.click(box["x"] + box["width"] * 24.5 / 40, box["y"] + 60)
    opened.at(24)
    opened.shows("#epoch-title", "Epoch 24, 22:42:00")
    opened.shows("#panel-captions", "Deep Sleep (N3)")
    opened.shows("#panel-captions", "87%")
    opened.until(  # something is drawn
        "(() => { const c = document.getElementById('signals'); const d = c.getContext('2d')"
        ".getImageData(80, 0, c.width - 80, c.height).data; let n = 0;"
        "for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n / (d.length / 4); })() > 0.05"
    )


def test_the_search_narrows_with_every_word(opened):
    opened.click_on("#tab-search")
    opened.click_on("#search")
    opened.cdp("Input.insertText", text="deep")
    found = "[...document.querySelectorAll('#found li')].map((row) => Number(row.dataset.epoch))"
    opened.comes(lambda: opened.js(found), [k for k, letter in enumerate(PLAN) if letter == "3"])
    opened.cdp("Input.insertText", text=" desaturation from")
    opened.comes(lambda: opened.js(found), [24])
    opened.shows("#search-count", "1 of 40 epochs")
    opened.press("Enter", "Enter")
    opened.at(24)
    opened.until("document.querySelectorAll('#hits rect').length === 1")


def test_keys_correct_stages_and_the_saved_scoring_is_read_back(opened):
    opened.press("v")
    opened.at(21)  # the least sure of all
    opened.press("2", "Digit2")
    opened.at(7)  # then the stretch with the next least sure epoch, in order of time
    opened.press("w", shift=True)  # and the rest of it
    opened.at(33)
    opened.press("Enter", "Enter")  # this one was right
    opened.shows("#review-count", "0 left")
    opened.press("ArrowLeft", "ArrowLeft")
    opened.press("r")
    opened.press("u")
    letters = [*PLAN]
    letters[21], letters[7], letters[8] = "2", "W", "W"
    path = saved(opened)
    scoring = read_scoring(path, None, 40)
    assert scoring.stages == tuple(NAMES[letter] for letter in letters)
    assert [(e.type, e.onset, e.duration) for e in scoring.events] == [(e.type, e.onset, e.duration) for e in EVENTS]
    document = json.loads(path.read_text())
    assert set(document) == {"epoch_seconds", "stages", "events", "lights_off", "lights_on"}
    assert all(set(event) == {"type", "onset", "duration"} for event in document["events"])  # not who changed what


def test_keys_correct_events(opened):
    opened.press("v")
    go_to(opened, 13)
    opened.press("e")
    opened.press("t")  # hypopnea becomes the next type, a RERA
    opened.press("]", "BracketRight")
    opened.click_on("#next")
    opened.js("document.activeElement.blur()")
    for _ in range(9):
        opened.press("ArrowRight", "ArrowRight")
    opened.press("e")
    opened.press("x")  # the obstructive apnea at 700 s
    opened.press("n")
    kept = read_scoring(saved(opened), None, 40).events
    assert [(e.type, e.onset, e.duration) for e in kept] == [
        ("rera", 400.5, 24.5),
        ("arousal", 23 * 30 + 13.5, 3.0),
        ("desaturation", 720.0, 30.0),
        ("arousal", 905.0, 5.0),
    ]


def test_one_key_goes_from_event_to_event_and_past_a_removed_one(opened):
    opened.press("v")
    for epoch, words in ((13, "Hypopnea"), (23, "Obstructive apnea")):
        opened.press("ArrowRight", "ArrowRight")  # from wherever the review stands, time goes on
        go_to(opened, epoch)
        opened.press("e")
        opened.shows("#live", words)
    opened.press("x")
    opened.press("e")
    opened.shows("#live", "Oxygen desaturation")
    opened.at(24)
    opened.press("e")
    opened.shows("#live", "EEG arousal")
    opened.at(30)
    opened.press("E", shift=True)
    opened.press("E", shift=True)
    opened.shows("#live", "Hypopnea")
    opened.at(13)


def test_an_event_is_corrected_without_a_keyboard(opened):
    opened.click_on("#tab-captions")
    go_to(opened, 13)
    opened.click_on("#panel-captions ol button")
    opened.until("!document.getElementById('event-tools').hidden")
    opened.js(
        "(() => { const list = document.getElementById('event-type'); list.value = 'central_apnea';"
        "list.dispatchEvent(new Event('change')); })()"
    )
    opened.click_on('[data-move="0 0.5"]')
    opened.shows("#panel-captions", "Central apnea 26 s")
    opened.click_on("#event-remove")
    opened.until("document.getElementById('event-tools').hidden")
    opened.shows("#panel-captions", "Events were corrected")
    opened.until("document.querySelector('#panel-captions ol') === null")


def go_to(opened: Browser, epoch: int) -> None:
    """By the field that takes a number or a time; `G` leads there."""
    opened.press("g")
    opened.until("document.activeElement.id === 'go'")
    opened.cdp("Input.insertText", text=str(epoch))
    opened.press("Enter", "Enter")
    opened.at(epoch)


def test_corrections_are_there_again_after_a_reload_and_can_be_discarded(opened, report):
    opened.press("v")
    opened.press("2", "Digit2")
    opened.open(report)
    opened.shows("#screen-note", "earlier visit")
    opened.press("v")
    opened.shows("#review-count", "1 changed")
    opened.click_on("#discard")
    opened.shows("#review-count", "0 changed")
    opened.until("localStorage.length === 0")


def test_a_sentence_leads_to_its_evidence(opened):
    number = opened.js("[...document.querySelectorAll('a.told')].findIndex((link) => /below 90/.test(link.innerText))")
    assert number >= 0
    opened.click_on(f'a[data-evidence="{number}"]')
    opened.at(24)
    opened.shows("#moments", "below 90%")
    opened.until("document.querySelectorAll('#hits rect').length >= 1")


def test_all_tracks_zoom_together(opened):
    opened.click_on("[data-zoom=in]")
    opened.comes(lambda: shown(opened)[1], 600.0)
    opened.click_on("[data-zoom=all]")
    opened.comes(lambda: shown(opened), [0.0, 1200.0])


def shown(opened: Browser) -> list[float]:
    """First second and length of what the tracks show, all of them the same."""
    boxes = opened.js("[...document.querySelectorAll('#tracks svg.plot')].map((plot) => plot.getAttribute('viewBox'))")
    spans = {tuple(box.split()[::2]) for box in boxes}
    assert len(boxes) >= 7
    assert len(spans) == 1
    return [float(value) for value in next(iter(spans))]


def test_fingers_zoom_and_pan_the_night_and_turn_the_epochs(opened):
    opened.js("document.querySelector('#night').scrollIntoView({block: 'start', behavior: 'instant'})")
    box = opened.js("document.getElementById('axis').getBoundingClientRect().toJSON()")
    y = box["y"] - 200
    x = [box["x"] + box["width"] * share for share in (0.25, 0.375, 0.5, 0.625, 0.75)]  # from 300 s to 900 s
    opened.touch("Start", (x[1], y), (x[3], y))
    opened.touch("Move", (x[0], y), (x[4], y))
    opened.touch("End")
    opened.comes(lambda: [round(value) for value in shown(opened)], [300, 600])  # what was under the fingers still is
    opened.touch("Start", (x[4], y))
    for share in (0.7, 0.6, 0.5):
        opened.touch("Move", (box["x"] + box["width"] * share, y))
    opened.touch("End")
    opened.comes(lambda: [round(value) for value in shown(opened)], [450, 600])
    opened.press("PageDown", "PageDown")
    opened.at(16)
    opened.js("document.querySelector('#signals').scrollIntoView({block: 'center', behavior: 'instant'})")
    screen = opened.js("document.querySelector('#signals').getBoundingClientRect().toJSON()")
    middle = screen["y"] + 100
    opened.touch("Start", (screen["x"] + 400, middle))
    opened.touch("Move", (screen["x"] + 300, middle))
    opened.touch("Move", (screen["x"] + 200, middle))
    opened.touch("End")
    opened.at(17)


@pytest.mark.parametrize(("width", "dark"), [(1440, True), (390, False)])
def test_it_fits_and_follows_the_readers_colours(opened, width, dark):
    opened.look(width, dark)
    assert opened.js("document.documentElement.scrollWidth") <= width
    ground = opened.js("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == ("rgb(18, 22, 27)" if dark else "rgb(251, 250, 247)")
    small = opened.js(
        "[...document.querySelectorAll('button')].filter((b) => b.offsetParent && b.offsetHeight < 24).map((b) => b.id)"
    )
    assert small == []  # WCAG 2.2, 2.5.8
    unnamed = opened.js(
        "[...document.querySelectorAll('button, input, [role=img]')].filter((node) => !(node.innerText || "
        "node.getAttribute('aria-label') || node.labels?.length)).map((node) => node.outerHTML)"
    )
    assert unnamed == []
    opened.look(1440)


def test_no_row_is_cut_where_it_is_printed(opened):
    pypdf = pytest.importorskip("pypdf")
    rows = opened.js(
        "[...document.querySelectorAll('section:not(.bench) tr')].map((row) => [...row.cells].map((c) => c.innerText))"
    )
    printed = opened.cdp("Page.printToPDF", preferCSSPageSize=True)
    sheets = pypdf.PdfReader(io.BytesIO(base64.b64decode(printed["data"]))).pages
    texts = [re.sub(r"\s", "", unicodedata.normalize("NFKC", sheet.extract_text())) for sheet in sheets]
    assert len(texts) in (2, 3, 4)
    assert all("Notfordiagnosis" in text for text in texts)
    for row in rows:
        first, *rest = [re.sub(r"\s", "", unicodedata.normalize("NFKC", cell)) for cell in row]
        pages = [text for text in texts if first.lower() in text.lower() and all(cell in text for cell in rest)]
        assert pages, row
    assert not [text for text in texts if "Savescoring" in text]


def test_a_hostile_name_is_shown_as_text(browser, tmp_path):
    browser.open(written(page(planted_contents(HOSTILE)), tmp_path / "hostile.html"))
    assert browser.text("h1") == HOSTILE
    assert HOSTILE in browser.text("#channels")
    assert browser.js("document.querySelectorAll('body script:not([type])').length") == 1
    assert browser.errors() == []


def test_the_index_sorts_by_any_figure(browser, tmp_path):
    figures = index_figures(planted_contents())
    rows = [
        IndexRow("a", "a.report.html", {**figures, "ahi": 12.0}),
        IndexRow("b", "b.report.html", {**figures, "ahi": 3.0}),
        IndexRow("c", "", {}, f"{HOSTILE} cannot be read."),
        IndexRow("d", "d #1.report.html", {**figures, "ahi": 31.5}),
    ]
    browser.driver.get(written(index_page(rows), tmp_path / "index.html").as_uri())
    names = "[...document.querySelectorAll('tbody th')].map((cell) => cell.innerText)"
    heading = browser.js("[...document.querySelectorAll('thead th')].findIndex((cell) => /AHI/.test(cell.innerText))")
    browser.comes(lambda: browser.js(names), ["a", "b", "c", "d"])
    browser.click_on(f"thead th:nth-child({heading + 1}) button")
    browser.comes(lambda: browser.js(names), ["d", "a", "b", "c"])
    browser.click_on(f"thead th:nth-child({heading + 1}) button")
    browser.comes(lambda: browser.js(names), ["b", "a", "d", "c"])
    assert browser.js("document.querySelector('[aria-sort=ascending]').innerText").startswith("AHI")
    assert (
        browser.js("document.querySelector('tbody tr:nth-child(3) a').getAttribute('href')") == "d%20%231.report.html"
    )
    assert HOSTILE in browser.text("tbody")
    assert browser.errors() == []
