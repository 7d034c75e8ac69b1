"""Candidates for every channel among a file's signals, ranked: which derivation or sensor is taken, and why."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.psg.labels import OTHER, Reading, normalise, read_label

if TYPE_CHECKING:
    from core.psg.recording import SignalInfo


@dataclass(frozen=True)
class Candidate:
    """A way to make a channel.

    Parameters
    ----------
    signals
        ``(index,)`` or ``(index, reference index)``; ``()`` when there is none.
    derivation
        What it is, for example ``C3-M2``.
    state
        ``ok``, ``substitute`` or ``missing``.
    reason
        Why.
    rank
        Smaller is better.
    others
        The other ways, best first.
    """

    signals: tuple[int, ...]
    derivation: str
    state: str
    reason: str
    rank: int = 0
    others: "tuple[Candidate, ...]" = ()


# Lowest sampling rate (Hz) at which a signal is still what its label says: twice the upper edge of what is measured
# on it (EEG to beta 20 Hz, EMG from 10 Hz up, QRS to 25 Hz, breathing to 0.5 Hz); below it is a trend or an envelope.
MINIMUM_RATE = {
    "eeg": 40.0,
    "eog": 20.0,
    "emg": 50.0,
    "ecg": 50.0,
    "effort": 1.0,
    "airflow": 1.0,
    "position": 0.0,
    "spo2": 0.0,
    "pulse": 0.0,
    "leg": 50.0,
    "snore": 20.0,
    "motion": 4.0,
}
_NAMES = {
    "eeg": "an EEG",
    "eog": "an EOG",
    "emg": "an EMG",
    "ecg": "an ECG",
    "effort": "breathing effort",
    "airflow": "airflow",
    "leg": "a leg EMG",
    "snore": "snoring",
    "motion": "movement",
}
_NO_VOLTAGE = frozenset(
    (
        *("%", "BPM", "1/MIN", "/MIN", "MIN", "DEG", "DEGC", "C", "°C", "°", "LPM", "L/MIN", "L/S", "ML", "CMH2O"),
        *("HPA", "MMHG", "MBAR", "KPA", "HZ", "S", "SEC", "MS", "LUX", "G", "DB", "EVENT"),
    )
)
MOST_EYES = 4
"""Signals labelled E and a number, above which they are the electrodes of a net."""
_CONTRALATERAL = {"C3": "M2", "C4": "M1"}
_IPSILATERAL = {"C3": "M1", "C4": "M2"}
# Other scalp positions by nearness to the vertex, where sleep EEG looks most like the central one.
_SUBSTITUTES = (
    *("CZ", "C1", "C2", "C5", "C6", "FCZ", "FC1", "FC2", "FC3", "FC4", "CPZ", "CP1", "CP2", "CP3", "CP4"),
    *("FZ", "F3", "F4", "F1", "F2", "PZ", "P3", "P4", "P1", "P2", "AFZ", "AF3", "AF4", "FPZ", "FP1", "FP2"),
)


@dataclass(frozen=True)
class _Signal:
    info: "SignalInfo"
    reading: Reading

    @property
    def name(self) -> str:
        """Electrode and reference in AASM names, or the label where there is none."""
        reading = self.reading
        if not reading.electrode or reading.electrode.startswith("EEG"):
            return self.info.label.strip()
        return reading.electrode + (
            f"-{reading.reference.lower()}"
            if reading.reference in ("LINKED", "AVERAGE")
            else f"-{reading.reference}"
            if reading.reference
            else ""
        )


def best_candidates(signals: "Sequence[SignalInfo]", targets: Sequence[tuple[str, str]]) -> dict[str, Candidate]:
    """Choose a candidate for every target.

    Parameters
    ----------
    signals
        The file's signals.
    targets
        Names and kinds of the channels.

    Returns
    -------
    dict
        Channel name to the best candidate; ``missing`` with its reason where there is none.
    """
    read = _cohort([_Signal(info, _checked(info)) for info in signals])
    unlikely = [_Signal(info, read_label(info.label)) for info in signals if _checked(info) is OTHER]
    chosen: dict[str, Candidate] = {}
    for name, kind in targets:
        usable, slow = _by_rate(read, MINIMUM_RATE[kind])
        found = sorted(_CANDIDATES[name](usable), key=lambda c: (c.rank, -_rate(c, signals), c.signals))
        chosen[name] = replace(found[0], others=tuple(found[1:])) if found else _missing(name, kind, slow, unlikely)
    return _single_eeg(chosen, read)


def _rate(candidate: Candidate, signals: "Sequence[SignalInfo]") -> float:
    return next(signal.rate for signal in signals if signal.index == candidate.signals[0])


def _by_rate(read: list[_Signal], least: float) -> tuple[list[_Signal], list[_Signal]]:
    fast = [signal for signal in read if signal.info.rate >= least and signal.info.n_samples > 0]
    return fast, [signal for signal in read if signal.info.rate < least]


def _missing(name: str, kind: str, slow: list[_Signal], unlikely: list[_Signal]) -> Candidate:
    too_slow = sorted(_CANDIDATES[name](slow), key=lambda c: c.rank)
    if too_slow:
        index = too_slow[0].signals[0]
        signal = next(s for s in slow if s.info.index == index).info
        reason = f"'{signal.label.strip()}' is sampled at {signal.rate:g} Hz, too slowly for {_NAMES[kind]}"
    elif no_voltage := sorted(_CANDIDATES[name](unlikely), key=lambda c: c.rank):
        signal = next(s for s in unlikely if s.info.index == no_voltage[0].signals[0]).info
        reason = f"'{signal.label.strip()}' is in {signal.unit.strip()}, which is no unit of {_NAMES[kind]}"
    else:
        reason = "no label of this kind"
    return Candidate((), "", "missing", reason)


def _checked(info: "SignalInfo") -> Reading:
    """Read a label, and refuse a voltage channel whose unit is no voltage."""
    reading = read_label(info.label)
    voltage = reading.role in ("eeg", "eog", "eog_left", "eog_right", "chin", "ecg", "mastoid", "leg_left", "leg_right")
    return OTHER if voltage and info.unit.strip().upper() in _NO_VOLTAGE else reading


def _cohort(read: list[_Signal]) -> list[_Signal]:
    """Read labels that only the company they keep explains."""
    by_label = {normalise(signal.info.label).replace(" ", ""): signal for signal in read}
    meaning: dict[str, Reading] = {}
    if sum(signal.reading.role in ("eeg", "mastoid") for signal in read) == 1:
        meaning["O2"] = OTHER  # alone, it is oxygen rather than an occipital electrode
    second = next((label for label in ("EEGSEC", "EEG2") if label in by_label), None)
    if "EEG" in by_label and ("THORRES" in by_label or second == "EEGSEC" or (second and "EEG1" not in by_label)):
        meaning["EEG"] = Reading("eeg", electrode="C4", reference="M1", note="as in SHHS")
        if second:
            meaning[second] = Reading("eeg", electrode="C3", reference="M2", note="as in SHHS")
    if {"EEG1", "EEG2", "EEG3"} <= by_label.keys():
        meaning["EEG1"] = Reading("eeg", electrode="FZ", reference="CZ", note="as in MESA")
        meaning["EEG2"] = Reading("eeg", electrode="CZ", reference="OZ", note="as in MESA")
        meaning["EEG3"] = Reading("eeg", electrode="C4", reference="M1", note="as in MESA")
        meaning["AUXAC"] = Reading("airflow", rank=3, note="thermal sensor, as in MESA")
    numbered = [label for label in by_label if re.fullmatch(r"E\d{1,3}", label)]
    if len(numbered) > MOST_EYES:
        meaning |= dict.fromkeys(numbered, OTHER)  # electrodes of a net, E1 to E256; its E1 and E2 are no eyes
    if {"X1", "X2", "X3", "X4"} <= by_label.keys():
        meaning["X1"] = Reading("chin", note="as in ISRUC")
        meaning["X2"] = Reading("ecg", note="as in ISRUC")
    return [
        _Signal(signal.info, meaning.get(normalise(signal.info.label).replace(" ", ""), signal.reading))
        for signal in read
    ]


def _subtractable(first: _Signal, second: _Signal) -> bool:
    """Two signals of one recorder reference, rate, length and unit."""
    a, b = first.info, second.info
    return (
        a.index != b.index
        and a.rate == b.rate
        and a.n_samples == b.n_samples
        and a.unit.strip() == b.unit.strip()
        and first.reading.reference == second.reading.reference
    )


def _with_role(read: Iterable[_Signal], *roles: str) -> list[_Signal]:
    return [signal for signal in read if signal.reading.role in roles]


def _alone(signal: _Signal, rank: int, state: str, reason: str) -> Candidate:
    note = signal.reading.note
    return Candidate((signal.info.index,), signal.name, state, f"{reason} ({note})" if note else reason, rank)


def _rereferenced(signal: _Signal, read: list[_Signal], mastoid: str, rank: int) -> Iterator[Candidate]:
    for reference in _with_role(read, "mastoid"):
        if reference.reading.electrode == mastoid and _subtractable(signal, reference):
            name = f"{signal.reading.electrode}-{mastoid}"
            yield Candidate((signal.info.index, reference.info.index), name, "ok", f"re-referenced to {mastoid}", rank)


def _central(electrode: str, read: list[_Signal]) -> Iterator[Candidate]:
    contralateral, ipsilateral = _CONTRALATERAL[electrode], _IPSILATERAL[electrode]
    for signal in _with_role(read, "eeg"):
        reading = signal.reading
        if reading.electrode != electrode:
            continue
        extra = reading.rank
        if reading.reference == contralateral:
            yield _alone(signal, 0 + extra, "ok", "the AASM derivation")
        elif reading.reference == ipsilateral:
            yield _alone(signal, 20 + extra, "ok", "referenced to the mastoid of the same side")
        elif reading.reference in ("LINKED", "AVERAGE"):
            yield _alone(signal, 40 + extra, "ok", f"{reading.reference.lower()} reference")
        elif reading.reference == "":
            yield _alone(signal, 50 + extra, "ok", "the recorder's own reference; no mastoid to subtract")
        else:
            yield _alone(signal, 60 + extra, "substitute", "a bipolar derivation with the central electrode")
        yield from _rereferenced(signal, read, contralateral, 10 + extra)
        yield from _rereferenced(signal, read, ipsilateral, 30 + extra)


def _single_eeg(chosen: dict[str, Candidate], read: list[_Signal]) -> dict[str, Candidate]:
    """Give a recording without a central EEG another scalp derivation, marked as a substitute."""
    if chosen["EEG_C3"].signals or chosen["EEG_C4"].signals:
        return chosen
    usable, _ = _by_rate(_with_role(read, "eeg", "mastoid"), MINIMUM_RATE["eeg"])
    ranked = sorted(_with_role(usable, "eeg"), key=lambda signal: (_substitute_rank(signal), signal.info.index))
    if not ranked:
        return chosen
    best = ranked[0]
    found = chosen | {_side(best.reading.electrode): _stand_in(best, usable)}
    for signal in ranked[1:]:
        if signal.reading.electrode == _mirror(best.reading.electrode):
            found[_side(signal.reading.electrode)] = _stand_in(signal, usable)
            break
    return found


def _stand_in(signal: _Signal, read: list[_Signal]) -> Candidate:
    reason = "no central EEG; this derivation stands in"
    if signal.reading.reference == "":
        mastoids = _CONTRALATERAL["C4" if _side(signal.reading.electrode) == "EEG_C4" else "C3"], "M1", "M2"
        for candidate in (c for mastoid in mastoids for c in _rereferenced(signal, read, mastoid, 0)):
            return Candidate(candidate.signals, candidate.derivation, "substitute", reason)
    return _alone(signal, 0, "substitute", reason)


def _number(electrode: str) -> int:
    """Return the number of a lateral electrode, 0 for the midline and for labels without a place."""
    digits = electrode.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return 0 if electrode.startswith("EEG") or not digits else int(digits)


def _side(electrode: str) -> str:
    number = _number(electrode)
    return "EEG_C4" if number and number % 2 == 0 else "EEG_C3"


def _mirror(electrode: str) -> str:
    number = _number(electrode)
    if not number:
        return "none"
    return electrode.rstrip("0123456789") + str(number + 1 if number % 2 else number - 1)


def _substitute_rank(signal: _Signal) -> int:
    electrode, reference = signal.reading.electrode, signal.reading.reference
    if electrode.startswith("EEG"):
        return 50
    rank = _SUBSTITUTES.index(electrode) if electrode in _SUBSTITUTES else 45
    if reference in ("C3", "C4"):
        return 1
    return min(rank, 3) if reference == "CZ" else rank


def _eye(side: str, read: list[_Signal]) -> Iterator[Candidate]:
    own = _with_role(read, f"eog_{side}")
    for signal in own:
        reading = signal.reading
        if reading.reference in ("M1", "M2"):
            yield _alone(
                signal, 0, "ok", "the AASM derivation" if reading.reference == "M2" else "referenced to a mastoid"
            )
        else:
            yield _alone(signal, 30 + reading.rank, "ok", "the only derivation of this eye")
        yield from _rereferenced(signal, read, "M2", 10)
        yield from _rereferenced(signal, read, "M1", 20)
    both = _with_role(read, "eog_left", "eog_right")
    if side == "left" and not both:
        for signal in _with_role(read, "eog"):
            yield _alone(signal, 40 + signal.reading.rank, "substitute", "no EOG of one eye; this one stands in")


_PAIRS = {
    "chin": (
        ("CHINL", "CHINR"),
        ("CHINC", "CHINL"),
        ("CHINC", "CHINR"),
        ("CHIN1", "CHIN2"),
        ("EMG1", "EMG2"),
        ("CHIN1", "CHIN3"),
    ),
    "ecg": (("ECGL", "ECGR"), ("ECG1", "ECG2")),
}


def _paired(role: str, read: list[_Signal]) -> Iterator[Candidate]:
    own = _with_role(read, role)
    for signal in own:
        yield _alone(signal, 10 * signal.reading.rank, "ok", "by its label")
    for rank, (first, second) in enumerate(_PAIRS[role]):
        for a in own:
            for b in own:
                if (a.reading.electrode, b.reading.electrode) == (first, second) and _subtractable(a, b):
                    yield Candidate(
                        (a.info.index, b.info.index),
                        f"{first}-{second}",
                        "ok",
                        "difference of two electrodes",
                        1 + rank,
                    )


def _leg(role: str, read: list[_Signal]) -> Iterator[Candidate]:
    """One signal of a leg, or the difference of its two electrodes where each is a signal of its own."""
    own = _with_role(read, role)
    for signal in own:
        yield _alone(signal, 10 + signal.reading.rank, "ok", "by its label")
    for first in own:
        for second in own:
            if (first.reading.electrode, second.reading.electrode) == ("LEG1", "LEG2") and _subtractable(first, second):
                indices = (first.info.index, second.info.index)
                yield Candidate(indices, f"{first.name}-{second.name}", "ok", "difference of two electrodes", 1)


_PLAIN_REASON = {
    "pulse": "by its label; gives the heart rate where no ECG does",
}


def _plain(role: str, read: list[_Signal]) -> Iterator[Candidate]:
    for signal in _with_role(read, role):
        if role in ("airflow", "thorax", "abdomen") and signal.info.rate < 4:
            reason = f"sampled at {signal.info.rate:g} Hz: slow breathing only"
            yield _alone(signal, 20 + signal.reading.rank, "substitute", reason)
        else:
            state = "substitute" if role == "airflow" and signal.reading.rank >= 4 else "ok"
            yield _alone(signal, signal.reading.rank, state, _PLAIN_REASON.get(role, "by its label"))


_CANDIDATES = {
    "ECG": lambda read: _paired("ecg", read),
    "ABD": lambda read: _plain("abdomen", read),
    "THX": lambda read: _plain("thorax", read),
    "AF": lambda read: _plain("airflow", read),
    "EOG_L": lambda read: _eye("left", read),
    "EOG_R": lambda read: _eye("right", read),
    "EEG_C3": lambda read: _central("C3", read),
    "EEG_C4": lambda read: _central("C4", read),
    "EMG_CHIN": lambda read: _paired("chin", read),
    "POS": lambda read: _plain("position", read),
    "SPO2": lambda read: _plain("spo2", read),
    "PULSE": lambda read: _plain("pulse", read),
    "LEG_L": lambda read: _leg("leg_left", read),
    "LEG_R": lambda read: _leg("leg_right", read),
    "SNORE": lambda read: _plain("snore", read),
    "ACC": lambda read: _plain("motion", read),
}
