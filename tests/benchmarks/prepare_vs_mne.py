"""An 8-hour, 11-channel EDF prepared by sleepcli and by mne, each in a process of its own: seconds, ratio, peak memory.

Run from the project's root: ``python tests/benchmarks/prepare_vs_mne.py``. Both open the same file, which is in the
disk cache for both; ours maps, reads, looks for dead sensors, judges and prepares it, mne reads, filters and resamples
it. Imports are not counted, peak memory is that of the whole process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyedflib
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
HOURS = 8
# label, rate, unit, physical maximum: 1690 samples a second, 97 MB in 8 hours
SIGNALS = (
    ("EEG C3-M2", 256, "uV", 500.0),
    ("EEG C4-M1", 256, "uV", 500.0),
    ("EOG E1-M2", 256, "uV", 800.0),
    ("EOG E2-M2", 256, "uV", 800.0),
    ("EMG chin", 256, "uV", 300.0),
    ("ECG", 256, "mV", 5.0),
    ("Nasal Pressure", 64, "", 100.0),
    ("Effort THX", 32, "", 100.0),
    ("Effort ABD", 32, "", 100.0),
    ("SpO2", 16, "%", 110.0),
    ("Position", 4, "", 10.0),
)

OURS = """
import json, resource, sys, time
from pathlib import Path
from core.psg.alternatives import load_living
from core.psg.channels import resolve
from core.psg.preprocess import prepare
from core.psg.recording import open_recording
start, busy = time.perf_counter(), time.process_time()
recording = open_recording(Path(sys.argv[1]))
channel_map = resolve(recording.signals)
opened = time.perf_counter()
channel_map, traces = load_living(recording, channel_map)
loaded = time.perf_counter()
study = prepare(recording, channel_map, traces)
end = time.perf_counter()
print(json.dumps({"seconds": end - start, "open": opened - start, "load": loaded - opened, "prepare": end - loaded,
                  "shape": study.signals.shape, "cpu": time.process_time() - busy,
                  "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

THEIRS = """
import json, resource, sys, time
import mne
start, busy = time.perf_counter(), time.process_time()
raw = mne.io.read_raw_edf(sys.argv[1], preload=True, verbose="error")
read = time.perf_counter()
raw.filter(0.3, 31.0, picks="all", verbose="error")
filtered = time.perf_counter()
raw.resample(64, verbose="error")
end = time.perf_counter()
print(json.dumps({"seconds": end - start, "read": read - start, "filter": filtered - read, "resample": end - filtered,
                  "shape": raw.get_data().shape, "cpu": time.process_time() - busy,
                  "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def _hour(label: str, rate: int, top: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Make an hour of coloured noise; the ECG has beats, effort and airflow breaths."""
    seconds = np.arange(3600 * rate) / rate
    if label in ("SpO2", "Position"):
        return np.full(seconds.size, 96.0 if label == "SpO2" else 2.0)
    noise = np.convolve(generator.standard_normal(seconds.size), np.ones(4) / 4, "same") * top / 12
    if label == "ECG":  # 70 beats a minute, 1 mV
        return noise / 20 + np.exp(-(((seconds * 70 / 60) % 1 - 0.5) ** 2) / 2e-4)
    return noise if rate >= 256 else noise + top / 3 * np.sin(2 * np.pi * 0.25 * seconds)


def write_night(path: Path, hours: int) -> None:
    """Write a night, an hour at a time."""
    writer = pyedflib.EdfWriter(str(path), len(SIGNALS), file_type=pyedflib.FILETYPE_EDF)
    writer.setSignalHeaders(
        [
            {
                "label": label,
                "sample_frequency": rate,
                "dimension": unit,
                "physical_max": top,
                "physical_min": -top,
                "digital_max": 32767,
                "digital_min": -32768,
            }
            for label, rate, unit, top in SIGNALS
        ]
    )
    generator = np.random.default_rng(0)
    for _ in range(hours):
        data = [_hour(label, rate, top, generator) for label, rate, _, top in SIGNALS]
        count = [block.size // 3600 for block in data]
        for second in range(3600):
            for block, width in zip(data, count, strict=True):
                writer.writePhysicalSamples(np.ascontiguousarray(block[second * width : (second + 1) * width]))
    writer.close()


def run(program: str, path: Path) -> dict[str, float]:
    """Run a program in a process of its own and read the line that it prints."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "night.edf"
        write_night(path, options.hours)
        print(f"{options.hours} h, {len(SIGNALS)} channels, {path.stat().st_size / 1e6:.0f} MB")
        ours = min((run(OURS, path) for _ in range(options.repeats)), key=lambda r: r["seconds"])
        theirs = min((run(THEIRS, path) for _ in range(options.repeats)), key=lambda r: r["seconds"])
    print("sleepcli", json.dumps(ours))
    print("mne     ", json.dumps(theirs))
    ratio = ours["seconds"] / theirs["seconds"]
    print(f"ratio {ratio:.3f}, target at most 0.2; of processor time {ours['cpu'] / theirs['cpu']:.3f}")
    print(f"memory {ours['rss_mb']:.0f} MB, target at most 500 MB")


if __name__ == "__main__":
    main()
