"""Is the program whole: its packages, its names, its settings, the disk."""

import difflib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from pathlib import Path

from sleepcli.config import RESERVED, Command, commands_of, config_files, options_of
from sleepcli.examinations.finding import Finding
from sleepcli.extras import requirements
from sleepcli.rooms import OWN, ROOMS, strangers

PACKAGES = ("sleepcli", "numpy", "scipy", "edfio", "pyedflib", "mne", "soxr", "sleepecg", "tokenizers", "typer", "rich")
RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
EXTRAS = {"train": "training, export, import of checkpoints", "library": "large libraries", "cluster": "Dask clusters"}
TEMPORARY = "temporary files"
ELSEWHERE = {
    "results": "Work in a folder that you may write, or give --out DIR.",
    "imported models": "Set SLEEPCLI_MODELS to a folder that you may write; it is needed for `sleepcli models import`.",
    "kept graphs": "Set SLEEPCLI_CACHE to a folder that you may write; without one every start takes seconds longer.",
    TEMPORARY: "Free some space there, or set TMPDIR to a folder that you may write.",
}
"""What goes to a disk, and what to do where it cannot."""
DISK_GIB = 2.0
"""Free space below which a library of prepared studies soon fails (an 8-hour night takes about 80 MB)."""


def packages() -> Iterator[Finding]:
    """Look for what the program needs, and for what its extras bring."""
    yield Finding("python", "ok", f"{platform.python_version()} in {sys.prefix}")
    for package in PACKAGES:
        found = _version(package)
        cure = "" if found else f"pip install {package}"
        yield Finding(package, "ok" if found else "problem", found or "missing", cure)
    runtimes = [(package, found) for package in RUNTIMES if (found := _version(package))]
    for package, found in runtimes:
        yield Finding(package, "ok", found)
    if not runtimes:
        yield Finding("onnxruntime", "problem", "missing", f"pip install {RUNTIMES[0]}")
    if len(runtimes) > 1:
        cure = f"pip uninstall {' '.join(RUNTIMES)}, then pip install {RUNTIMES[0]}"
        yield Finding("onnxruntime", "problem", "two builds in one place", cure)
    for extra, purpose in EXTRAS.items():
        wanted = requirements(extra)
        missing = [name for line in wanted if not _version(name := re.split(r"[^A-Za-z0-9_.-]", line)[0])]
        found = f"missing: {', '.join(missing)}" if missing else "installed"
        cure = f"For {purpose}: pip install " + " ".join(f'"{line}"' for line in wanted) if missing else ""
        yield Finding(f"extra {extra}", "note" if missing else "ok", found, cure)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def names(installed: Iterable[Distribution] | None = None, home: Path | None = None) -> list[Finding]:
    """Look for other projects with our top-level names: `core`, `training` and `export` are names that others use.

    Parameters
    ----------
    installed
        The installed distributions; those of this Python by default.
    home
        The folder that the four packages must come from; this program's by default.
    """
    findings = [
        Finding(f"package {room}", "problem", f"another project's, in {place}" if place else "not found", OWN)
        for room, place in strangers(home).items()
    ]
    for distribution in distributions() if installed is None else installed:
        name = distribution.name
        if name == "sleepcli":
            continue
        tops = {file.parts[0].removesuffix(".py") for file in distribution.files or () if file.parts}
        for room in sorted(tops & set(ROOMS)):
            findings.append(Finding(f"package {room}", "problem", f"{name} installs a package of this name too", OWN))
    return findings or [Finding("top-level packages", "ok", "no name clash")]


def settings(program: Command) -> Iterator[Finding]:
    """Look at configuration files and at variables that no option takes."""
    read = [str(file) for file in config_files() if file.is_file()]
    yield Finding("configuration", "ok", ", ".join(read) or "none; every option has the program's default")
    known = {name for _, command in commands_of(program) for one in options_of(command).values() for name in one.envvar}
    known |= set(RESERVED)
    for name in sorted(os.environ):
        if name.startswith("SLEEPCLI_") and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            cure = f"Did you mean {close[0]}?" if close else "sleepcli info --config lists the options."
            yield Finding(name, "note", "a variable that nothing reads", cure)


def disk(folders: Mapping[str, Path]) -> Iterator[Finding]:
    """Look whether results, models, kept graphs and temporary files have a place that can be written.

    Parameters
    ----------
    folders
        What goes there, a key of `ELSEWHERE`, and where; it need not be there yet.
    """
    for what, folder in folders.items():
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(there).free / 2**30
        if trouble := _unwritable(there):
            state = "problem" if what == TEMPORARY else "note"
            yield Finding(f"{what} in {folder}", state, f"cannot be written: {trouble}", ELSEWHERE[what])
            continue
        cure = "" if free >= DISK_GIB else "Free some space; an 8-hour night takes about 80 MB prepared."
        yield Finding(f"{what} in {folder}", "note" if cure else "ok", f"{free:.0f} GiB free", cure)


def _unwritable(folder: Path) -> str:
    """Why no file can be written in a folder; empty where one can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        return (error.strerror or "refused").lower()
    return ""
