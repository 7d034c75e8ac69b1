"""What a signal's label says: labels of labs, cohorts and vendors read into one vocabulary.

Labels are normalised (case, prefixes such as ``EEG`` and ``POL``, suffixes such as ``-Ref``, brackets, separators)
and then read by a small grammar of 10-20 electrodes and by tables of words. Names are those of the AASM manual
(M1, E1), of Rechtschaffen and Kales (A1, LOC), of the NSRR cohorts and of the usual exports.
"""

import re
import unicodedata
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Reading:
    """What a label says of its signal.

    Parameters
    ----------
    role
        ``eeg eog_left eog_right eog chin ecg thorax abdomen airflow position spo2 pulse mastoid leg_left leg_right
        snore motion other``.
    rank
        0 is the best of a role; larger is a less direct sensor of the same thing.
    electrode
        The active electrode in AASM names (``C3``, ``M2``, ``E1``), a member of a pair (``CHIN1``), or empty.
    reference
        The reference electrode in AASM names, ``LINKED``, ``AVERAGE``, or empty for the recorder's own.
    note
        A remark for the reader of the map.
    """

    role: str
    rank: int = 0
    electrode: str = ""
    reference: str = ""
    note: str = ""


OTHER = Reading("other")

_SCALP = (
    r"FPZ|FP[12]|AFZ|AF[3478]|FCZ|FC[1-6]|FT[78]|FZ|F10|F[1-9]|CPZ|CP[1-6]|CZ2|CZ|C[1-6]|T[3-8]|TP[78]|"
    r"POZ|PO[3478]|PZ|P[1-8]|OZ|O[12]"
)
_MASTOID = r"[AM][12]"
_LINKED = r"[AM]1\s*\+?\s*[AM]2(?:\s*2)?|[AM]12|AA|CLE|LER|LE|LM|LINKED|MASTOIDS?"
_AVERAGE = r"AVG|AVE|AVR|AV|CAR|AVERAGE"
_RECORDER = r"REF[12]?|0V|G2|GND|AUX|X|COM"
_LEFT_EYE = r"E1|E-1|LOC|LEOG|LEYE|PG1|EOGL|EOG1|EOGLEFT|LEFTEYE"
_RIGHT_EYE = r"E2|E-2|ROC|REOG|REYE|PG2|EOGR|EOG2|EOGRIGHT|RIGHTEYE"
_REFERENCE = rf"{_LINKED}|{_AVERAGE}|{_RECORDER}|{_MASTOID}|{_SCALP}"
_EEG = re.compile(rf"(?P<e>{_SCALP}|{_MASTOID})(?:[\s\-]*(?P<r>{_REFERENCE}))?")
_REVERSED = re.compile(rf"(?P<r>{_MASTOID})[\s\-]*(?P<e>{_SCALP})")
_EYE = re.compile(rf"(?:(?P<l>{_LEFT_EYE})|(?P<r>{_RIGHT_EYE}))(?:[\s\-]*(?P<ref>{_REFERENCE}))?")
_EYE_PAIR = re.compile(rf"(?:{_LEFT_EYE})[\s\-]*(?:{_RIGHT_EYE})|(?:{_RIGHT_EYE})[\s\-]*(?:{_LEFT_EYE})")

