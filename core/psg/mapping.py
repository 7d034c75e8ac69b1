"""The map of a recording: its labels resolved, with what stands beside the file and explains it."""

from collections.abc import Sequence
from pathlib import Path

from core.errors import StudyError
from core.psg.channels import ChannelMap, resolve
from core.psg.montage import Montage
from core.psg.position_codes import StatedCodes, codes_of_names
from core.psg.recording import Recording
from core.psg.scorings.markup import MAX_XML_BYTES, step_channels

BESIDE = ("-profusion.xml", ".xml", ".XML", ".edf.XML", ".edf.xml")
"""What Profusion's and the NSRR's exports call the XML of a study, after the study's stem."""
_POSITION = "pos"
"""How a channel of positions is called in every language that Profusion speaks."""


def map_recording(
    recording: Recording, montage: Montage | None = None, scoring: Path | None = None, look_beside: bool = True
) -> ChannelMap:
    """Find the source of every channel of a recording.

    Parameters
    ----------
    recording
        The recording; its samples are not read.
    montage
        A lab's own choice for some channels; it wins over everything else.
    scoring
        The scoring that was given by hand: a Profusion XML names the recorder's position codes.
    look_beside
        Whether such a file is looked for beside the recording too.

    Returns
    -------
    ChannelMap
        As `core.psg.channels.resolve` gives it, with the position codes that the study states.

    Raises
    ------
    UsageError
        If the montage names a signal that the file does not have.
    """
    found = resolve(recording.signals, montage)
    position = found.source("POS")
    if not position.signals or (montage is not None and (montage.position_codes or montage.positive_side)):
        return found
    files = ([scoring] if scoring is not None else []) + (explanations(recording.path) if look_beside else [])
    for file in files:
        stated = stated_codes(file, position.labels)
        if stated is not None:
            return resolve(recording.signals, montage, stated)
    return found


def explanations(path: Path) -> list[Path]:
    """Return the files beside a recording that may name its position codes."""
    return [file for ending in BESIDE if (file := path.with_name(path.stem + ending)).is_file()]


def stated_codes(path: Path, labels: Sequence[str]) -> StatedCodes | None:
    """Read what a Profusion XML calls the recorder's position codes.

    Parameters
    ----------
    path
        The file; it need not exist.
    labels
        Labels of the position signal.

    Returns
    -------
    StatedCodes or None
        None where the file is none of Profusion's or names no positions; reading it as a scoring tells what is wrong
        with it.
    """
    if path.suffix.lower() != ".xml" or not path.is_file():
        return None
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_XML_BYTES else b""
        channels = step_channels(data, path.name)
    except (StudyError, OSError):
        return None
    wanted = {label.strip().casefold() for label in labels}
    named = [names for channel, names in channels if channel.strip().casefold() in wanted]
    named += [names for channel, names in channels if channel.strip().casefold().startswith(_POSITION)]
    codes = next((found for names in named if (found := codes_of_names(names)) is not None), None)
    return StatedCodes(codes, path.name) if codes is not None else None
