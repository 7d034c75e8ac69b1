"""The table of what is measured in an epoch: names, units, definitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Measurement:
    """A quantity that is measured in every epoch."""

    name: str
    """Its key in captions.jsonl."""
    unit: str
    """Empty for a ratio, a count or a code."""
    domain: str
    """The caption domain that tells it: ``brain``, ``cardiac``, ``respiration`` or ``somatic``."""
    channels: tuple[str, ...]
    """Channels that it is measured on (any one of them for ``c3``/``c4`` events)."""
    digits: int
    """Decimals that are worth telling."""
    definition: str
    """What it is, in one sentence; sources are in the measuring function's docstring."""


def _eye(side: str, channel: str) -> list[Measurement]:
    return [
        Measurement(f"eog_{side}_slow", "%", "brain", (channel,), 1,
                    f"Share of 0.2-1 Hz (slow eye movements) in the {side} EOG's power from 0.2 to 30 Hz."),
        Measurement(f"eog_{side}_rapid", "%", "brain", (channel,), 1,
                    f"Share of 1-5 Hz (rapid eye movements) in the {side} EOG's power from 0.2 to 30 Hz."),
    ]  # fmt: skip


def _bands(short: str, channel: str) -> list[Measurement]:
    edges = {"delta": "0.5-4", "theta": "4-8", "alpha": "8-12", "sigma": "12-16", "beta": "16-30"}
    return [
        Measurement(f"{short}_{band}", "%", "brain", (channel,), 1,
                    f"Share of {hertz} Hz in the {short.upper()} EEG's power from 0.5 to 30 Hz.")
        for band, hertz in edges.items()
    ]  # fmt: skip


_CENTRAL = ("EEG_C3", "EEG_C4")
_ROWS = (
    *_eye("left", "EOG_L"),
    *_eye("right", "EOG_R"),
    *_bands("c3", "EEG_C3"),
    *_bands("c4", "EEG_C4"),
    Measurement("slow_wave_count", "", "brain", _CENTRAL, 0,
                "Waves of 0.5-2 Hz and at least 75 µV from peak to peak in the central EEG."),
    Measurement("slow_wave_amplitude", "µV", "brain", _CENTRAL, 0, "Mean peak-to-peak amplitude of those waves."),
    Measurement("spindle_count", "", "brain", _CENTRAL, 0,
                "Spindles that begin in the epoch: 11-16 Hz, 0.5 to 3 s, in the mean central EEG."),
    Measurement("spindle_frequency", "Hz", "brain", _CENTRAL, 1, "Mean frequency of those spindles."),
    Measurement("spindle_duration", "s", "brain", _CENTRAL, 1, "Mean duration of those spindles."),
    Measurement("beat_rate", "bpm", "cardiac", ("ECG",), 0, "60 over the mean interval between heartbeats."),
    Measurement("rmssd", "ms", "cardiac", ("ECG",), 0,
                "Root mean square of successive differences of normal beat intervals."),
    Measurement("heart_rate_min", "bpm", "cardiac", ("ECG",), 0,
                "Lowest heart rate over three intervals; an oximeter's lowest pulse rate where no ECG gives one."),
    Measurement("heart_rate_mean", "bpm", "cardiac", ("ECG",), 0, "Mean over the seconds of that heart rate."),
    Measurement("heart_rate_max", "bpm", "cardiac", ("ECG",), 0,
                "Highest heart rate over three intervals; an oximeter's highest pulse rate where no ECG gives one."),
    Measurement("spo2_min", "%", "cardiac", ("SPO2",), 1,
                "Lowest oxygen saturation over a second, in the oximeter's own step."),
    Measurement("spo2_mean", "%", "cardiac", ("SPO2",), 1, "Mean oxygen saturation."),
    Measurement("spo2_max", "%", "cardiac", ("SPO2",), 1,
                "Highest oxygen saturation over a second, in the oximeter's own step."),
    Measurement("abdominal_rate", "/min", "respiration", ("ABD",), 1, "60 over the mean typical breath interval."),
    Measurement("abdominal_variability", "s", "respiration", ("ABD",), 2,
                "Standard deviation of the typical breath intervals."),
    Measurement("thoracic_rate", "/min", "respiration", ("THX",), 1, "60 over the mean typical breath interval."),
    Measurement("thoracic_variability", "s", "respiration", ("THX",), 2,
                "Standard deviation of the typical breath intervals."),
    Measurement("airflow_rate", "/min", "respiration", ("AF",), 1, "60 over the mean typical breath interval."),
    Measurement("airflow_variability", "s", "respiration", ("AF",), 2,
                "Standard deviation of the typical breath intervals."),
    Measurement("flow_flatness", "", "respiration", ("AF",), 2,
                "Share of inspiration with flow above 80 % of its peak: 0.41 for a half sine, 1 for a plateau."),
    Measurement("airflow_amplitude", "", "respiration", ("AF",), 2,
                "Breathing amplitude over the 75th percentile of the five minutes around."),
    Measurement("effort_phase", "°", "respiration", ("THX", "ABD"), 0,
                "Phase between thoracic and abdominal effort: 0 together, 180 paradoxical."),
    Measurement("chin_median_frequency", "Hz", "somatic", ("EMG_CHIN",), 0,
                "Frequency that halves the chin EMG's power between 10 and 100 Hz."),
    Measurement("chin_burst_ratio", "", "somatic", ("EMG_CHIN",), 2,
                "95th percentile over median of the chin EMG's 0.1-s levels: 1.2 for steady tone."),
    Measurement("chin_burst_rate", "Hz", "somatic", ("EMG_CHIN",), 1,
                "Strongest rhythm of the chin EMG's level between 0.2 and 4 Hz."),
    Measurement("chin_tone", "", "somatic", ("EMG_CHIN",), 2, "Median chin EMG level over the night's median."),
    Measurement("position", "", "somatic", ("POS",), 0,
                "Position held longest: 0 right, 1 left, 2 supine, 3 prone, 4 upright."),
)  # fmt: skip

MEASUREMENTS: Mapping[str, Measurement] = MappingProxyType({row.name: row for row in _ROWS})