_IGNORED = frozenset(
    (
        *("HR", "HRATE", "DHR", "PR", "PULS", "PULSE", "PULSFREQ", "BPM", "PLETH", "PLETHWV", "PLETHYSMOGRAM"),
        *("LIGHT", "CO2", "ETCO2", "TCCO2"),
        *("TCO2", "TCPCO2", "CAPNO", "LEAK", "OFF", "STAT", "STATUS", "OXSTAT", "OXSTATUS", "QUALITY", "IMP"),
        *("IMPEDANCE", "EVENT", "EVENTS", "MARKER", "TEMP", "TEMPERATURE", "BATTERY", "ACTIVITY", "ACTIGRAPHY"),
        *("ACT", "PTT", "PHASE", "RMI", "TRIG", "TRIGGER", "EPAP", "IPAP", "RATE", "TIDAL", "VIDEO", "GRAVITY"),
        *("PH", "BP", "SV", "PAT", "RR", "GSR", "DC", "AUDIO", "VOLUME", "FREQ", "SUM", "XSUM", "RIPSUM", "EXTRA"),
        *("ELEVATION", "LUX", "PWV", "ANNOTATIONS", "VOICE", "HUMIDITY"),
    )
)
_PULSE = frozenset(
    (
        *("HR", "HRATE", "HEARTRATE", "DHR", "PR", "PULS", "PULSE", "PULSERATE", "PULSRATE", "PULSEFREQUENCY", "BPM"),
        *("APULSE", "PULSFREQ", "PULSFREQUENZ", "HERZFREQUENZ", "HERZFREQ", "POULS", "PULSO", "POLSO"),
        *("FREQUENZACARDIACA", "FREQUENCECARDIAQUE", "FRECUENCIACARDIACA"),
    )
)
_OXIMETER = frozenset(("OXI", "OXIMETER", "OXYMETER", "OX", "SPO2", "SAO2", "NONIN", "MASIMO"))
_SNORE = re.compile(r"SNOR|SCHNARCH|RONFL|RUSSA|^MIC$|MICROPHONE|^PHONO\d?$|^SOUND$|^AUDIO$")
_MOTION = re.compile(r"^ACC[XYZ\d]?$|^ACCEL|ACTIGR|^ACTIVITY$")
_LEFT_LEG = re.compile(r"^(?:L|LEFT|LI|LINKS|SX|SIN)$|^(?:LAT|LLEG|LTIB|LEGL|TIBL|PLML|LEFTLEG)\d?$")
_RIGHT_LEG = re.compile(r"^(?:R|RIGHT|RE|RECHTS|DX|DES)$|^(?:RAT|RLEG|RTIB|LEGR|TIBR|PLMR|RIGHTLEG)\d?$")
_LEG = re.compile(r"LEG|TIB|^[LR]AT\d?$|EMG[LR]AT|PLM|BEIN|GAMB")
_LIMB = re.compile(r"LEGS?|[LR]LEG|TIB|[LR]AT\b|PLM|ARM|FLEX|EXTENS|FDS|DELTOID|INTERCOST|MASSETER|DX\d|SX\d|LIMB|BEIN")
_CHIN = re.compile(r"CHIN|MENT|SUBM|KINN|MIO")
_SPO2 = re.compile(r"SPO2|SAO2|O2SAT|SATO2|OSAT|^SO2$|^SAT$|SATURATION|SAETTIGUNG|^SATUR|^O2S$")
_POSITION = re.compile(
    r"^POS$|POSITION|POSIZIONE|POSICION|KOERPERPOS|BODYPOS|^BPOS|^LAGE|KOERPERLAGE|^BODY$|POSSENS|^POSN"
)
_ABDOMEN = re.compile(r"^ABD|ADDOM|BAUCH|BELLY|^VAB|STOMACH|^ABO|(?:RIP|EFFORT|EFF|RESP|BELT|INDUCTANCE)ABD|^EFFABD")
_THORAX = re.compile(
    r"^THO|^THX|THRX|TORAC|TORAX|CHEST|RIBCAGE|^RIBS?$|BRUST|^VTH|^TOR$|(?:RIP|EFFORT|EFF|RESP|BELT|INDUCTANCE)THO"
)
_PRESSURE = re.compile(
    r"PNAS|NASALPR|NASALP$|NPRESS?|PTAF|^PRESS?$|CANN?ULA|NASPR|NASPRESS?|^NAF|PRESSIONE?NAS|NASENDRUCK|STAUDRUCK|^NP$"
)
_THERMAL = re.compile(r"^THER$|^THERM|TERMIST|ORONASAL|ORALNASAL|^ORAL|NASALTH|NEWAIR|FLOWTH|THERMISTOR|THERMOCOUPLE")
_FLOW = re.compile(r"FLOW|FLUSSO|FLUSS|^AIR$|^NASAL$|^NASORAL|LUFTSTROM|^DEBIT|^FLUX")
_PAP = re.compile(r"CPAP|^PAP|BIPAP|CFLOW|^XPAP|MASK|^VPAP|DEVICEFLOW")
_ECG = re.compile(r"^(?:ECG|EKG)")


def normalise(label: str) -> str:
    """Upper case without accents, one blank between words, brackets and separators made blanks, micro signs alike.

    Parameters
    ----------
    label
        The label as the file has it.

    Returns
    -------
    str
        For example ``EEG(sec)`` becomes ``EEG SEC`` and ``C3:A2`` becomes ``C3-A2``.
    """
    text = unicodedata.normalize("NFKC", label).upper()
    for umlaut, letters in (("Ä", "AE"), ("Ö", "OE"), ("Ü", "UE"), ("Ø", "OE"), ("Å", "AA")):
        text = text.replace(umlaut, letters)
    text = "".join(part for part in unicodedata.normalize("NFD", text) if not unicodedata.combining(part))
    text = text.replace(":", "-").replace("–", "-").replace("−", "-")
    text = re.sub(r"[()\[\]{}_/\\.,;'\"$#*=]", " ", text)
    text = re.sub(r"\s*-\s*", "-", text)
    return re.sub(r"\s+", " ", text).strip(" -")


