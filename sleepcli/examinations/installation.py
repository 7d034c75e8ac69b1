"""Is the program whole: its packages, its names, its settings, the disk."""

import difflib
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path

from sleepcli.config import RESERVED, Command, commands_of, config_files, options_of
from sleepcli.examinations.finding import Finding
from sleepcli.extras import requirements

PACKAGES = ("sleepcli", "numpy", "scipy", "edfio", "pyedflib", "mne", "soxr", "sleepecg", "tokenizers", "typer", "rich")
RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
ROOMS = ("core", "training", "export", "sleepcli")
EXTRAS = {"train": "training, export, import of checkpoints", "library": "large libraries", "cluster": "Dask clusters"}
OWN = "Install sleepcli in a virtual environment of its own: python -m venv ENV."
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
    home = home or Path(__file__).resolve().parents[2]
    findings = []
    for room in ROOMS:
        spec = find_spec(room)
        places = [Path(place).resolve() for place in (spec.submodule_search_locations or ())] if spec else []
        if places != [home / room]:
            found = f"another project's, in {places[0].parent}" if places else "not found"
            findings.append(Finding(f"package {room}", "problem", found, OWN))
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


def disk(folders: Iterable[Path]) -> Iterator[Finding]:
    """Look at the space where results, models and temporary files go."""
    for folder in dict.fromkeys(folders):
        there = next(place for place in (folder, *folder.parents) if place.is_dir())
        free = shutil.disk_usage(there).free / 2**30
        cure = "" if free >= DISK_GIB else "Free some space; an 8-hour night takes about 80 MB prepared."
        yield Finding(f"disk {folder}", "note" if cure else "ok", f"{free:.0f} GiB free", cure)
