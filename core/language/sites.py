"""What was measured where another derivation or sensor stands in for a channel, written and read."""

import re
from collections.abc import Mapping
from typing import Any

NAMES = {
    "EEG_C3": "C3",
    "EEG_C4": "C4",
    "EOG_L": "the left EOG",
    "EOG_R": "the right EOG",
    "AF": "the airflow",
}
"""What a caption calls the channels that another signal can stand in for."""

PULSE = "the oximeter's pulse"
"""What stands in for the ECG as the source of the heart rate."""

_SIDES = {"EOG_L": "left", "EOG_R": "right"}
_STOPS = r"(?:the|at|over|in|and|so|therefore) |, |; "
_SHOWN = re.compile(
    rf"(?:(?<=^)|(?<=\bthe )|(?<=\bat )|(?<=\bover )|(?<=\bin )|(?<=, )|(?<=\band ))"
    rf"(?P<label>(?:(?!\b{_STOPS})[^()])+?) \(in place of (?P<name>{'|'.join(NAMES.values())})\)",
    re.IGNORECASE,
)
_CHANNELS = {name.lower(): channel for channel, name in NAMES.items()}


def shown_names(channel_map: Mapping[str, Any]) -> dict[str, str]:
    """The names of the signals that stand in for a channel.

    Parameters
    ----------
    channel_map
        `channels`: a row a channel with its `target`, `derivation`, `state` and `labels`, as a prepared study has it.

    Returns
    -------
    dict[str, str]
        Channel to a name such as `Fpz-Cz`, for each channel whose state is `substitute`.
    """
    return {
        row["target"]: _name(str(row.get("derivation", "")), row.get("labels", ()))
        for row in channel_map.get("channels", ())
        if row.get("state") == "substitute" and row.get("target") in NAMES
    }


def _name(derivation: str, labels: Any) -> str:
    """The derivation in the file's own capitals where its label holds it, without marks that end a sentence."""
    label = str(labels[0]) if labels else ""
    start = label.lower().find(derivation.lower())
    name = label[start : start + len(derivation)] if derivation and start >= 0 else derivation or label
    cleaned = " ".join(re.sub(r"[^\w\s+/&-]", " ", name).split())
    return re.sub(r"\band\b", "&", cleaned) or "another signal"


def show_sites(text: str, sites: Mapping[str, str]) -> str:
    """Name in a sentence what was measured: `C3 delta 62%` gives `Fpz-Cz (in place of C3) delta 62%`.

    Parameters
    ----------
    text
        A sentence in the bank's wording.
    sites
        Shown name by channel.
    """
    for channel, site in sites.items():
        if channel == "ECG":
            text = _replaced(r"\bheart rate\b(?! \()", f"heart rate (from {site})", text)
            continue
        name = NAMES[channel]
        if channel in _SIDES:
            side = _SIDES[channel]
            text = _replaced(rf"\b{side} eye movements", f"eye movements in {site} (in place of {name})", text)
            text = _replaced(rf"\b{side} EOG", f"{site} (in place of {name})", text)
        elif channel == "AF":
            text = _replaced(r"\bairflow\b(?! sensor)", f"{site} (in place of {name})", text)
        else:
            text = _replaced(rf"\b{name}\b(?P<kind> EEG)?", f"{site}{{kind}} (in place of {name})", text)
    return text


def _replaced(pattern: str, shown: str, text: str) -> str:
    """Replace the first occurrence that does not itself stand in brackets; a capital letter stays one."""
    found = re.search(rf"(?<!in place of )(?<!in place of the ){pattern}", text, re.IGNORECASE)
    if found is None:
        return text
    written = shown.replace("{kind}", found.groupdict().get("kind") or "")
    if found.start() == 0:
        written = f"{written[:1].upper()}{written[1:]}"
    return f"{text[: found.start()]}{written}{text[found.end() :]}"


def hide_sites(text: str) -> tuple[str, dict[str, str]]:
    """The other way: the sentence in the bank's wording, and the shown name by channel."""
    sites: dict[str, str] = {}
    if "(" not in text and "eye movements in" not in text.lower():
        return text, sites  # nearly every sentence of a night with a whole montage

    def canonical(found: re.Match[str]) -> str:
        channel = _CHANNELS[found["name"].lower()]
        label = found["label"]
        kind = " EEG" if channel.startswith("EEG") and label.lower().endswith(" eeg") else ""
        sites[channel] = label[: len(label) - len(kind)]
        return f"{NAMES[channel].removeprefix('the ')}{kind}"

    hidden = _SHOWN.sub(canonical, text)
    hidden, by_pulse = re.subn(rf" \(from {PULSE}\)", "", hidden, flags=re.IGNORECASE)
    if by_pulse:
        sites["ECG"] = PULSE
    return re.sub(r"\beye movements in (left|right) EOG\b", r"\1 eye movements", hidden, flags=re.IGNORECASE), sites