def read_label(label: str) -> Reading:
    """Read one label.

    Parameters
    ----------
    label
        The label as the file has it.

    Returns
    -------
    Reading
        Its role; ``other`` for what is no channel (plethysmogram, arms, light) and for what is unknown.
    """
    text = normalise(label)
    words = re.findall(r"[A-Z0-9]+", text)
    joined = "".join(words)
    if not words:
        return OTHER
    if joined == "SATURAZIONE":
        return Reading("spo2")
    if joined in _PULSE or "".join(word for word in words if word not in _OXIMETER) in _PULSE:
        return Reading("pulse", rank=1 if joined == "DHR" else 0)
    if _IGNORED.intersection(words) or joined in _IGNORED:
        return _summed(words, joined)
    generic = re.fullmatch(r"EEG(SEC|\d)?", joined)
    if generic:
        return Reading("eeg", electrode="EEG" + (generic[1] or ""))
    stripped = re.sub(r"^(?:(?:EEG|POL|PSG|CH\d*)[\s\-]+|EEG(?=\S))", "", text)
    for reader in _READERS:
        reading = reader(stripped)
        if reading is not None:
            return reading
    return OTHER


def _summed(words: list[str], joined: str) -> Reading:
    """Labels with a word that is no signal, but whose signal is one all the same: ``SpO2 DC``, ``Thorax DC``."""
    rest = [word for word in words if word != "DC"]
    if "DC" in words and rest and not _IGNORED.intersection(rest):
        reading = read_label(" ".join(rest))
        return replace(reading, rank=reading.rank + 1)
    return OTHER


def _joined(text: str) -> str:
    return re.sub(r"REF[12]?$", "", re.sub(r"[^A-Z0-9]", "", text)) or text


def _read_ecg(text: str) -> Reading | None:
    joined = _joined(text)
    if not _ECG.search(joined):
        return None
    rest = re.sub(r"ECG|EKG|LEAD", "", joined)
    pair = re.fullmatch(r"([1-3LR])", rest)
    if pair:
        return Reading("ecg", rank={"L": 1, "R": 2}.get(pair[1]) or int(pair[1]), electrode="ECG" + pair[1])
    return Reading("ecg", rank=0 if rest in ("", "II", "12", "LR", "RL", "1", "I") else 1)


def _reference(text: str | None) -> str:
    """Name a reference in AASM terms."""
    if not text:
        return ""
    squashed = re.sub(r"\s", "", text)
    if re.fullmatch(_LINKED, text) or re.fullmatch(_LINKED, squashed):
        return "LINKED"
    if re.fullmatch(_AVERAGE, squashed):
        return "AVERAGE"
    if re.fullmatch(_RECORDER, squashed):
        return ""
    return re.sub(r"^A(?=[12]$)", "M", squashed)


_MODERN = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8", "CZ2": "CZ"}


def _read_scalp(text: str) -> Reading | None:
    match = _EEG.fullmatch(text) or _REVERSED.fullmatch(text)
    if match is None:
        return None
    electrode = re.sub(r"^A(?=[12]$)", "M", match["e"])
    electrode = _MODERN.get(electrode, electrode)
    reference = _reference(match["r"])
    if electrode in ("M1", "M2"):
        return Reading("mastoid", electrode=electrode, reference=reference) if reference not in ("M1", "M2") else OTHER
    note = "reversed polarity" if match.re is _REVERSED else ""
    return Reading("eeg", rank=1 if note else 0, electrode=electrode, reference=reference, note=note)


def _read_eyes(text: str) -> Reading | None:
    bare = re.sub(r"^EOG[\s\-]+(?=(?:E|LOC|ROC|PG))", "", text)
    if _EYE_PAIR.fullmatch(bare):
        return Reading("eog", note="one bipolar derivation of both eyes")
    match = (
        _EYE.fullmatch(bare)
        or _EYE.fullmatch(bare.replace(" ", ""))
        or _EYE.fullmatch(re.sub(r"^EOG-(?=[LR12])", "EOG", bare))
    )
    if match:
        side = "left" if match["l"] else "right"
        return Reading(f"eog_{side}", electrode="E1" if side == "left" else "E2", reference=_reference(match["ref"]))
    words = re.findall(r"[A-Z0-9]+", text)
    if not any("EOG" in word or "EYE" in word for word in words):
        return None
    rest = " ".join(words).replace("EOG", " ").replace("EYE", " ").split()
    if {"L", "LEFT", "LI", "LINKS", "SIN", "SX", "SN", "G", "GAUCHE"}.intersection(rest) or "1" in rest:
        return Reading("eog_left", electrode="E1", reference=_last_reference(rest))
    if {"R", "RIGHT", "RE", "RECHTS", "DX", "DES", "DROIT"}.intersection(rest) or "2" in rest:
        return Reading("eog_right", electrode="E2", reference=_last_reference(rest))
    if any(word.startswith(("V", "UPPER", "LOWER")) for word in rest):
        return Reading("eog", rank=2, note="vertical eye movements only")
    return Reading(
        "eog", rank=0 if any(word.startswith("H") for word in rest) else 1, note="one derivation of both eyes"
    )


