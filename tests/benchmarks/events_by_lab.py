"""Apneas and hypopneas by rule over simulated labs: airflow, thorax and SpO2 in device units, no EEG.

    python tests/benchmarks/events_by_lab.py [--first 5000] [--count 30]

Seven-hour nights, in turn mild, moderate and severe; every lab records in its own way (``core/psg/simulate/lab.py``),
one night in four at 8 Hz. Events match one to one when they share three tenths of their union; those of wake are left
out. A lab is careful below 0.33 of ``Lab.trouble``. Only what breathes is simulated, which takes seconds a night.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, wherever it is called from
sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure_truth import matches, spans

from core.language.respiratory_events import respiratory_events
from core.language.settled import RESPIRATORY, measured_beside
from core.psg.preprocess import Trace
from core.psg.quality import assess
from core.psg.simulate import artefacts, cardiac, hypnogram, night, oxygen, sensors
from core.psg.simulate.lab import Lab, draw_lab
from core.psg.simulate.subject import draw_subject
from core.psg.simulate.truth import STAGES

EPOCHS = 840
SEVERITIES = (("mild", 5.0, 15.0), ("moderate", 15.0, 30.0), ("severe", 30.0, 80.0))
CAREFUL = 0.33


@dataclass(frozen=True)
class Row:
    """One night."""

    seed: int
    severity: str
    lab: Lab
    matched: int
    true: int
    found: int
    hours: float


def judge(seed: int) -> Row:
    """Simulate what breathes in one night, and hold the rule's events against the truth."""
    rngs = {name: np.random.default_rng([seed, k]) for k, name in enumerate(night._STREAMS)}
    severity, low, high = SEVERITIES[seed % 3]
    wishes = np.random.default_rng([seed, 7777]).uniform(size=3)  # one for each severity
    ahi = low + (high - low) * float(wishes[seed % 3])
    lab, subject = draw_lab(rngs["lab"]), replace(draw_subject(rngs["subject"]), ahi=ahi)
    stages = hypnogram.draw_stages(rngs["hypnogram"], subject, EPOCHS)
    body = night._live(rngs, subject, lab, stages)
    beats = cardiac.beat(rngs["heart"], subject, body.states, body.breaths, body.events)
    seconds = len(body.spo2)
    faults = sensors.plan_faults(rngs["sensors"], lab, seconds)
    bedside = sensors.Bedside(subject, lab, seconds, body.positions, faults, beats.time)
    abdomen, thorax = sensors.effort(body.breaths, bedside, rngs["sensors"])
    flow = sensors.airflow(body.breaths, bedside, rngs["sensors"])
    signals = {"ABD": (abdomen, 32.0, ""), "THX": (thorax, 32.0, ""), "AF": (flow, 32.0, "")}
    signals["SPO2"] = (oxygen.oximeter(body.spo2, lab), 1.0, "%")
    spoiled = artefacts.plan_artefacts(rngs["artefacts"], tuple(signals), body.states, body.positions, lab)
    signals["ECG"] = (np.zeros(8 * seconds, np.float32), 8.0, "mV")  # nothing in it: no electrode is spoiled here
    artefacts.spoil(rngs["artefacts"], signals, spoiled, lab)
    step = 4 if seed % 4 == 1 else 1
    traces = {name: Trace(name, signals[name][0][::step], 32.0 / step) for name in ("AF", "THX")}
    traces["SPO2"] = Trace("SPO2", signals["SPO2"][0], 1.0)
    words = [STAGES[stage] for stage in stages]
    events = measured_beside((), respiratory_events(traces, assess(traces, EPOCHS)), words)
    true, found = spans(body.events, RESPIRATORY), spans(events, RESPIRATORY)
    hours = sum(word != "W" for word in words) / 120
    return Row(seed, severity, lab, matches(true, found, 0.3), len(true), len(found), hours)


def line(name: str, rows: list[Row]) -> None:
    if not rows:
        return
    matched, true, found = (sum(getattr(row, key) for row in rows) for key in ("matched", "true", "found"))
    off = np.array([(row.found - row.true) / row.hours for row in rows])
    near = np.mean([abs(row.found - row.true) <= 0.2 * row.true for row in rows])
    print(
        f"{name:22s} {len(rows):6d}  {2 * matched / max(true + found, 1):.3f}  {matched / max(found, 1):9.3f}"
        f"  {matched / max(true, 1):6.3f}  {np.abs(off).mean():11.1f}  {off.mean():+6.1f}  {100 * near:11.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=5000)
    parser.add_argument("--count", type=int, default=30)
    wish = parser.parse_args()
    rows = [judge(seed) for seed in range(wish.first, wish.first + wish.count)]
    print("nights                 number     F1  precision  recall  AHI |error|    bias  within 20 %")
    line("all", rows)
    for severity, _, _ in SEVERITIES:
        line(severity, [row for row in rows if row.severity == severity])
    line("careful labs", [row for row in rows if row.lab.trouble < CAREFUL])
    line("careless labs", [row for row in rows if row.lab.trouble >= CAREFUL])
    for sensor in ("nasal_pressure", "thermistor", "pneumotachograph"):
        line(sensor, [row for row in rows if row.lab.airflow == sensor])


if __name__ == "__main__":
    main()
