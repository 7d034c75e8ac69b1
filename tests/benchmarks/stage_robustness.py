"""What a poor recording costs in staging: Cohen's kappa of the same simulated nights, recorded in other ways.

    python tests/benchmarks/stage_robustness.py --nights 6 --first 910000

The nights are none of the shipped model's. Each line gives the mean kappa and its difference to the whole recording,
and the expected calibration error (15 bins).
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.batch import StudyInput  # noqa: E402
from core.inference.bundle import load_bundle  # noqa: E402
from core.inference.engine import Engine  # noqa: E402
from core.inference.figures import calibration_error, stage_indices, staging_figures  # noqa: E402
from core.inference.staging import stage_study, staging_channels  # noqa: E402
from core.inference.tasks import Reading  # noqa: E402
from core.psg.simulate.montage import CLEAN, WriteMontage  # noqa: E402
from core.psg.simulate.night import NightOptions, SimulatedNight, simulate_night  # noqa: E402
from core.psg.simulate.write_edf import write_night  # noqa: E402

BRAIN = ("EEG_C3", "EEG_C4", "EOG_L", "EOG_R")
ARTEFACT_SHARE, ARTEFACT_UV, MAINS_UV = 0.10, 400.0, 60.0
Variant = Callable[[SimulatedNight], tuple[SimulatedNight, WriteMontage]]


def only(*channels: str) -> Variant:
    """Record some channels alone."""
    return lambda night: (night, WriteMontage(signals=tuple(row for row in CLEAN.signals if row.channel in channels)))


def louder(gain: float) -> Variant:
    """Record EEG and EOG with a wrong gain, the unit unchanged."""
    return changed(lambda samples, rate, rng: samples * np.float32(gain))


def at_rate(rate: int) -> Variant:
    """Record EEG and EOG at another rate."""

    def variant(night: SimulatedNight) -> tuple[SimulatedNight, WriteMontage]:
        rows = tuple(replace(row, rate=rate) if row.channel in BRAIN else row for row in CLEAN.signals)
        return night, WriteMontage(signals=rows)

    return variant


def mains(samples: NDArray[np.float32], rate: float, _: np.random.Generator) -> NDArray[np.float32]:
    """Add the line's hum."""
    time = np.arange(len(samples)) / rate
    return samples + (MAINS_UV * np.sin(2 * np.pi * 50 * time)).astype(np.float32)


def artefacts(samples: NDArray[np.float32], rate: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fill a tenth of the epochs with movement."""
    spoiled = samples.copy()
    length = round(30 * rate)
    count = len(samples) // length
    for epoch in rng.choice(count, round(ARTEFACT_SHARE * count), replace=False):
        steps = rng.standard_normal(length).cumsum()
        spoiled[epoch * length : (epoch + 1) * length] += (ARTEFACT_UV * steps / np.abs(steps).max()).astype(np.float32)
    return spoiled


def changed(
    change: Callable[[NDArray[np.float32], float, np.random.Generator], NDArray[np.float32]],
) -> Variant:
    """Change the samples of EEG and EOG."""

    def variant(night: SimulatedNight) -> tuple[SimulatedNight, WriteMontage]:
        rng = np.random.default_rng(night.seed)
        signals = dict(night.signals)
        for name in BRAIN:
            samples, rate, unit = signals[name]
            signals[name] = (change(samples, rate, rng).astype(np.float32), rate, unit)
        rows = tuple(replace(row, limit=row.limit * 12) if row.channel in BRAIN else row for row in CLEAN.signals)
        return replace(night, signals=signals), WriteMontage(signals=rows)

    return variant


VARIANTS: dict[str, Variant] = {
    "whole recording": only(*(row.channel for row in CLEAN.signals)),
    "EEG and EOG": only(*BRAIN),
    "two EEGs": only("EEG_C3", "EEG_C4"),
    "one EEG": only("EEG_C4"),
    "gain +20 dB": louder(10.0),
    "gain -20 dB": louder(0.1),
    "50 Hz": at_rate(50),
    "64 Hz": at_rate(64),
    "512 Hz": at_rate(512),
    "mains of 60 µV": changed(mains),
    "a tenth of the epochs moved": changed(artefacts),
}


def main() -> None:
    """Judge each way of recording on every night."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=6)
    parser.add_argument("--first", type=int, default=910000)
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    bundle = load_bundle(options.model)
    engine = Engine(bundle, "cpu")
    kappas: dict[str, list[float]] = {name: [] for name in VARIANTS}
    told: dict[str, list[tuple[NDArray[np.float64], NDArray[np.bool_]]]] = {name: [] for name in VARIANTS}
    for seed in range(options.first, options.first + options.nights):
        night = simulate_night(seed, NightOptions())
        truth = stage_indices([row.stage for row in night.truth.epochs])
        for name, variant in VARIANTS.items():
            with tempfile.TemporaryDirectory() as folder:
                recorded, montage = variant(night)
                path = write_night(recorded, Path(folder), "night", montage)
                study = Reading(look_for_scoring=False).open(StudyInput(path, "night"), staging_channels(engine))
                staging = stage_study(study, engine)
            given = stage_indices(staging.stages)[: len(truth)]
            real = truth[: len(given)]
            kappas[name].append(staging_figures(real, given).kappa)
            if staging.probabilities is not None:
                known = (real >= 0) & (given >= 0)
                told[name].append((staging.probabilities[: len(real)][known].max(axis=1), (given == real)[known]))
    print(f"model {bundle.name} {bundle.content_hash[:12]}, {options.nights} nights from seed {options.first}")
    whole = float(np.mean(kappas["whole recording"]))
    for name, values in kappas.items():
        chances, right = (np.concatenate(parts) for parts in zip(*told[name], strict=True))
        mean, error = float(np.mean(values)), calibration_error(chances, right)
        print(f"{name:30} kappa {mean:.3f} ({mean - whole:+.3f}), calibration error {error:.3f}")


if __name__ == "__main__":
    main()
