"""A whole simulated night: signals and truth from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.psg.simulate import (
    artefacts,
    breathing,
    cardiac,
    eeg,
    emg,
    eog,
    events,
    hypnogram,
    legs,
    oxygen,
    sensors,
    tracks,
)
from core.psg.simulate.derivation import DERIVATIONS, FRONTAL_LEAK
from core.psg.simulate.lab import Lab, draw_lab
from core.psg.simulate.noise import BIN_SECONDS, gaussian_rows
from core.psg.simulate.subject import Subject, draw_subject
from core.psg.simulate.summary import summarise
from core.psg.simulate.transients import SLOW_WAVE_UV, Transients, draw_transients, seen_sizes
from core.psg.simulate.truth import EPOCH_SECONDS, NightTruth, Span

Signal = tuple[NDArray[np.float32], float, str]
_STREAMS = (
    "subject",
    "lab",
    "hypnogram",
    "events",
    "breathing",
    "oxygen",
    "arousals",
    "heart",
    "eyes",
    "tone",
    "cortex",
    "artefacts",
    "sensors",
    "legs",
)


@dataclass(frozen=True)
class NightOptions:
    """What is wished of a night; everything left out is drawn from the seed."""

    hours: float = 8.0
    """Length of the recording; a track has its own length, cut to this one."""
    subject: Subject | None = None
    """Who sleeps."""
    track: Path | None = None
    """Real band-power track to follow."""
    lab: Lab | None = None
    """Where it is recorded."""
    derivations: tuple[str, ...] = ("EEG_C3", "EEG_C4")
    """EEG channels, names of ``derivation.DERIVATIONS``."""
    legs: bool = False
    """Whether the EMG of both legs is recorded; nothing else of the night depends on it."""


@dataclass(frozen=True)
class SimulatedNight:
    """Signals and truth."""

    seed: int
    """Seed that made it."""
    subject: Subject
    """Who slept."""
    lab: Lab
    """Where."""
    signals: dict[str, Signal]
    """Samples (float32), rate (Hz) and unit of each channel."""
    truth: NightTruth
    """What is true."""


@dataclass(frozen=True)
class _Body:
    """The states of brain and body on which all signals hang."""

    subject: Subject
    lab: Lab
    states: NDArray[np.int8]  # (bins,)
    open_eyes: NDArray[np.bool_]  # (bins,)
    events: tuple[Span, ...]
    breaths: breathing.Breaths
    positions: tuple[Span, ...]
    spo2: NDArray[np.float32]  # (seconds,)
    lights: tuple[float, float]


def simulate_night(seed: int, options: NightOptions | None = None) -> SimulatedNight:
    """Simulate a night.

    Parameters
    ----------
    seed : int
        Equal seeds and options give equal nights to the last bit.
    options : NightOptions, optional
        Length, subject, lab, track.

    Returns
    -------
    SimulatedNight
        EEG, EOG and EMG in µV and ECG in mV at 256 Hz, airflow and efforts in device units at 32 Hz, SpO2 in % and
        position code at 1 Hz.

    Raises
    ------
    UsageError
        When the night is shorter than ten minutes or a derivation is unknown.
    StudyError
        When the track cannot be read.
    """
    wish = options or NightOptions()
    unknown = [name for name in wish.derivations if name not in DERIVATIONS]
    if unknown:
        raise UsageError(f"{unknown[0]} is no simulated derivation.", f"Choose from {', '.join(DERIVATIONS)}.")
    n_epochs = int(wish.hours * 3600 // EPOCH_SECONDS)
    if n_epochs < 20:
        raise UsageError(
            f"A night of {wish.hours:g} h is too short to simulate.", "Give at least 0.17 h (ten minutes)."
        )
    rngs = {name: np.random.default_rng([seed, k]) for k, name in enumerate(_STREAMS)}
    subject = wish.subject or draw_subject(rngs["subject"])
    lab = wish.lab or draw_lab(rngs["lab"])
    track = tracks.read_track(wish.track) if wish.track else None
    if track is None:
        stages = hypnogram.draw_stages(rngs["hypnogram"], subject, n_epochs)
    else:
        track = _cut(track, n_epochs)
        stages = track.stages
    body = _live(rngs, subject, lab, stages)
    return _record(rngs, body, stages, wish, (seed, track))


def _cut(track: tracks.Track, n_epochs: int) -> tracks.Track:
    """Keep the part of a track with the most sleep."""
    n = len(track.stages)
    if n <= n_epochs:
        return track
    slept = np.concatenate([[0], np.cumsum(track.stages != hypnogram.W)])
    first = int(np.argmax(slept[n_epochs:] - slept[: n - n_epochs + 1]))
    keep = slice(first, first + n_epochs)
    return replace(track, stages=track.stages[keep], log_power=track.log_power[keep])


def _eyes(rng: np.random.Generator, states: NDArray[np.int8], lights: tuple[float, float]) -> NDArray[np.bool_]:
    """Bins of wake with open eyes: most of the time with the light on, in bouts in the dark."""
    time = np.arange(len(states)) * BIN_SECONDS
    lit = (time < lights[0]) | (time >= lights[1])
    bouts = np.repeat(rng.random(len(states) // 8 + 1), 8)[: len(states)]
    return np.asarray((states == hypnogram.W) & (bouts < np.where(lit, 0.85, 0.3)))


def _live(rngs: dict[str, np.random.Generator], subject: Subject, lab: Lab, stages: NDArray[np.int8]) -> _Body:
    """Let the subject sleep, turn, breathe and wake."""
    states = hypnogram.mix_states(stages, rngs["hypnogram"])
    seconds = round(len(stages) * EPOCH_SECONDS)
    slept = np.flatnonzero(stages != hypnogram.W)
    first, last = (int(slept[0]), int(slept[-1]) + 1) if len(slept) else (0, len(stages))
    rng = rngs["events"]
    lights = (
        float(round(first * EPOCH_SECONDS * rng.uniform(0.2, 0.7))),
        float(round(seconds - (seconds - last * EPOCH_SECONDS) * rng.uniform(0.1, 0.6))),
    )
    positions = events.draw_positions(rng, subject, states)
    codes = events.position_codes(positions, seconds)
    planned = events.plan_respiratory(rng, subject, states, codes)
    pauses = events.plan_pauses(rng, subject, states)
    planned = sorted([*planned, *pauses], key=lambda span: span.onset)
    breaths, respiratory = breathing.breathe(rngs["breathing"], subject, states, planned)
    spo2 = oxygen.saturate(rngs["oxygen"], subject, breathing.ventilation(breaths, seconds))
    falls = oxygen.desaturations(spo2)
    wanting = [_wanting(event, falls, subject.oxygen_lag) for event in respiratory]
    arousals = events.plan_arousals(rngs["arousals"], subject, states, wanting)
    respiratory = [event for event in respiratory if _scorable(event, falls, arousals, subject.oxygen_lag)]
    limbs = legs.choose_legs(rngs["legs"], events.plan_limb_movements(rng, subject, states))
    shown = oxygen.desaturations(oxygen.averaged(spo2, lab))  # a scorer sees the oximeter, not the blood
    everything = sorted([*respiratory, *shown, *arousals, *limbs], key=lambda e: (e.onset, e.type))
    open_eyes = _eyes(rngs["eyes"], states, lights)
    return _Body(subject, lab, states, open_eyes, tuple(everything), breaths, positions, spo2, lights)


def _falls_after(event: Span, falls: list[Span], lag: float) -> bool:
    """Whether a desaturation belongs to a respiratory event."""
    return any(
        event.onset <= fall.end and fall.onset <= event.end + lag + 15 and fall.end > event.onset + 5 for fall in falls
    )


def _wanting(event: Span, falls: list[Span], lag: float) -> Span:
    """Mark the hypopnea that only an arousal can make scorable."""
    if event.type == "hypopnea" and not _falls_after(event, falls, lag):
        return replace(event, amplitude=-1.0)
    return event


def _scorable(event: Span, falls: list[Span], arousals: list[Span], lag: float) -> bool:
    """AASM: a hypopnea needs a 3 % desaturation or an arousal, a RERA an arousal."""
    aroused = any(-3 <= a.onset - event.end <= 5 for a in arousals)
    if event.type == "rera":
        return aroused
    return event.type != "hypopnea" or aroused or _falls_after(event, falls, lag)


def _record(
    rngs: dict[str, np.random.Generator],
    body: _Body,
    stages: NDArray[np.int8],
    wish: NightOptions,
    origin: tuple[int, tracks.Track | None],
) -> SimulatedNight:
    """Record every channel and gather the truth."""
    seed, track = origin
    subject, lab, states = body.subject, body.lab, body.states
    arousals = tuple(e for e in body.events if e.type == "arousal")
    gaze = eog.gaze(rngs["eyes"], states, body.open_eyes, float(rngs["eyes"].lognormal(0.0, 0.3)))
    level = emg.tone(rngs["tone"], subject, states)
    waves = draw_transients(rngs["cortex"], subject, states, arousals)
    weights = eeg.component_weights(rngs["cortex"], subject, states, body.open_eyes, level, arousals)
    rows = gaussian_rows(len(states), eeg.RATE, rngs["cortex"])
    cortex = eeg.Cortex(weights, rows, waves, arousals, gaze, seed)
    signals: dict[str, Signal] = {}
    sizes = np.array([wave.amplitude * subject.eeg_gain for wave in waves.slow_waves])
    for k, name in enumerate(wish.derivations):
        rng = np.random.default_rng([seed, 100, k])
        trace = eeg.derive(cortex, subject, DERIVATIONS[name], rng)
        if track is not None:
            trace = tracks.follow(trace, tracks.target_powers(track, name), eeg.RATE)
        if k == 0:
            sizes = seen_sizes(trace, eeg.RATE, waves.slow_waves)
        signals[name] = (eeg.amplify(trace, lab, rng), eeg.RATE, "uV")
    rng = np.random.default_rng([seed, 101])
    for k, (name, sign) in enumerate((("EOG_L", -1.0), ("EOG_R", 1.0))):
        leak = eeg.derive(cortex, subject, FRONTAL_LEAK, np.random.default_rng([seed, 102, k]))
        trace = leak + np.float32(sign) * (gaze.horizontal + gaze.vertical)
        signals[name] = (eeg.amplify(trace, lab, rng), eog.RATE, "uV")
    beats = cardiac.beat(rngs["heart"], subject, states, body.breaths, body.events)
    chin = emg.electromyogram(rngs["tone"], level, states, body.events, gaze.rapid, lab)
    signals["EMG_CHIN"] = (chin, emg.RATE, "uV")
    faults = _record_below_the_neck(rngs, body, beats, signals)
    _bleed(signals, wish.derivations, lab)
    spoiled = artefacts.plan_artefacts(rngs["artefacts"], tuple(signals), states, body.positions, lab)
    artefacts.spoil(rngs["artefacts"], signals, spoiled, lab)
    spoiled = tuple(sorted((*spoiled, *faults), key=lambda s: (s.onset, s.type, s.channels)))
    waves = replace(waves, slow_waves=_seen(waves.slow_waves, sizes))
    if wish.legs:
        moved = tuple(span for span in spoiled if span.type == "movement")
        traces = legs.electromyograms(rngs["legs"], legs.Legs(states, body.events, moved), signals["ECG"][0], lab)
        signals |= {name: (trace, emg.RATE, "uV") for name, trace in traces.items()}
    truth = _truth(body, stages, beats, (waves, gaze), spoiled)
    return SimulatedNight(seed, subject, lab, signals, truth)


def _seen(waves: tuple[Span, ...], sizes: NDArray[np.float64]) -> tuple[Span, ...]:
    """Slow waves as a scorer counts them: those that stand 75 µV high in the first derivation."""
    pairs = zip(waves, sizes.tolist(), strict=True)
    return tuple(replace(wave, amplitude=round(size, 1)) for wave, size in pairs if size >= SLOW_WAVE_UV)


def _record_below_the_neck(
    rngs: dict[str, np.random.Generator], body: _Body, beats: cardiac.Beats, signals: dict[str, Signal]
) -> tuple[Span, ...]:
    """Add heart, breathing, oxygen and position to the signals, in place; returns where a breathing sensor slipped."""
    seconds = len(body.spo2)
    trace = cardiac.electrocardiogram(beats, body.subject, body.lab, body.breaths, rngs["heart"], seconds)
    signals["ECG"] = (trace, cardiac.RATE, "mV")
    rng = rngs["sensors"]
    faults = sensors.plan_faults(rng, body.lab, seconds)
    bedside = sensors.Bedside(body.subject, body.lab, seconds, body.positions, faults, beats.time)
    abdomen, thorax = sensors.effort(body.breaths, bedside, rng)
    signals["ABD"] = (abdomen, breathing.RATE, "a.u.")
    signals["THX"] = (thorax, breathing.RATE, "a.u.")
    signals["AF"] = (sensors.airflow(body.breaths, bedside, rng), breathing.RATE, "a.u.")
    signals["SPO2"] = (oxygen.oximeter(body.spo2, body.lab), 1.0, "%")
    signals["POS"] = (events.position_codes(body.positions, seconds).astype(np.float32), 1.0, "code")
    return faults


def _bleed(signals: dict[str, Signal], names: tuple[str, ...], lab: Lab) -> None:
    """Let the heart be seen on the electrodes of the head, in place."""
    for name in (*names, "EOG_L", "EOG_R"):
        seen = DERIVATIONS.get(name, FRONTAL_LEAK)
        signals[name][0][:] += np.float32(1000 * lab.ecg_bleed * seen.cardiac) * signals["ECG"][0]


def _truth(
    body: _Body,
    stages: NDArray[np.int8],
    beats: cardiac.Beats,
    waves: tuple[Transients, eog.Gaze],
    spoiled: tuple[Span, ...],
) -> NightTruth:
    """Gather what is true."""
    transients, gaze = waves
    breaths = body.breaths
    table = np.stack([breaths.onset, breaths.duration, breaths.flow, breaths.effort], axis=1)
    codes = events.position_codes(body.positions, len(body.spo2))
    gain = body.subject.eeg_gain
    return NightTruth(
        epochs=summarise(stages, codes, beats.time, table, (body.spo2, spoiled)),
        events=body.events,
        beats=beats.time,
        ectopic=beats.ectopic,
        breaths=table,
        spindles=tuple(replace(w, amplitude=round(w.amplitude * gain, 1)) for w in transients.spindles),
        slow_waves=transients.slow_waves,
        k_complexes=tuple(replace(w, amplitude=round(w.amplitude * gain, 1)) for w in transients.k_complexes),
        vertex_waves=transients.vertex_waves,
        sawtooth_waves=transients.sawtooth_waves,
        eye_movements=gaze.movements,
        artefacts=spoiled,
        positions=body.positions,
        spo2=body.spo2,
        lights_off=body.lights[0],
        lights_on=body.lights[1],
    )
