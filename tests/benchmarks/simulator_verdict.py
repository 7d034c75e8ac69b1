"""What tools that never saw the simulator say about its nights.

Needs an environment of its own, apart from the project's:

    python -m venv /tmp/verdict-venv
    /tmp/verdict-venv/bin/pip install yasa==0.8.1 neurokit2 pyedflib
    python tests/benchmarks/simulator_verdict.py make --out /tmp/verdict --nights 10    # the project's environment
    /tmp/verdict-venv/bin/python tests/benchmarks/simulator_verdict.py judge --out /tmp/verdict

`make` writes the nights, `judge` reads the EDF files alone (and the truth beside them) and prints the tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("W", "N1", "N2", "N3", "R")
BANDS = ((0.5, 4.0), (4.0, 8.0), (8.0, 12.0), (12.0, 16.0), (16.0, 30.0))
TRACKED = ("Fpz-Cz", "Pz-Oz", "horizontal EOG")
AASM_WAVES = {
    "freq_sw": (0.3, 2.0),
    "dur_neg": (0.2, 1.5),
    "amp_neg": (30, 250),
    "amp_pos": (10, 200),
    "amp_ptp": (75, 400),
}


def make(out: Path, nights: int, first: int) -> None:
    """Simulate nights: the clean montage and, for the tracks' own pipeline, Fpz-Cz and Pz-Oz beside it."""
    sys.path.insert(0, str(ROOT))
    from core.psg.simulate.montage import CLEAN, WriteMontage, WriteSignal
    from core.psg.simulate.night import NightOptions, simulate_night
    from core.psg.simulate.write_edf import write_night

    tracked = {"EEG_FPZ_CZ": "EEG Fpz-Cz", "EEG_PZ_OZ": "EEG Pz-Oz"}
    more = tuple(WriteSignal(name, label, "uV", 256, limit=800.0) for name, label in tracked.items())
    montage = WriteMontage((*CLEAN.signals, *more))
    for seed in range(first, first + nights):
        if not (out / f"night-{seed:03d}.edf").exists():
            night = simulate_night(seed, NightOptions(derivations=("EEG_C3", "EEG_C4", *tracked)))
            write_night(night, out, f"night-{seed:03d}", montage)


