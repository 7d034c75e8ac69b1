"""From what people type to studies: files, folders, globs and lists."""

import glob
import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from core.batching.task import StudyInput
from core.errors import UsageError

STUDY_SUFFIXES = (".edf", ".bdf", ".rec", ".vhdr", ".set", ".fif", ".fif.gz", ".gdf", ".cnt", ".npy")
"""What a folder is searched for, besides `.psg` folders; a file given by name may have any suffix."""
STUDY_FOLDERS = (".psg", ".mff", ".mefd")
"""Folders that are one study: prepared ones, and EGI's and MEF's recordings."""


def expand(
    paths: Sequence[str], listed: Iterable[str] = (), is_scoring: Callable[[Path], bool] | None = None
) -> list[StudyInput]:
    """Turn files, folders, globs and lists into studies with unique names.

    Parameters
    ----------
    paths
        As typed: a file, a prepared study, a folder (searched below for `STUDY_SUFFIXES`, through links too), a glob,
        or `-` for the list.
    listed
        Lines of the list that stands for `-`: one path a line, blank lines and lines that begin with `#` left out; or
        paths that end with a NUL, as `find -print0` gives them.
    is_scoring
        Tells the files that hold annotations only: beside studies they are left out, alone they stay.

    Returns
    -------
    list of StudyInput
        Each file once, whichever way it was named; a folder that cannot be read is one of them, and fails.

    Raises
    ------
    UsageError
        When none of the paths exists, or no study is in them.
    """
    typed = [line for path in paths for line in (_lines(listed) if path == "-" else [path])]
    found: dict[str, Path] = {}
    missing: list[Path] = []
    for text in typed:
        matches = _matches(text)
        if not matches and not _exists(text):
            missing.append(Path(text))
        for match in matches:
            found.setdefault(_place(match), match)
    if missing and not found and len(missing) == len(typed):
        raise UsageError(f"No such file or folder: {missing[0]}.", "Check the path, or quote a glob.")
    items = [*found.values(), *dict.fromkeys(missing)]
    if not items:
        raise UsageError(
            f"No study was found in {typed[0] if typed else 'an empty list'}.",
            f"A folder is searched for {' '.join(STUDY_SUFFIXES)} files and prepared .psg studies.",
        )
    studies = [path for path in items if is_scoring is None or not is_scoring(path)]
    return _named(studies or items)


def _lines(listed: Iterable[str]) -> list[str]:
    text = "\n".join(line.rstrip("\r\n") for line in listed).removeprefix("\ufeff")
    if "\0" in text:
        return [name for name in text.split("\0") if name.strip()]
    lines = (line if _exists(line) else line.strip() for line in text.split("\n") if line.strip())
    return [line for line in lines if not line.startswith("#") or _exists(line)]


def _exists(text: str) -> bool:
    """Whether there is such a file; what the system refuses to look at, such as a name too long, is not there."""
    try:
        return bool(text) and os.path.lexists(text) and Path(text).exists()
    except (OSError, ValueError):
        return False


def _place(path: Path) -> str:
    """Where a file is, whichever way it was named; a link is a study of its own name."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _matches(text: str) -> list[Path]:
    if _exists(text):
        path = Path(text)
        return sorted(_studies_below(path)) if path.is_dir() and not _is_study_folder(path) else [path]
    if not glob.has_magic(text) or "\0" in text:
        return []
    try:
        matches = sorted(glob.glob(text, recursive=True))
    except OSError:
        return []
    return [inner for match in matches for inner in _matches(match)]


def _is_study_folder(path: Path) -> bool:
    return path.suffix in STUDY_FOLDERS and path.is_dir()


def _studies_below(folder: Path) -> Iterator[Path]:
    """Studies of a folder, through links to folders, each folder once; folders that cannot be read stand for theirs."""
    refused: list[Path] = []
    seen: set[str] = set()
    walk = os.walk(folder, followlinks=True, onerror=lambda error: refused.append(Path(error.filename)))
    for base, folders, files in walk:
        place = os.path.realpath(base)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        prepared = [name for name in folders if _is_study_folder(Path(base, name))]
        folders[:] = sorted(name for name in folders if name not in prepared and not name.startswith("."))
        yield from (Path(base, name) for name in prepared if not name.startswith("."))
        for name in files:
            study = name.lower().endswith(STUDY_SUFFIXES) and not name.endswith(".embeddings.npy")
            if study and not name.startswith("."):
                yield Path(base, name)
    yield from refused


def study_name(path: Path) -> str:
    """Name of a study: the file's stem, with what cannot be shown (line ends, control characters) replaced by `_`."""
    name = path.name
    stem = name[: -len(".fif.gz")] if name.lower().endswith(".fif.gz") else path.stem
    return _shown(stem)


def _named(paths: list[Path]) -> list[StudyInput]:
    """Give each path the shortest unique name: its stem, told apart by folders, then by suffix, at last by its place.

    Names that differ in the case of letters or the coding of accents alone count as one: some file systems do not tell
    them apart.
    """
    names = {path: study_name(path) for path in paths}
    folders = {path: path.absolute().parts[1:-1] for path in paths}
    for depth in range(1, 1 + max(len(parts) for parts in folders.values())):
        clashes = _clashes(names)
        if not clashes:
            break
        for path in clashes:
            names[path] = _shown("_".join((*folders[path][-depth:], study_name(path))))
    for path in _clashes(names):
        names[path] = _shown(f"{names[path]}_{path.suffix.lstrip('.')}")
    for path in _clashes(names):
        names[path] = f"{names[path]}_{hashlib.sha256(os.fsencode(_place(path))).hexdigest()[:8]}"
    return [StudyInput(path, name) for path, name in names.items()]


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "_" for letter in name)


def _clashes(names: dict[Path, str]) -> list[Path]:
    alike = {path: unicodedata.normalize("NFC", name).casefold() for path, name in names.items()}
    counts = Counter(alike.values())
    return [path for path, name in alike.items() if counts[name] > 1]
