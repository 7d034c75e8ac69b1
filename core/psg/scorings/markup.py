"""Scorings as XML: NSRR's annotation files and Compumedics Profusion's exports. Parsed by defusedxml."""

import re
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from core.errors import StudyError
from core.psg.scorings.terms import (
    CLOCK_DAY,
    EPOCH_SECONDS,
    RK_CODES,
    UNSCORED,
    Event,
    Score,
    StageRow,
    event_type,
    rows_to_score,
    stage_name,
)

NSRR_STAGES = {
    "W": "Wake|0",
    "N1": "Stage 1 sleep|1",
    "N2": "Stage 2 sleep|2",
    "N3": "Stage 3 sleep|3",
    "R": "REM sleep|5",
    UNSCORED: "Unscored|9",
}
"""NSRR's concepts of stages."""
NSRR_EVENTS = {
    "obstructive_apnea": ("Respiratory|Respiratory", "Obstructive apnea|Obstructive Apnea"),
    "central_apnea": ("Respiratory|Respiratory", "Central apnea|Central Apnea"),
    "mixed_apnea": ("Respiratory|Respiratory", "Mixed apnea|Mixed Apnea"),
    "hypopnea": ("Respiratory|Respiratory", "Hypopnea|Hypopnea"),
    "rera": ("Respiratory|Respiratory", "Respiratory effort related arousal|RERA"),
    "desaturation": ("Respiratory|Respiratory", "SpO2 desaturation|SpO2 desaturation"),
    "arousal": ("Arousals|Arousals", "Arousal|Arousal ()"),
    "limb_movement": ("Limb Movement|Limb Movement", "Limb movement|Limb Movement"),
}
"""NSRR's types and concepts of events."""
MAX_XML_BYTES = 64 << 20
"""Bytes; a longer file is not looked into for the names of steps."""
_CLOCK = re.compile(r"(\d{1,2})[.:](\d{2})[.:](\d{2})(?:[.,]\d+)?\s*$")


def read_xml(data: bytes, name: str) -> Score:
    """Read an NSRR or Profusion scoring.

    Parameters
    ----------
    data
        The file's bytes.
    name
        The file's name, for messages.

    Raises
    ------
    StudyError
        The file is no well-formed XML, declares entities, or is no scoring.
    """
    root = _root(data, name)
    if root.tag == "PSGAnnotation":
        return _read_nsrr(root, name)
    if root.tag == "CMPStudyConfig":
        return _read_profusion(root, name)
    raise StudyError(f"{name} is XML, but neither an NSRR nor a Profusion scoring.", "Name another scoring.")


def _root(data: bytes, name: str) -> Element:
    try:
        root: Element = fromstring(data)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise StudyError(f"{name} is not well-formed XML.", "Export the scoring again.") from error
    return root


def step_channels(data: bytes, name: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the channels of a Profusion file whose values are steps: their labels, and the names of their steps.

    Parameters
    ----------
    data
        The file's bytes; any other XML has no such channels.
    name
        The file's name, for messages.

    Raises
    ------
    StudyError
        The file is no well-formed XML or declares entities.
    """
    if b"<StepChannel>" not in _letters(data):
        return []
    return [
        (channel.findtext("Input") or "", tuple((label.text or "").strip() for label in channel.iter("Label")))
        for channel in _root(data, name).iter("StepChannel")
    ]


def is_scoring_xml(data: bytes) -> bool:
    """Whether the beginning of a file is one of the known scorings in XML."""
    letters = _letters(data)
    return b"<PSGAnnotation" in letters or b"<CMPStudyConfig" in letters


def _letters(data: bytes) -> bytes:
    """Return bytes in which ASCII can be found, also where they are UTF-16."""
    return data.replace(b"\x00", b"")


def _number(element: Element, tag: str, name: str) -> float:
    try:
        return float((element.findtext(tag) or "").replace(",", "."))
    except ValueError as error:
        raise StudyError(f"{name} has an event without a readable {tag}.", "Export the scoring again.") from error


def _own_label(label: str, name: str) -> str:
    """Return what a cohort means by a label of its own.

    In MESA "Unsure" is no doubt but the only free tag of its scoring program: hypopneas with more than half of the flow
    gone (sleepdata.org/datasets/mesa/pages/polysomnography-introduction.md). Elsewhere it is left out.
    """
    mesa = name.lower().startswith("mesa-") and label.partition("|")[0].strip().lower() == "unsure"
    return "Hypopnea" if mesa else label


def _read_nsrr(root: Element, name: str) -> Score:
    rows: list[tuple[float, float, str]] = []
    start: datetime | None = None
    for event in root.iter("ScoredEvent"):
        concept = (event.findtext("EventConcept") or "").strip()
        if concept.partition("|")[0].lower() == "recording start time":
            clock = _CLOCK.search(event.findtext("ClockTime") or "")
            if clock is not None:
                seconds = int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
                start = CLOCK_DAY + timedelta(seconds=seconds % 86400)
            continue
        label = _own_label(concept, name)
        if (event.findtext("EventType") or "").startswith("Stages"):
            label = "Sleep stage " + concept.rpartition("|")[2]
        rows.append((_number(event, "Start", name), _number(event, "Duration", name), label))
    return rows_to_score(rows, start)


def _read_profusion(root: Element, name: str) -> Score:
    seconds = _number(root, "EpochLength", name) if root.find("EpochLength") is not None else EPOCH_SECONDS
    codes = [(stage.text or "").strip() for stage in root.iter("SleepStage")]
    rows = tuple(StageRow(0.0, 0.0, RK_CODES.get(code) or stage_name(code, True) or UNSCORED) for code in codes)
    events = tuple(
        Event(kind, _number(event, "Start", name), _number(event, "Duration", name))
        for event in root.iter("ScoredEvent")
        if (kind := event_type(_own_label(event.findtext("Name") or "", name)))
    )
    return Score(rows, events, has_onsets=False, epoch_seconds=seconds)


def write_nsrr(
    stages: tuple[str, ...], events: tuple[Event, ...], lights_off: float | None, lights_on: float | None
) -> bytes:
    """Return a scoring as NSRR XML; confidences are lost."""
    root = Element("PSGAnnotation")
    SubElement(root, "SoftwareVersion").text = "sleepcli"
    SubElement(root, "EpochLength").text = "30"
    parent = SubElement(root, "ScoredEvents")
    rows = [("Stages|Stages", NSRR_STAGES[stage], i * EPOCH_SECONDS, EPOCH_SECONDS) for i, stage in enumerate(stages)]
    rows += [(*NSRR_EVENTS[event.type], event.onset, event.duration) for event in events]
    for concept, onset in (("Lights Off", lights_off), ("Lights On", lights_on)):
        rows += [] if onset is None else [("|", f"{concept}|{concept}", onset, 0.0)]
    for kind, concept, onset, duration in rows:
        element = SubElement(parent, "ScoredEvent")
        SubElement(element, "EventType").text = kind
        SubElement(element, "EventConcept").text = concept
        SubElement(element, "Start").text = f"{onset:.12g}"
        SubElement(element, "Duration").text = f"{duration:.12g}"
    indent(root)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
