"""The fourth level: a night in readable paragraphs."""

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING

from core.language.grammar import joined
from core.language.phrases import STAGE_NAMES

if TYPE_CHECKING:  # the statistics bring the measuring code and with it scipy
    from core.language.night import NightStatistics

SEVERITY = ((5.0, "within the normal range"), (15.0, "in the mild range"), (30.0, "in the moderate range"))
"""Upper limits of the apnea-hypopnea index an hour (AASM Task Force 1999, Sleep 22:667); above: severe."""

_POSITIONS = {
    "right": "on the right side",
    "left": "on the left side",
    "supine": "supine",
    "prone": "prone",
    "upright": "upright",
}
_COUNTED = {
    "obstructive_apnea": ("obstructive apnea", "obstructive apneas"),
    "central_apnea": ("central apnea", "central apneas"),
    "mixed_apnea": ("mixed apnea", "mixed apneas"),
    "hypopnea": ("hypopnea", "hypopneas"),
    "rera": ("respiratory effort-related arousal", "respiratory effort-related arousals"),
}
_COUNTERS = {
    "scoring": "The scoring lists",
    "model": "The model found",
    "measurements": "By rule, the measured signals show",
}
_FINDERS = {"model": " (events found by the model)", "measurements": " (events found by rule on the measured signals)"}
"""Said of an index whose events no human has scored."""


def describe_night(statistics: "NightStatistics", seed: int) -> str:
    """Tell a night in paragraphs: sleep, its stages, arousals and movements, breathing, oxygen, heart, position.

    What is not known is left out; a night without any stage says so.

    Parameters
    ----------
    statistics
        The night in figures.
    seed
        Chooses the wording.

    Returns
    -------
    str
        Paragraphs separated by an empty line.
    """
    rng = Random(f"{seed}/night")
    paragraphs = (
        _sleep(statistics, rng),
        _stages(statistics, rng),
        _unrest(statistics),
        _breathing(statistics, rng),
        _oxygen(statistics, rng),
        _heart(statistics),
        _position(statistics, rng),
    )
    return "\n\n".join(" ".join(sentences) for sentences in paragraphs if sentences)


