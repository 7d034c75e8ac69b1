"""When a clinical word may be said: every threshold with its value and source."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite

from core.language.facts import EpochFacts

AASM = "AASM Manual for the Scoring of Sleep and Associated Events, version 2.6"
HERE = "Convention of this project"
BRADY = "ACC/AHA/HRS guideline on bradycardia 2018: below 50/min"
TACHY = "ACC/AHA/HRS guideline on supraventricular tachycardia 2015: above 100/min"
NUNAN = "Nunan et al. 2010, PACE 33:1407: RMSSD 19 to 75 ms in health"
WHO = "WHO Pulse Oximetry Training Manual 2011"
NEWS = "Royal College of Physicians, National Early Warning Score 2 (2017): 12 to 20/min is normal"


@dataclass(frozen=True)
class Threshold:
    """A concept holds where `low` ≤ quantity < `high`."""

    concept: str
    domain: str
    quantity: str
    """A measurement, or one of the quantities of `quantities`."""
    low: float
    high: float
    source: str


THRESHOLDS: tuple[Threshold, ...] = (
    Threshold("strong_delta", "brain", "delta", 90.0, inf, f"{HERE}: relative power, per cent"),
    Threshold("delta_dominant", "brain", "delta", 75.0, 90.0, f"{HERE}: three quarters of the relative power"),
    Threshold("theta_prominent", "brain", "theta", 20.0, inf, f"{HERE}: relative power, per cent"),
    Threshold("alpha_prominent", "brain", "alpha", 25.0, inf, f"{HERE}: relative power"),
    Threshold("sigma_prominent", "brain", "sigma", 10.0, inf, f"{HERE}: relative power, per cent"),
    Threshold("beta_prominent", "brain", "beta", 15.0, inf, f"{HERE}: relative power, per cent"),
    Threshold("spindles", "brain", "spindle_count", 1.0, 4.0, f"{AASM}: N2 shows spindles"),
    Threshold("many_spindles", "brain", "spindle_count", 4.0, inf, f"{HERE}: eight and more a minute"),
    Threshold("no_spindles", "brain", "spindle_count", -inf, 1.0, f"{HERE}: none detected"),
    Threshold("many_slow_waves", "brain", "slow_wave_count", 6.0, inf, f"{AASM}: N3, slow waves on 20 % of 30 s"),
    Threshold("few_slow_waves", "brain", "slow_wave_count", 1.0, 6.0, f"{AASM}: fewer than N3 asks for"),
    Threshold("no_slow_waves", "brain", "slow_wave_count", -inf, 1.0, f"{HERE}: none detected"),
    Threshold("slow_eye_movements", "brain", "eye_slow", 75.0, inf, f"{HERE}: share of the EOG's power, per cent"),
    Threshold("rapid_eye_movements", "brain", "eye_rapid", 30.0, inf, f"{HERE}: share of the EOG's power"),
    Threshold("marked_bradycardia", "cardiac", "heart_rate_mean", -inf, 40.0, f"{AASM}: bradycardia in sleep"),
    Threshold("bradycardia", "cardiac", "heart_rate_mean", 40.0, 50.0, BRADY),
    Threshold("normal_heart_rate", "cardiac", "heart_rate_mean", 60.0, 90.0, f"{AASM}: below 90/min"),
    Threshold("fast_heart_rate", "cardiac", "heart_rate_mean", 90.0, 100.0, f"{AASM}: tachycardia in sleep"),
    Threshold("tachycardia", "cardiac", "heart_rate_mean", 100.0, inf, TACHY),
    Threshold("low_variability", "cardiac", "rmssd", -inf, 19.0, NUNAN),
    Threshold("high_variability", "cardiac", "rmssd", 75.0, inf, NUNAN),
    Threshold("severe_hypoxaemia", "cardiac", "spo2_min", -inf, 80.0, f"{HERE}: lowest value, per cent"),
    Threshold("hypoxaemia", "cardiac", "spo2_min", 80.0, 90.0, f"{WHO}; the 90 % of the time below 90 %"),
    Threshold("normal_oxygen", "cardiac", "spo2_min", 95.0, inf, f"{WHO}: 95 to 100 %"),
    Threshold("bradypnoea", "respiration", "breath_rate", -inf, 12.0, NEWS),
    Threshold("normal_breath_rate", "respiration", "breath_rate", 12.0, 20.5, NEWS),
    Threshold("tachypnoea", "respiration", "breath_rate", 20.5, inf, NEWS),
    Threshold("regular_breathing", "respiration", "irregularity", -inf, 0.12, f"{HERE}: variability over interval"),
    Threshold("irregular_breathing", "respiration", "irregularity", 0.25, inf, f"{HERE}: variability over interval"),
    Threshold("absent_airflow", "respiration", "airflow_amplitude", -inf, 0.1, f"{AASM}: apnea, by 90 % or more"),
    Threshold("reduced_airflow", "respiration", "airflow_amplitude", 0.1, 0.7, f"{AASM}: hypopnea, by 30 % or more"),
    Threshold("synchronous_effort", "respiration", "phase", -inf, 30.0, f"{HERE}: phase in degrees, 0 is together"),
    Threshold("asynchronous_effort", "respiration", "phase", 60.0, 120.0, f"{HERE}: phase in degrees"),
    Threshold("paradoxical_effort", "respiration", "phase", 120.0, inf, f"{HERE}: degrees, 180 is opposed"),
    Threshold("atonia", "somatic", "chin_tone", -inf, 0.5, f"{HERE}: half of the night's usual tone"),
    Threshold("raised_tone", "somatic", "chin_tone", 2.0, inf, f"{HERE}: twice the night's usual tone"),
    Threshold("usual_tone", "somatic", "chin_tone", 0.5, 2.0, f"{HERE}: between half and twice the night's usual tone"),
    Threshold("chin_bursts", "somatic", "chin_burst_ratio", 3.0, inf, f"{HERE}: 1.2 is steady tone"),
)
"""Thresholds of one quantity exclude each other, but for `rapid_eye_movements` and `slow_eye_movements`."""

POSITION_CONCEPTS = ("right_side", "left_side", "supine", "prone", "upright")
"""Concepts by position code."""

TREND_CONCEPTS = {
    ("heart_rate", "increasing"): "heart_rate_rising",
    ("heart_rate", "decreasing"): "heart_rate_falling",
    ("spo2", "increasing"): "oxygen_recovering",
    ("spo2", "decreasing"): "oxygen_falling",
}

DELTA_LEAK = 65.0
"""Relative delta power in per cent above which the EOG's power is taken as EEG, not as eye movement."""

