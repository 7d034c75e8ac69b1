"""How many keys a review takes, by someone who knows the truth and corrects a report's doubtful epochs in Chromium.

    sleepcli simulate --out nights --seed 22
    sleepcli report nights/night00022.edf --no-scoring --out night.html
    python tests/benchmarks/review_by_keyboard.py night.html nights/night00022.stages.csv

Prints keys, corrections and Cohen's kappa before and after, and a time. The time is an estimate by the keystroke-level
model (Card, Moran and Newell, Communications of the ACM 23:396, 1980): 0.28 s a key of an average typist, 1.35 s a
decision. Reading the signals is not in that model: `--reading` adds so many seconds an epoch looked at. No person was
timed.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path

from core.inference.report.agreement import agreement_of
from core.psg.scoring import read_scoring
from tests.core.inference.test_report_browser import Browser, saved

KEY, DECISION = 0.28, 1.35  # seconds
KEYS = {"W": ("w", ""), "N1": ("1", "Digit1"), "N2": ("2", "Digit2"), "N3": ("3", "Digit3"), "R": ("r", "")}
QUEUE = "[...document.querySelectorAll('#queue li')].map((row) => [Number(row.dataset.epoch), row.className])"
EPOCH = "Number(document.getElementById('bench').dataset.epoch)"


def rest_of_stretch(queue: list[tuple[int, str]], epoch: int) -> list[int]:
    """Epochs from this one to the end of its stretch that are still open."""
    doubtful = {number for number, _ in queue}
    done = {number for number, state in queue if "done" in state}
    found = []
    while epoch in doubtful:
        found += [] if epoch in done else [epoch]
        epoch += 1
    return found


def review(browser: Browser, truth: list[str]) -> dict[str, int]:
    """Decide every doubtful epoch as the truth has it; count keys."""
    browser.press("v")
    keys, decisions = 1, 0
    while open_epochs := [number for number, state in browser.js(QUEUE) if "done" not in state]:
        epoch = browser.js(EPOCH)
        assert epoch in open_epochs
        rest = rest_of_stretch(browser.js(QUEUE), epoch)
        whole = len(rest) > 1 and len({truth[k] for k in rest}) == 1
        browser.press(*KEYS[truth[epoch]], shift=whole)
        browser.until(f"document.querySelector('#queue li[data-epoch=\"{epoch}\"]').classList.contains('done')")
        keys += 2 if whole else 1
        decisions += 1
    return {"keys": keys + 1, "decisions": decisions}  # the last saves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("stages", type=Path)
    parser.add_argument("--reading", type=float, default=0.0, help="seconds that a person reads an epoch")
    options = parser.parse_args()
    with options.stages.open(newline="") as file:
        truth = [row["stage"] for row in csv.DictReader(file)]
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder))
        browser.open(options.report.resolve())
        browser.press("v")
        before = read_scoring(saved(browser), None, len(truth)).stages
        counted = review(browser, truth)
        after = read_scoring(saved(browser), None, len(truth)).stages
        browser.driver.quit()
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    estimate = KEY * counted["keys"] + (DECISION + options.reading) * counted["decisions"]
    figures = counted | {
        "epochs": len(truth),
        "corrected": changed,
        "keys_per_correction": round(counted["keys"] / max(changed, 1), 2),
        "kappa_before": round(agreement_of(truth, before).figures.kappa, 3),
        "kappa_after": round(agreement_of(truth, after).figures.kappa, 3),
        "estimated_minutes": round(estimate / 60, 1),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