def read(path: Path, *wanted: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read some signals and the truth of a night."""
    import pyedflib

    with pyedflib.EdfReader(str(path)) as reader:
        labels = reader.getSignalLabels()
        signals = {label: reader.readSignal(labels.index(label)) for label in wanted}
    return signals, json.loads(path.with_name(path.stem + ".truth.json").read_text())


def kappa(truth: list[str], guess: list[str]) -> float:
    """Cohen's kappa of two stage sequences."""
    table = np.array(
        [[sum(a == t and b == g for a, b in zip(truth, guess, strict=True)) for g in STAGES] for t in STAGES]
    )
    share = table / table.sum()
    chance = float(share.sum(1) @ share.sum(0))
    return (float(np.trace(share)) - chance) / (1 - chance)


def match(truth: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Precision and recall of spans (start, end) that overlap."""
    if len(truth) == 0 or len(found) == 0:
        return float("nan"), float("nan")

    def hit(a: np.ndarray, b: np.ndarray) -> float:
        order = np.argsort(b[:, 0])
        b = b[order]
        latest = np.maximum.accumulate(b[:, 1])
        k = np.searchsorted(b[:, 0], a[:, 1]) - 1
        return float(np.mean((k >= 0) & (latest[np.maximum(k, 0)] > a[:, 0])))

    return hit(found, truth), hit(truth, found)


def spans(rows: list[dict[str, Any]]) -> np.ndarray:
    """Start and end of truth rows."""
    return np.array([[r["onset"], r["onset"] + r["duration"]] for r in rows]).reshape(-1, 2)


def judge_stages(path: Path) -> dict[str, Any]:
    """Let YASA stage the night."""
    import mne
    import yasa

    names = ["EEG C4-M1", "EOG E1-M2", "EMG chin"]
    signals, truth = read(path, *names)
    data = np.stack([signals[n] for n in names]) * 1e-6
    raw = mne.io.RawArray(data, mne.create_info(names, 256.0, ["eeg", "eog", "emg"]), verbose="ERROR")
    staged = yasa.SleepStaging(raw, eeg_name=names[0], eog_name=names[1], emg_name=names[2]).predict()
    codes = {"WAKE": "W", "REM": "R"}
    guess = [codes.get(str(s), str(s)) for s in (staged.hypno if hasattr(staged, "hypno") else staged)]
    stages = [row["stage"] for row in truth["epochs"]]
    n = min(len(stages), len(guess))
    return {"stages": stages[:n], "guess": guess[:n], "kappa": kappa(stages[:n], guess[:n])}


def judge_waves(path: Path) -> dict[str, Any]:
    """Let YASA detect spindles and slow waves."""
    import yasa

    signals, truth = read(path, "EEG C4-M1")
    eeg = signals["EEG C4-M1"]
    hypno = np.repeat([STAGES.index(row["stage"]) for row in truth["epochs"]], 30 * 256)
    sleep = {"hypno": hypno, "include": (2, 3)}
    spindles = yasa.spindles_detect(eeg[: len(hypno)], 256.0, **sleep, verbose="ERROR")
    waves = yasa.sw_detect(eeg[: len(hypno)], 256.0, **sleep, verbose="ERROR")
    manual = yasa.sw_detect(eeg[: len(hypno)], 256.0, **sleep, **AASM_WAVES, verbose="ERROR")
    found = (spindles, waves, manual)
    table = [t.summary()[["Start", "End"]].to_numpy() if t is not None else np.zeros((0, 2)) for t in found]
    large = [w for w in truth["slow_waves"] if w["amplitude"] >= 120]
    return {
        "spindles": match(spans(truth["spindles"]), table[0]),
        "slow_waves": match(spans(truth["slow_waves"] + truth["k_complexes"]), table[1]),
        "manual_waves": match(spans(truth["slow_waves"] + truth["k_complexes"]), table[2]),
        "large_waves": match(spans(large), table[1])[1],
    }


def slow_wave_figures(eeg: np.ndarray, rate: float) -> list[float]:
    """What YASA's slow-wave detector says of epochs of N3, (epochs, samples) in µV: a minute's count, medians."""
    import yasa
    from scipy import signal

    trace = signal.sosfiltfilt(signal.butter(1, 0.3, "high", fs=rate, output="sos"), eeg.ravel())
    freq, power = signal.welch(trace, rate, nperseg=round(4 * rate))
    delta = float(power[(freq >= 0.5) & (freq < 4)].sum() * freq[1])
    found = yasa.sw_detect(trace, rate, verbose="ERROR")
    if found is None:
        return [0.0, *[float("nan")] * 3, delta]
    table = found.summary()
    share = (-table["ValNegPeak"] / table["PTP"]).median()
    return [len(table) / (len(eeg) / 2), table["PTP"].median(), float(share), table["Frequency"].median(), delta]


def judge_deep(path: Path) -> dict[str, Any]:
    """Let YASA describe the slow waves of N3."""
    signals, truth = read(path, "EEG C4-M1")
    rows = np.array([e["stage"] == "N3" and e["clean"] for e in truth["epochs"]])
    eeg = signals["EEG C4-M1"][: len(rows) * 7680].reshape(-1, 7680)[rows[: len(signals["EEG C4-M1"]) // 7680]]
    return {"deep": slow_wave_figures(eeg, 256.0) if len(eeg) >= 20 else [float("nan")] * 5}


def real_deep() -> np.ndarray:
    """The same of the central EEG of UCDDB patients: (patients, 5); µV as the data's README takes them."""
    rows = []
    for path in sorted((ROOT / "../shared/data/ucddb_eeg").glob("*.npz")):
        data = np.load(path)
        deep = np.isin(data["stage"][data["epoch"]], (4, 5))
        if deep.sum() >= 20:
            signals = data["sig"] * float(data["scale"])
            rows.append(slow_wave_figures(100.0 * (signals - np.median(signals))[deep], float(data["fs"])))
    return np.array(rows)


def report_deep(mine: np.ndarray, real: np.ndarray) -> None:
    """Print quartiles over nights of what YASA says of N3, simulated and real."""
    print("YASA's slow waves in N3, quartiles over nights: simulated C4-M1; real central EEG (UCDDB)")
    names = ("a minute", "peak to peak, µV", "negative share", "frequency, Hz", "delta power, µV²")
    for k, name in enumerate(names):
        text = [" ".join(f"{v:8.2f}" for v in np.nanpercentile(rows[:, k], (25, 50, 75))) for rows in (mine, real)]
        print(f"{name:>18}  {text[0]}   {text[1]}")


def judge_body(path: Path) -> dict[str, float]:
    """Let NeuroKit2 find R peaks and the breathing rate."""
    import neurokit2 as nk

    signals, truth = read(path, "ECG", "Effort abdomen")
    ecg = nk.ecg_clean(signals["ECG"], sampling_rate=256)
    _, info = nk.ecg_peaks(ecg, sampling_rate=256)
    peaks = np.asarray(info["ECG_R_Peaks"]) / 256.0
    beats = np.asarray(truth["beats"])
    near = np.searchsorted(beats, peaks)
    distance = np.minimum(
        np.abs(peaks - beats[np.clip(near, 0, len(beats) - 1)]), np.abs(peaks - beats[np.clip(near - 1, 0, None)])
    )
    precision = float(np.mean(distance < 0.1))
    back = np.searchsorted(peaks, beats)
    distance = np.minimum(
        np.abs(beats - peaks[np.clip(back, 0, len(peaks) - 1)]), np.abs(beats - peaks[np.clip(back - 1, 0, None)])
    )
    recall = float(np.mean(distance < 0.1))
    belt = nk.rsp_clean(signals["Effort abdomen"], sampling_rate=32)
    _, info = nk.rsp_peaks(belt, sampling_rate=32)
    troughs = np.asarray(info["RSP_Troughs"]) / 32.0
    errors = []
    events = spans([e for e in truth["events"] if e["type"].endswith("apnea") or e["type"] == "hypopnea"])
    for k, row in enumerate(truth["epochs"]):
        inside = troughs[(troughs >= 30 * k) & (troughs < 30 * (k + 1))]
        touched = len(events) and bool(((events[:, 0] < 30 * (k + 1)) & (events[:, 1] > 30 * k)).any())
        if row["clean"] and row["stage"] != "W" and not touched and len(inside) > 2 and row["breath_rate"] > 0:
            errors.append(60.0 / np.diff(inside).mean() - row["breath_rate"])
    return {
        "beat_f1": 2 * precision * recall / (precision + recall),
        "rate_error": float(np.median(np.abs(errors))),
        "rate_within_1": float(np.mean(np.abs(errors) < 1.0)),
    }


def band_powers(trace: np.ndarray, rate: float, eog: bool) -> np.ndarray:
    """Band powers of each epoch under the tracks' pipeline: 100 Hz, Welch with 4-s windows; their EOG ends at 15 Hz.

    In every stage the tracks' EOG has ten times less beta than sigma, while the raw EOG of the same data set is flat
    from 12 to 50 Hz: it was low-passed, with the gentle slope of a common FIR filter.
    """
    from scipy import signal

    slow = signal.resample_poly(trace, 100, round(rate))
    if eog:
        slow = signal.fftconvolve(slow, signal.firwin(89, 16.9, fs=100, window="hamming"), mode="same")
    slow = slow[: len(slow) // 3000 * 3000].reshape(-1, 3000)
    freq, power = signal.welch(slow, 100, nperseg=400)
    return np.stack([power[:, (freq >= a) & (freq < b)].sum(axis=1) for a, b in BANDS], axis=1)


def stage_means(relative: np.ndarray, log_power: np.ndarray, chosen: dict[int, np.ndarray]) -> np.ndarray:
    """Mean relative and log powers by stage: (stages, channels, 10), nan for a stage of five epochs or fewer."""
    out = np.full((5, len(TRACKED), 10), np.nan)
    for k, mask in chosen.items():
        if mask.sum() > 5:
            out[k] = np.concatenate([relative[mask].mean(0), log_power[mask].mean(0)], axis=1)
    return out


def real_means() -> np.ndarray:
    """What `stage_means` gives for each subject of the real tracks: (subjects, stages, channels, 10)."""
    rows: dict[str, list[np.ndarray]] = {}
    for path in sorted((ROOT / "../shared/data/sleep_edf_features").glob("*.npz")):
        data = np.load(path)
        features = data["features"]
        chosen = {k: data["labels"] == k for k in range(5)}
        rows.setdefault(path.name[:2], []).append(stage_means(features[..., 5:], features[..., :5], chosen))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.array([np.nanmean(v, axis=0) for v in rows.values()])


def report(nights: list[dict[str, Any]]) -> None:
    """Print the tables."""
    report_stages([row for row in nights if "kappa" in row])
    print("night     spindle P/R  slow wave P/R  AASM's P/R  large R  beats F1  breath err  within 1/min")
    for row in nights:
        waves = (
            "not judged"
            if "spindles" not in row
            else (
                "   {:.2f} {:.2f}    {:.2f} {:.2f}".format(*row["spindles"], *row["slow_waves"])
                + "      {:.2f} {:.2f}   {:.2f}".format(*row["manual_waves"], row["large_waves"])
            )
        )
        body = (
            ""
            if "beat_f1" not in row
            else (f"     {row['beat_f1']:.4f}    {row['rate_error']:.2f}        {row['rate_within_1']:.2f}")
        )
        print(f"{row['name']}  {waves}{body}")
    report_powers(np.array([row["powers"] for row in nights if "powers" in row]), real_means())
    deep = [row["deep"] for row in nights if "deep" in row]
    if deep:
        report_deep(np.array(deep), real_deep())


def report_stages(nights: list[dict[str, Any]]) -> None:
    """Print how YASA staged each night, and all of them."""
    print("night  kappa  " + "  ".join(f"{s:>4}" for s in STAGES))
    for row in nights:
        recalls = [_recall(row["stages"], row["guess"], s) for s in STAGES]
        print(f"{row['name']}  {row['kappa']:.3f}  " + "  ".join(f"{r:4.2f}" for r in recalls))
    stages = [s for row in nights for s in row["stages"]]
    guess = [s for row in nights for s in row["guess"]]
    print(f"mean kappa {np.mean([r['kappa'] for r in nights]):.3f}; pooled kappa {kappa(stages, guess):.3f}")
    print("pooled recall  " + "  ".join(f"{s} {_recall(stages, guess, s):.2f}" for s in STAGES))
    print("confusion (rows truth, columns YASA, %)")
    for truth in STAGES:
        n = max(stages.count(truth), 1)
        cells = [sum(a == truth and b == g for a, b in zip(stages, guess, strict=True)) / n for g in STAGES]
        print(f"  {truth:>2} " + " ".join(f"{100 * c:5.1f}" for c in cells))


def report_powers(mine: np.ndarray, real: np.ndarray) -> None:
    """Print band powers beside the real quartiles: (nights, stages, channels, 10) and the same of real subjects."""
    for c, channel in enumerate(TRACKED):
        for first, what in ((0, "relative band power"), (5, "log band power minus that of N2")):
            own, theirs = mine[:, :, c, first : first + 5], real[:, :, c, first : first + 5]
            if first:
                own, theirs = own - own[:, 2:3], theirs - theirs[:, 2:3]
            print(f"{channel}: mean {what} (delta theta alpha sigma beta), real quartiles over subjects; * outside")
            low, high = np.nanpercentile(theirs, [25, 75], axis=0)
            for k, stage in enumerate(STAGES):
                if first and stage == "N2":
                    continue
                cells = zip(np.nanmean(own[:, k], axis=0), low[k], high[k], strict=True)
                digits = 4 if c == 2 and not first else 3 - (first > 0)
                text = [
                    f"{m:.{digits}f} ({a:.{digits}f} {b:.{digits}f}){' ' if a <= m <= b else '*'}" for m, a, b in cells
                ]
                print(f"  {stage:>2} " + " ".join(text))


def _recall(stages: list[str], guess: list[str], stage: str) -> float:
    """Share of the epochs of a stage that were found."""
    return float(np.mean([g == stage for s, g in zip(stages, guess, strict=True) if s == stage] or [np.nan]))


def judge_powers(path: Path) -> dict[str, Any]:
    """Measure band powers by stage as the tracks were measured."""
    signals, truth = read(path, "EEG Fpz-Cz", "EEG Pz-Oz", "EOG E1-M2", "EOG E2-M2")
    traces = (signals["EEG Fpz-Cz"], signals["EEG Pz-Oz"], signals["EOG E2-M2"] - signals["EOG E1-M2"])
    powers = np.stack([band_powers(trace, 256.0, k == 2) for k, trace in enumerate(traces)], axis=1)
    stages = np.array([STAGES.index(e["stage"]) for e in truth["epochs"]])
    clean = np.array([e["clean"] for e in truth["epochs"]])
    chosen = {k: (stages == k) & clean for k in range(len(STAGES))}
    return {"powers": stage_means(powers / powers.sum(2, keepdims=True), np.log(powers), chosen).tolist()}


PARTS = {
    "stages": judge_stages,
    "powers": judge_powers,
    "waves": judge_waves,
    "deep": judge_deep,
    "body": judge_body,
}
DONE = {"stages": "kappa", "powers": "powers", "waves": "spindles", "deep": "deep", "body": "beat_f1"}


def judge_night(path: Path, parts: Sequence[str]) -> dict[str, Any]:
    """Judge the parts of one night that have not been judged; the judgement is kept beside the night."""
    warnings.filterwarnings("ignore")
    kept = path.with_suffix(".verdict.json")
    row: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {"name": path.stem}
    for part in parts:
        if DONE[part] not in row:
            row |= PARTS[part](path)
            kept.write_text(json.dumps(row))
            print(path.stem, part, file=sys.stderr, flush=True)
    return row


def judge(out: Path, jobs: int, parts: Sequence[str]) -> None:
    """Judge every night in a folder."""
    try:
        import neurokit2  # noqa: F401
        import yasa  # noqa: F401
    except ImportError:
        print(__doc__)
        raise SystemExit(2) from None
    with ProcessPoolExecutor(jobs) as pool:
        report(list(pool.map(partial(judge_night, parts=parts), sorted(out.glob("night-*.edf")))))


def main() -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("make", "judge"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--parts", nargs="*", choices=tuple(PARTS), default=tuple(PARTS))
    chosen = parser.parse_args()
    if chosen.step == "make":
        make(chosen.out, chosen.nights, chosen.first)
    else:
        judge(chosen.out, chosen.jobs, chosen.parts)


if __name__ == "__main__":
    main()