SAID_IN = {"rapid_eye_movements": ("R",), "slow_eye_movements": ("W", "N1")}
"""Stages in which an eye movement bears its name (AASM: slow ones in drowsiness and N1, rapid ones in R). Elsewhere the
EOG's bands hold the brain's own waves, and no share of power tells them apart."""

IMPLIED = {
    "strong_delta": "delta_dominant",
    "many_spindles": "spindles",
    "marked_bradycardia": "bradycardia",
    "tachycardia": "fast_heart_rate",
    "severe_hypoxaemia": "hypoxaemia",
    "absent_airflow": "reduced_airflow",
}
"""Concepts that hold a weaker one in them: who searches for the weaker also means the stronger."""


def _mean(values: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    known = [values[name] for name in names if name in values]
    return sum(known) / len(known) if known else None


def quantities(values: Mapping[str, float]) -> dict[str, float]:
    """The measurements, and what follows from several of them.

    `delta` to `beta`: mean over C3 and C4 in per cent. `eye_slow`, `eye_rapid`: mean over both eyes in
    per cent, absent where slow waves leak into the EOG.
    `breath_rate`: of the airflow, else the thorax, else the abdomen, a minute. `irregularity`: that channel's interval
    variability over its mean interval. `phase`: thoraco-abdominal phase without its sign, degrees.
    """
    found: dict[str, float | None] = dict(values)
    for band in ("delta", "theta", "alpha", "sigma", "beta"):
        found[band] = _mean(values, (f"c3_{band}", f"c4_{band}"))
    delta = found["delta"]
    leaking = delta is not None and delta >= DELTA_LEAK
    for kind in ("slow", "rapid"):
        found[f"eye_{kind}"] = None if leaking else _mean(values, (f"eog_left_{kind}", f"eog_right_{kind}"))
    for part in ("abdominal", "thoracic", "airflow"):
        rate, spread = values.get(f"{part}_rate"), values.get(f"{part}_variability")
        if rate is not None:
            found["breath_rate"] = rate
            found["irregularity"] = None if spread is None else spread * rate / 60.0
    if "effort_phase" in values:
        found["phase"] = abs(values["effort_phase"])
    return {name: value for name, value in found.items() if value is not None and isfinite(value)}


def concepts(facts: EpochFacts, domain: str) -> tuple[str, ...]:
    """The clinical concepts that hold in an epoch, in the order of the table.

    For `stage_event` these are the types of its events.
    """
    if domain == "stage_event":
        return tuple(dict.fromkeys(event.type for event in facts.events))
    known = quantities(facts.values)
    held = [
        limit.concept
        for limit in THRESHOLDS
        if limit.domain == domain and limit.quantity in known and limit.low <= known[limit.quantity] < limit.high
        if limit.concept not in SAID_IN or facts.stage in SAID_IN[limit.concept]
    ]
    if domain == "cardiac":
        held += [TREND_CONCEPTS.get((trend.quantity, trend.direction), "") for trend in facts.trends]
    if domain == "somatic" and "position" in known and 0 <= round(known["position"]) < len(POSITION_CONCEPTS):
        held.append(POSITION_CONCEPTS[round(known["position"])])
    return tuple(dict.fromkeys(concept for concept in held if concept))


def searched_concepts(facts: EpochFacts, domain: str) -> tuple[str, ...]:
    """The concepts that an epoch answers to in a search: those that hold, and the weaker ones in them."""
    held = concepts(facts, domain)
    return tuple(dict.fromkeys([*held, *(IMPLIED[concept] for concept in held if concept in IMPLIED)]))


def _by_domain() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for limit in THRESHOLDS:
        found.setdefault(limit.domain, []).append(limit.concept)
    found["cardiac"] += TREND_CONCEPTS.values()
    found["somatic"] += POSITION_CONCEPTS
    return {domain: tuple(names) for domain, names in found.items()}


CONCEPTS_OF_DOMAIN = _by_domain()
"""The concepts of each channel domain."""
