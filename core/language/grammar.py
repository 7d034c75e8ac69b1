"""Sentences from the bank, and sentences back to the bank: one set of wordings serves writing and reading."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from types import MappingProxyType

from core.language.phrases import GROUPS, Group, Item
from core.language.sites import show_sites
from core.language.values import read_value, value_pattern, value_text

SEPARATOR = re.compile(r",\s+and\s+|,\s+then\s+|,\s+|\s+and\s+", re.IGNORECASE)
SENTENCE_END = re.compile(r"\.(?:\s+|$)")
_LOOSE = re.compile(r" ([,.:%])")
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Told:
    """A sentence that was recognised."""

    group: Group
    wording: str
    values: Mapping[str, float | None]
    """Values by name; None for a slot that is not filled in."""
    rest: tuple[str, ...] = ()
    """Parts of the list that were not understood."""


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def sentences(text: str) -> list[str]:
    """Split a caption at its full stops (not at decimal points), without them and with single spaces."""
    cleaned = " ".join(text.split())
    if any(loose in cleaned for loose in (" ,", " .", " :", " %")):
        cleaned = _LOOSE.sub(r"\1", cleaned)
    return [part.strip() for part in SENTENCE_END.split(cleaned) if part.strip()]


def joined(parts: Sequence[str], word: str = "and") -> str:
    """List parts with commas and a last connector: `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def choose_wording(group: Group, known: Sequence[str], rng: Random, terse: bool) -> str:
    """A wording that fits the values that are known."""
    lists = group.lists[: group.terse_lists] if terse else group.lists
    wholes = group.wholes[: group.terse_wholes] if terse else group.wholes
    return rng.choice(lists + wholes if set(group.names) <= set(known) else lists)


def render(
    group: Group,
    wording: str,
    values: Mapping[str, str],
    comma_only: bool = True,
    sites: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Write the group's sentence with the texts of its known values.

    A wording that needs a value which is not there is replaced by the group's first list.

    Parameters
    ----------
    values
        Text by measurement name, at least one of the group's.
    comma_only
        Join a list of `{items}` with commas, or end it with "and"; a list of `{valued}`, which is in a sentence with
        a verb, always ends with "and".
    sites
        Names of the signals that stand in for channels: a sentence about such a channel names the signal.
    """
    site = {group.channel: sites[group.channel]} if group.channel in sites else {}
    if (site and show_sites(wording, site) == wording) or _is_no_range(group, values):
        wording = group.lists[0]
    wording = show_sites(wording, site)
    if "{items}" not in wording and "{valued}" not in wording:
        if all(name in values for name in _FIELD.findall(wording)):
            return sentence(wording.format_map(dict(values)))
        wording = show_sites(group.lists[0], site)
    valued = "{valued}" in wording
    parts = [
        f"{values[item.name]} {item.noun}" if valued else f"{item.word} {values[item.name]}".strip()
        for item in group.items
        if item.name in values
    ]
    text = ", ".join(parts) if comma_only and not valued else joined(parts)
    return sentence(wording.format(items=text, valued=text))


def _is_no_range(group: Group, values: Mapping[str, str]) -> bool:
    """Whether the least and the largest value read alike: nobody says "from 97% to 97%"."""
    low, high = values.get(f"{group.key}_min"), values.get(f"{group.key}_max")
    return low is not None and low == high


def value_texts(group: Group, values: Mapping[str, float], slots: bool) -> dict[str, str]:
    """Texts of the group's known values: figures, or the slots that stand for them."""
    return {name: f"<{name}>" if slots else value_text(name, values[name]) for name in group.names if name in values}


def _literal(text: str) -> str:
    return r"\s+".join(re.escape(part) for part in text.split(" "))


@cache
def _whole_pattern(wording: str) -> re.Pattern[str]:
    pieces = _FIELD.split(wording)
    pattern = "".join(
        f"(?P<{piece}>{value_pattern(piece)})" if index % 2 else _literal(piece) for index, piece in enumerate(pieces)
    )
    return re.compile(pattern, re.IGNORECASE)


@cache
def _item_pattern(item: Item, valued: bool) -> re.Pattern[str]:
    value = f"(?P<value>{value_pattern(item.name)})"
    if valued:
        return re.compile(rf"{value}\s+{_literal(item.noun)}", re.IGNORECASE)
    lead = rf"{_literal(item.word)}\s+" if item.word else ""
    return re.compile(lead + value, re.IGNORECASE)


@cache
def _list_pattern(wording: str) -> re.Pattern[str]:
    before, after = re.split(r"\{items\}|\{valued\}", wording)
    return re.compile(f"{_literal(before)}(?P<parts>.+){_literal(after)}", re.IGNORECASE)


def _read_list(group: Group, wording: str, text: str) -> Told | None:
    found = _list_pattern(wording).fullmatch(text)
    if found is None:
        return None
    values: dict[str, float | None] = {}
    rest = []
    for part in SEPARATOR.split(found["parts"]):
        for item in group.items:
            match = _item_pattern(item, "{valued}" in wording).fullmatch(part.strip())
            if match is not None and item.name not in values:
                values[item.name] = read_value(item.name, match["value"])
                break
        else:
            rest.append(part)
    return Told(group, wording, values, tuple(rest)) if values else None


def _read_whole(group: Group, wording: str, text: str) -> Told | None:
    found = _whole_pattern(wording).fullmatch(text)
    if found is None:
        return None
    return Told(group, wording, {name: read_value(name, value) for name, value in found.groupdict().items()})


@cache
def _wordings(domain: str | None) -> tuple[tuple[Group, str, bool, str], ...]:
    """Group, wording, whether it is a list, and the lower-case text before its first value."""
    return tuple(
        (group, wording, "{items}" in wording or "{valued}" in wording, wording[: wording.index("{")].strip().lower())
        for group in GROUPS
        if domain is None or group.domain == domain
        for wording in group.wholes + group.lists
    )


@lru_cache(maxsize=16384)
def read_sentence(text: str, domain: str | None = None) -> Told | None:
    """Find the group and wording of a sentence (without its full stop); None where the bank has none that fits.

    Where only a part of a list is understood, the best such reading is returned with what is left.
    """
    best: Told | None = None
    lowered = text.lower()
    for group, wording, listed, start in _wordings(domain):
        if not lowered.startswith(start):
            continue
        told = (_read_list if listed else _read_whole)(group, wording, text)
        if told is None:
            continue
        if not told.rest:
            return told
        if best is None or len(told.values) > len(best.values):
            best = told
    return best
