"""Whether the top-level packages are this program's own: other projects have a package `core` or `training` too."""

from importlib.util import find_spec
from pathlib import Path

ROOMS = ("core", "training", "export", "sleepcli")
OWN = "Install sleepcli in a virtual environment of its own (python -m venv ENV), and leave PYTHONPATH unset."


def strangers(home: Path | None = None) -> dict[str, str]:
    """Give the packages that Python would take from elsewhere, each with where it lies; empty where there is none.

    Parameters
    ----------
    home
        The folder that the packages must come from; this program's by default.
    """
    home = home or Path(__file__).resolve().parents[1]
    found = {}
    for room in ROOMS:
        spec = find_spec(room)
        places = [*(spec.submodule_search_locations or (spec.origin or "",))] if spec else []
        if [Path(place).resolve() for place in places] != [home / room]:
            found[room] = str(Path(places[0]).parent) if places else ""
    return found