def _last_reference(words: list[str]) -> str:
    return _reference(words[-1]) if words and re.fullmatch(_MASTOID, words[-1]) else ""


def _read_emg(text: str) -> Reading | None:
    joined = _joined(text)
    is_emg = "EMG" in joined
    if _LIMB.search(joined) and not _CHIN.search(joined):
        return _read_leg(text) if _LEG.search(joined) else OTHER
    if not (is_emg or _CHIN.search(joined)):
        return None
    single = re.fullmatch(r"(?:EMG)?(?:CHIN)?(?:EMG)?([1-3LRC])|(?:EMG)?([LRC])CHIN(?:EMG)?|CHIN([1-3LRC])EMG", joined)
    if single:
        member = next(group for group in single.groups() if group)
        rank = {"1": 1, "L": 1, "2": 2, "R": 2, "3": 3, "C": 3}[member]
        return Reading("chin", rank=rank, electrode=("CHIN" if "CHIN" in joined else "EMG") + member)
    rest = re.sub(r"EMG|[0-9+]", "", joined)
    known = not rest or bool(_CHIN.search(joined))
    return Reading("chin", rank=0 if _CHIN.search(joined) else 1) if known else OTHER


def _read_leg(text: str) -> Reading:
    """Read the anterior tibialis of a side; both legs in one signal count as the left one."""
    words = [word for word in re.findall(r"[A-Z]+\d?", text) if word not in ("EMG", "LEG", "LEGS", "TIB", "BEIN")]
    digits = "".join(re.findall(r"\d", text))[-1:]
    for side, pattern in (("leg_left", _LEFT_LEG), ("leg_right", _RIGHT_LEG)):
        if any(pattern.search(word) for word in words):
            return Reading(side, rank=int(digits or 0), electrode="LEG" + digits)
    if digits in ("1", "2") and len(re.findall(r"\d", text)) == 1:
        return Reading("leg_left" if digits == "1" else "leg_right", rank=5, note="legs by number")
    return Reading("leg_left", rank=9, note="one signal of both legs")


def _read_sound_and_motion(text: str) -> Reading | None:
    joined = _joined(text)
    if _SNORE.search(joined):
        return Reading("snore", rank=0 if "SNOR" in joined else 1)
    if _MOTION.search(joined):
        return Reading("motion")
    return None


def _read_oxygen_and_position(text: str) -> Reading | None:
    joined = _joined(text)
    words = re.findall(r"[A-Z0-9]+", text)
    if _SPO2.search(joined):
        return Reading("spo2", rank=1 if joined.endswith("BB") else 0)
    if any(_POSITION.search(word) for word in words) or _POSITION.search(joined):
        return Reading("position")
    return None


def _read_breathing(text: str) -> Reading | None:
    joined = _joined(text)
    words = [*re.findall(r"[A-Z0-9]+", text), joined]
    if any(_ABDOMEN.search(word) for word in words):
        return Reading("abdomen")
    if any(_THORAX.search(word) for word in words):
        return Reading("thorax", rank=1 if "THRX" in joined else 0)
    if _PAP.search(joined):
        return Reading("airflow", rank=2, note="flow of the PAP device") if _FLOW.search(joined) else OTHER
    if re.search(r"^(?:RIP|X)FLOW|RIPFLOW|FLOWRIP", joined):
        return Reading("airflow", rank=4, note="computed from the effort belts")
    if any(_PRESSURE.search(word) for word in words):
        return Reading("airflow", rank=0, note="nasal pressure")
    if any(_THERMAL.search(word) for word in words):
        return Reading("airflow", rank=3, note="thermal sensor")
    if any(_FLOW.search(word) for word in words):
        return Reading("airflow", rank=1)
    return None


_READERS = (
    *(_read_sound_and_motion, _read_ecg, _read_eyes, _read_scalp, _read_emg),
    *(_read_oxygen_and_position, _read_breathing),
)
