"""Formats that mne reads: what each is called, which package its reader needs, and why a file of it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import StudyError


@dataclass(frozen=True)
class Format:
    """A format that mne reads."""

    name: str
    """What people call it."""
    package: str = ""
    """Package that mne's reader imports and mne does not bring; empty where there is none."""
    parts: str = ""
    """Files that belong to such a recording, in words; empty where it is one file."""
    reader: str = ""
    """mne's reader by name; empty for the one that mne chooses by the suffix."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What that reader has to be told."""
    beside: tuple[str, ...] = ()
    """Suffixes of the files of the same stem that belong to a recording."""
    machine_clock: bool = False
    """Whether mne takes the recorder's clock for this machine's, and so the start depends on the machine's zone."""


_CURRY = Format(
    "Curry",
    "curryreader",
    "the .cdt or .dat with its .dpa, .dap or .rs3",
    beside=(".cdt", ".dat", ".dap", ".rs3", ".cdt.dpa", ".cdt.cef", ".cef"),
)
_EGI = Format("EGI simple binary", reader="read_raw_egi", machine_clock=True)
_BRAINVISION = Format("BrainVision", parts="the .vhdr with its .eeg and .vmrk", beside=(".eeg", ".vmrk", ".dat"))
_KIT = Format("KIT")
FORMATS: dict[str, Format] = {
    ".vhdr": _BRAINVISION,
    ".ahdr": _BRAINVISION,
    ".set": Format("EEGLAB", parts="the .set with its .fdt", beside=(".fdt",)),
    ".fif": Format("FIF"),
    ".fif.gz": Format("FIF"),
    ".cnt": Format("Neuroscan CNT", reader="read_raw_cnt", machine_clock=True),
    ".gdf": Format("GDF"),
    ".mff": Format("EGI MFF", "mffpy", "the whole .mff folder"),
    ".egi": _EGI,
    ".raw": _EGI,
    ".nxe": Format("eXimia"),
    ".eeg": Format("Nihon Kohden EEG", parts="the .eeg with its .pnt, .log and .21e", beside=(".pnt", ".log", ".21e")),
    ".data": Format("Nicolet", "", "the .data with its .head", "read_raw_nicolet", {"ch_type": "eeg"}, (".head",)),
    ".lay": Format("Persyst", parts="the .lay with its .dat", beside=(".dat",)),
    ".dap": _CURRY,
    ".cdt": _CURRY,
    ".snirf": Format("SNIRF", "h5py"),
    ".mefd": Format("MEF3", "pymef", "the whole .mefd folder"),
    ".hdr": Format("NIRx", parts="the whole folder"),
    ".bin": Format("ARTEMIS123 or FIL", parts="the whole folder"),
    ".nedf": Format("NEDF"),
    ".con": _KIT,
    ".sqd": _KIT,
    ".mat": Format("FieldTrip", "pymatreader", "", "read_raw_fieldtrip", {"info": None}),
}
"""Formats by suffix, in lower case."""
_ANT = Format("ANT CNT", "antio", reader="read_raw_ant")
_RIFF = (b"RIFF", b"RF64")
"""How ANT's .cnt files begin; Neuroscan's begin with their version."""
_NEUROSCAN = b"Version "
_MATLAB_HDF = b"MATLAB 7.3"
"""How EEGLAB files of MATLAB's later format begin, which scipy does not read."""


def format_suffix(path: Path) -> str:
    """Return the suffix that names a file's format, in lower case."""
    name = path.name.lower()
    return ".fif.gz" if name.endswith(".fif.gz") else path.suffix.lower()


def format_of(path: Path, first: bytes) -> Format:
    """Return the format of a file whose suffix is one of `FORMATS`.

    Parameters
    ----------
    path
        The file or folder.
    first
        The file's first bytes, which tell ANT's .cnt from Neuroscan's.

    Raises
    ------
    StudyError
        The file is a part of a recording whose header has to be given, or is of no format that has its suffix.
    """
    suffix = format_suffix(path)
    if suffix == ".cnt":
        if first[:4] in _RIFF:
            return _ANT
        if not first.startswith(_NEUROSCAN):
            raise StudyError(f"{path.name} begins neither like a Neuroscan nor like an ANT recording.", _EXPORT)
    if suffix == ".set" and first.startswith(_MATLAB_HDF):
        return replace(FORMATS[suffix], package="pymatreader")
    header = path.with_suffix(".vhdr")
    if suffix == ".eeg" and header.is_file():
        raise StudyError(f"{path.name} holds the samples of a BrainVision recording.", f"Give {header.name}.")
    return FORMATS[suffix]


def companions(path: Path) -> list[Path]:
    """Return the files that belong to a recording of several files besides the one that is named, in order."""
    known = FORMATS.get(format_suffix(path))
    if known is None or not known.beside:
        return []
    suffixes = {letters for suffix in known.beside for letters in (suffix, suffix.upper())}
    files = (path.with_suffix(suffix) for suffix in sorted(suffixes))
    return [file for file in files if file.is_file() and not file.samefile(path)]


_EXPORT = "Export the study as EDF."


def refusal(path: Path, known: Format, error: BaseException) -> StudyError:
    """Say in one sentence why mne cannot read a file.

    Parameters
    ----------
    path
        The file.
    known
        Its format.
    error
        What mne raised; only its kind is told, because its words may hold anything.
    """
    if known.package and find_spec(known.package) is None:
        what = f"{path.name} is in the format {known.name}, for which mne needs the package {known.package}."
        return StudyError(what, f"Install it with `pip install {known.package}`, or export the study as EDF.")
    missing = isinstance(error, FileNotFoundError) or isinstance(error.__context__, FileNotFoundError)
    if missing and known.parts:
        what = f"{path.name} cannot be read: a file that belongs to this {known.name} recording is not there."
        return StudyError(what, f"Keep together {known.parts}.")
    what = f"{path.name} cannot be read by mne: it is damaged, or no {known.name} recording ({type(error).__name__})."
    return StudyError(what, _EXPORT)
