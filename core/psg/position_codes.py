"""What a recorder's body position codes mean, as far as anybody documents it.

The makers of recorders publish no codes, and most let the lab choose them, so a code is believed only with evidence:
the lab's montage; the names that Compumedics Profusion writes into the XML beside the study (``<StepChannel>``, whose
labels stand in the order of the codes); the set of labels that gives a cohort or a recorder away; or values that only
one documented recorder has. Anything else is taken for the published model's own codes, those of SHHS, and the map
says that they are assumed. How long somebody lay in a position never decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ASSUMED_CODES = "codes assumed: 0 right, 1 left, 2 supine, 3 prone, 4 upright; a montage can name them"
"""What the map says of a position that nobody explains."""
SIMULATED_UNIT = "code"
"""The unit of the position in nights that this project simulates, whose codes are the model's own."""
POSITIONS = {"right": 0, "left": 1, "supine": 2, "prone": 3, "upright": 4, "unknown": -1}
"""The model's codes."""
_SYNONYMS = {
    **dict.fromkeys(("back", "dorsal", "on back"), "supine"),
    **dict.fromkeys(("front", "stomach", "belly", "ventral", "face down"), "prone"),
    **dict.fromkeys(("up", "sitting", "sit", "stand", "standing", "erect"), "upright"),
    **dict.fromkeys(("left side", "l"), "left"),
    **dict.fromkeys(("right side", "r"), "right"),
    **dict.fromkeys(("undefined", "unsure", "?", "none", "not used"), "unknown"),
}


@dataclass(frozen=True)
class PositionCoding:
    """The body position codes of a recorder or a cohort.

    Parameters
    ----------
    name
        Who uses it; a montage may name it.
    source
        Where it is documented.
    labels
        Labels, upper case without blanks and brackets, that stand together in such a file and in no other; empty where
        no labels give it away.
    codes
        The file's code to the model's: 0 right, 1 left, 2 supine, 3 prone, 4 upright.
    """

    name: str
    source: str
    labels: frozenset[str]
    codes: Mapping[float, int]


@dataclass(frozen=True)
class StatedCodes:
    """What a study itself says of its position codes.

    Parameters
    ----------
    codes
        The file's code to the model's.
    source
        Name of the file that says so.
    """

    codes: Mapping[float, int]
    source: str


POSITION_CODINGS = (
    PositionCoding(
        "SHHS",
        "Technical notes on SHHS1 and SHHS2, sleepdata.org/datasets/shhs/pages/08-equipment-shhs1.md and 09",
        frozenset(("EEGSEC", "THORRES", "POSITION")),
        {0: 0, 1: 1, 2: 2, 3: 3},
    ),
    # The names of the codes in MESA's Profusion XML files, as the record loader of pyPhases (TU Dresden) quotes them;
    # labels by sleepdata.org/datasets/mesa/pages/equipment/montage-and-sampling-rate-information.md.
    PositionCoding(
        "MESA",
        "MESA's Profusion XML files: right, back, left, front, upright",
        frozenset(("EEG1", "EEG2", "EEG3", "OXSTATUS", "POS")),
        {0: 0, 1: 2, 2: 1, 3: 3, 4: 4},
    ),
    # The labels are those of Sleepware's exports; no other documented recorder has codes above 4 in steps of three.
    PositionCoding(
        "Philips Alice",
        "record loader of pyPhases (TU Dresden), step positionAlice: 0 upright, 3 right, 6 supine, 9 prone, 12 left",
        frozenset(("EFFORTTHO", "EFFORTABD", "FLOWPATIENT", "BODY")),
        {0: 4, 3: 0, 6: 2, 9: 3, 12: 1},
    ),
    # Six sides of a sensor; what is called 5 there is told in no consistent way, so it counts as unknown.
    PositionCoding(
        "SOMNOmedics DOMINO",
        "record loader of pyPhases (TU Dresden), step positionDomino: 1 prone, 2 upright, 3 left, 4 right, 6 supine",
        frozenset(("LAGE", "PLML", "PLMR")),
        {1: 3, 2: 4, 3: 1, 4: 0, 5: -1, 6: 2},
    ),
)
BY_VALUES = next(coding for coding in POSITION_CODINGS if coding.name == "Philips Alice")
"""The one coding that values alone can give away: nothing but 0, 3, 6, 9 and 12, and something above 4."""


def coding_by_labels(labels: Sequence[str]) -> PositionCoding | None:
    """Return the coding that a file's set of labels gives away, or None.

    Parameters
    ----------
    labels
        All labels of the file.
    """
    names = {"".join(letter for letter in label.upper() if letter.isalnum()) for label in labels}
    return next((coding for coding in POSITION_CODINGS if coding.labels and coding.labels <= names), None)


def coding_by_name(name: str) -> PositionCoding | None:
    """Return the documented coding of that name, or None."""
    wanted = name.strip().casefold()
    return next((coding for coding in POSITION_CODINGS if coding.name.casefold() == wanted), None)


def position_of(word: str) -> int | None:
    """Return the model's code of a position's name, -1 for one that says "unknown"; None for any other word."""
    plain = " ".join(word.strip().casefold().replace("_", " ").split())
    return POSITIONS.get(_SYNONYMS.get(plain, plain))


def codes_of_names(names: Sequence[str]) -> Mapping[float, int] | None:
    """Return codes counted from 0 in the order of their names; None where fewer than two are positions.

    Parameters
    ----------
    names
        As a recording program lists them, for example ``RIGHT LEFT BACK FRONT``.
    """
    found: dict[float, int] = {}
    for code, name in enumerate(names):
        position = position_of(name)
        if position is not None:
            found[code] = position
    return found if sum(position >= 0 for position in found.values()) >= 2 else None