def minutes_text(minutes: float) -> str:
    """A length of time in hours and minutes: `7 h 32 min`, `45 min`."""
    whole = round(minutes)
    hours, rest = divmod(whole, 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _sleep(night: "NightStatistics", rng: Random) -> list[str]:
    bed = minutes_text(night.time_in_bed)
    told = []
    if night.total_sleep_time is None:
        told.append(f"The recording lasts {minutes_text(night.recording_time)}; sleep is not scored.")
        return told
    if night.total_sleep_time <= 0:
        return [f"No sleep was found in {bed} in bed."]
    sleep = minutes_text(night.total_sleep_time)
    efficiency = "" if night.sleep_efficiency is None else f", a sleep efficiency of {night.sleep_efficiency:.0f}%"
    told.append(
        rng.choice(
            (
                f"The total sleep time is {sleep} of {bed} in bed{efficiency}.",
                f"Of {bed} in bed, {sleep} were spent asleep{efficiency}.",
                f"Sleep lasted {sleep} in {bed} of time in bed{efficiency}.",
            )
        )
    )
    if not night.lights_known:
        told.append("Lights off and on are not known, so the whole recording counts as time in bed.")
    latencies = []
    if night.sleep_latency is not None:
        latencies.append(f"sleep began after {minutes_text(night.sleep_latency)}")
    if night.rem_latency is not None:
        latencies.append(f"REM sleep followed {minutes_text(night.rem_latency)} after sleep onset")
    if night.wake_after_sleep_onset is not None:
        latencies.append(f"wake after sleep onset amounted to {minutes_text(night.wake_after_sleep_onset)}")
    if latencies:
        told.append(_begun(joined(latencies)))
    return told


def _begun(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _stages(night: "NightStatistics", rng: Random) -> list[str]:
    shares = [(name, night.stage_shares[stage]) for stage, name in STAGE_NAMES.items() if stage in night.stage_shares]
    told = []
    if shares and night.total_sleep_time:
        listed = joined([f"{share:.0f}% {name}" for name, share in shares if share > 0])
        told.append(rng.choice((f"Sleep consisted of {listed}.", f"Sleep was made up of {listed}.")))
    absent = [name for name, share in shares if share == 0]
    if absent and night.total_sleep_time:
        told.append(f"There was no {joined(absent, 'or')}.")
    if night.cycles is not None and night.total_sleep_time:
        cycles = "no" if night.cycles == 0 else str(night.cycles)
        told.append("There was 1 sleep cycle." if night.cycles == 1 else f"There were {cycles} sleep cycles.")
    if night.rem_density is not None:
        told.append(f"In REM sleep there were {night.rem_density:.1f} rapid eye movements a minute.")
    return told


def _unrest(night: "NightStatistics") -> list[str]:
    told = []
    if night.arousal_index is not None:
        told.append(f"The arousal index is {night.arousal_index:.1f}/h{_finder(night, 'arousal')}.")
    if night.limb_movement_index is not None:
        told.append(f"The limb movement index is {night.limb_movement_index:.1f}/h{_finder(night, 'limb_movement')}.")
    return told


def _finder(night: "NightStatistics", kind: str) -> str:
    """A clause on who found the events of a type; empty for a scorer's."""
    return _FINDERS.get(night.found_by.get(kind, "scoring"), "")


def _counts(night: "NightStatistics") -> list[str]:
    """A sentence for each that found breathing events, on how many of each type."""
    told = []
    for finder, lead in _COUNTERS.items():
        counts = [
            f"{night.event_counts[kind]} {one if night.event_counts[kind] == 1 else several}"
            for kind, (one, several) in _COUNTED.items()
            if night.event_counts.get(kind) and night.found_by.get(kind, "scoring") == finder
        ]
        if counts:
            told.append(f"{lead} {joined(counts)}.")
    return told


def _severity(index: float) -> str:
    return next((text for limit, text in SEVERITY if index < limit), "in the severe range")


def _breathing(night: "NightStatistics", rng: Random) -> list[str]:
    told = []
    finder = _finder(night, "hypopnea")
    if night.ahi is not None:
        told.append(
            rng.choice(
                (
                    f"The apnea-hypopnea index is {night.ahi:.1f}/h, {_severity(night.ahi)}{finder}.",
                    f"Breathing events come at {night.ahi:.1f}/h of sleep, an index {_severity(night.ahi)}{finder}.",
                )
            )
        )
    elif night.rei is not None:
        told.append(
            f"The respiratory event index is {night.rei:.1f}/h of recording, {_severity(night.rei)}{finder};"
            " it counts by recording time, not sleep time."
        )
    rules = [
        f"{value:.1f}/h with the {percent} % rule"
        for percent, value in (("3", night.ahi3), ("4", night.ahi4))
        if value is not None
    ]
    if rules and night.ahi is not None:
        told.append(f"By the AASM criteria it is {joined(rules)}.")
    told += _counts(night)
    if night.found_by.get("hypopnea") == "measurements" and "arousal" not in night.found_by:
        told.append("Hypopneas that only an arousal would confirm are not among them.")
    states = (("REM", night.ahi_rem), ("NREM", night.ahi_nrem))
    parts = [f"{value:.1f}/h in {name}" for name, value in states if value is not None]
    if parts:
        told.append(f"The index was {joined(parts)} sleep.")
    if night.ahi_by_position:
        told.append(f"By position it was {_by_position(night.ahi_by_position, '.1f', '/h')}.")
    return told


def _by_position(values: Mapping[str, float], form: str, unit: str) -> str:
    return joined([f"{value:{form}}{unit} {_POSITIONS[name]}" for name, value in values.items() if name in _POSITIONS])


def _oxygen(night: "NightStatistics", rng: Random) -> list[str]:
    told = []
    if night.spo2_mean is not None:
        lowest = "" if night.spo2_min is None else f" and fell to {night.spo2_min:.0f}% at the lowest"
        verb = rng.choice(("averaged", "was on average"))
        told.append(f"Oxygen saturation {verb} {night.spo2_mean:.1f}%{lowest}.")
    if night.below_90 is not None:
        share = "" if night.below_90_share is None else f" ({night.below_90_share:.1f}%)"
        if night.below_90 < 0.05:
            told.append("It was never below 90%.")
        else:
            told.append(f"It was below 90% for {night.below_90:.1f} min{share}.")
    indices = [
        f"{value:.1f}/h at {percent} %"
        for percent, value in (("3", night.odi3), ("4", night.odi4))
        if value is not None
    ]
    if indices:
        told.append(f"The oxygen desaturation index is {joined(indices)}.")
    return told


def _heart(night: "NightStatistics") -> list[str]:
    told = []
    if night.heart_rate_mean is not None:
        told.append(f"The heart rate averaged {night.heart_rate_mean:.0f} bpm.")
    rates = [
        f"{night.heart_rate_by_stage[stage]:.0f} bpm in {name}"
        for stage, name in STAGE_NAMES.items()
        if stage in night.heart_rate_by_stage
    ]
    if rates:
        told.append(f"It was {joined(rates)}." if told else f"The heart rate was {joined(rates)}.")
    return told


def _position(night: "NightStatistics", rng: Random) -> list[str]:
    shares = {name: share for name, share in night.position_shares.items() if share >= 0.5}
    if not shares:
        return []
    ordered = dict(sorted(shares.items(), key=lambda entry: (-entry[1], entry[0])))
    lead = rng.choice(("Body position:", "The sleeper lay"))
    return [f"{lead} {_by_position(ordered, '.0f', '% of the time')}."]
