"""The page as its readers use it, in headless Chromium; skipped where there is none."""

import base64
import io
import json
import re
import shutil
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.inference.report.index import IndexRow, index_figures, index_page
from core.inference.report.page import page
from core.psg.scoring import read_scoring
from tests.core.inference.report_night import EVENTS, HOSTILE, NAMES, PLAN, planted_contents, written

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,  # a browser beside a busy machine may answer late: `pytest -m slow -k browser`
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its driver"),
]
PATIENCE = 60.0  # seconds


class Browser:
    """A window with real pointer and keys."""

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.folder = folder
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.look(1440)

    def cdp(self, command: str, **values):
        return self.driver.execute_cdp_cmd(command, values)

    def js(self, code: str):
        return self.driver.execute_script(f"return {code}")

    def look(self, width: int, dark: bool = False) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[theme])

    def open(self, path: Path) -> None:
        self.driver.get(path.as_uri())
        self.until("document.documentElement.dataset.ready === 'signals'")

    def until(self, condition: str) -> None:
        end = time.monotonic() + PATIENCE
        while not self.js(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.cdp("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click_on(self, selector: str) -> None:
        self.js(f"document.querySelector('{selector}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.js(f"document.querySelector('{selector}').getClientRects()[0].toJSON()")
        self.click(box["x"] + min(box["width"] / 2, 20), box["y"] + min(box["height"] / 2, 8))

    def press(self, key: str, code: str = "", shift: bool = False) -> None:
        values = {"key": key, "code": code or f"Key{key.upper()}", "modifiers": 8 if shift else 0}
        self.cdp("Input.dispatchKeyEvent", type="keyDown", **values)
        self.cdp("Input.dispatchKeyEvent", type="keyUp", **values)

    def text(self, selector: str) -> str:
        return self.js(f"document.querySelector('{selector}').innerText")

    @property
    def epoch(self) -> int:
        return int(self.js("document.getElementById('bench').dataset.epoch"))

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
    end = time.monotonic() + PATIENCE
    while not (found := list(browser.folder.glob("*.scoring.json"))):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found[0]


def test_a_click_on_the_hypnogram_shows_that_epoch(opened):
    opened.js("document.querySelector('#night').scrollIntoView({block: 'start', behavior: 'instant'})")
    box = opened.js("document.querySelector('svg.plot[data-track=stages]').getBoundingClientRect().toJSON()")
    opened.click(box["x"] + box["width"] * 24.5 / 40, box["y"] + 60)
    assert opened.epoch == 24
    assert opened.text("#epoch-title") == "Epoch 24, 22:42:00"
    assert "Deep Sleep (N3)" in opened.text("#panel-captions")
    assert "87%" in opened.text("#panel-captions")
    pixels = opened.js(
        "(() => { const c = document.getElementById('signals'); const d = c.getContext('2d')"
        ".getImageData(80, 0, c.width - 80, c.height).data; let n = 0;"
        "for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n / (d.length / 4); })()"
    )
    assert pixels > 0.05  # something is drawn


def test_the_search_narrows_with_every_word(opened):
    opened.click_on("#tab-search")
    opened.click_on("#search")
    opened.cdp("Input.insertText", text="deep")
    deep = opened.js("[...document.querySelectorAll('#found li')].map((row) => Number(row.dataset.epoch))")
    assert deep == [k for k, letter in enumerate(PLAN) if letter == "3"]
    opened.cdp("Input.insertText", text=" desaturation from")
    narrowed = opened.js("[...document.querySelectorAll('#found li')].map((row) => Number(row.dataset.epoch))")
    assert narrowed == [24]
    assert opened.text("#search-count") == "1 of 40 epochs"
    opened.press("Enter", "Enter")
    assert opened.epoch == 24
    assert opened.js("document.querySelectorAll('#hits rect').length") == 1


def test_keys_correct_stages_and_the_saved_scoring_is_read_back(opened):
    opened.press("v")
    assert opened.epoch == 21  # the least sure of all
    opened.press("2", "Digit2")
    assert opened.epoch == 7  # then the stretch with the next least sure epoch, in order of time
    opened.press("w", shift=True)  # and the rest of it
    assert opened.epoch == 33
    opened.press("Enter", "Enter")  # this one was right
    assert "0 left" in opened.text("#review-count")
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
    opened.click_on("#go")
    opened.cdp("Input.insertText", text="13")
    opened.press("Enter", "Enter")
    opened.js("document.activeElement.blur()")
    for _ in range(100):  # the page answers when it has had its turn
        if opened.epoch == 13:
            break
        time.sleep(0.05)
    assert opened.epoch == 13
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


def test_corrections_are_there_again_after_a_reload_and_can_be_discarded(opened, report):
    opened.press("v")
    opened.press("2", "Digit2")
    opened.open(report)
    assert "earlier visit" in opened.text("#screen-note")
    opened.press("v")
    assert "1 changed" in opened.text("#review-count")
    opened.click_on("#discard")
    assert "0 changed" in opened.text("#review-count")
    assert opened.js("localStorage.length") == 0


def test_a_sentence_leads_to_its_evidence(opened):
    number = opened.js("[...document.querySelectorAll('a.told')].findIndex((link) => /below 90/.test(link.innerText))")
    assert number >= 0
    opened.click_on(f'a[data-evidence="{number}"]')
    assert opened.epoch == 24
    assert "below 90%" in opened.text("#moments")
    assert opened.js("document.querySelectorAll('#hits rect').length") >= 1


def test_all_tracks_zoom_together(opened):
    opened.click_on("[data-zoom=in]")
    boxes = opened.js("[...document.querySelectorAll('#tracks svg.plot')].map((plot) => plot.getAttribute('viewBox'))")
    spans = {tuple(box.split()[::2]) for box in boxes}
    assert len(spans) == 1
    assert float(next(iter(spans))[1]) == 600.0
    assert len(boxes) >= 7
    opened.click_on("[data-zoom=all]")
    assert opened.js("document.querySelector('svg.plot[data-track=stages]').getAttribute('viewBox')") == "0 0 1200 120"


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
    assert browser.js(names) == ["a", "b", "c", "d"]
    browser.click_on(f"thead th:nth-child({heading + 1}) button")
    assert browser.js(names) == ["d", "a", "b", "c"]
    browser.click_on(f"thead th:nth-child({heading + 1}) button")
    assert browser.js(names) == ["b", "a", "d", "c"]
    assert browser.js("document.querySelector('[aria-sort=ascending]').innerText").startswith("AHI")
    assert (
        browser.js("document.querySelector('tbody tr:nth-child(3) a').getAttribute('href')") == "d%20%231.report.html"
    )
    assert HOSTILE in browser.text("tbody")
    assert browser.errors() == []
