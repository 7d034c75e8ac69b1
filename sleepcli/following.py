"""A recording that is captioned while it is written: epochs on the screen as they become whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sleepcli import ui
from sleepcli.drawings.summary import clock

if TYPE_CHECKING:
    from core.inference.captioning import EpochCaption
    from core.inference.engine import Engine

UNTIL_THE_END = (
    "Provisional until the night is whole: stages, events, channel states, figures of beats, breaths and spindles, "
    "chin tone. The other figures are final."
)


@dataclass(frozen=True)
class Live:
    """What the options of `sleepcli caption --follow` said."""

    domains: tuple[str, ...]
    """Domains to caption."""
    montage: Path | None
    """TOML file that goes before the label resolver."""
    study_id: str | None
    """Name of the study; None for the file's stem."""
    timeout: float
    """Seconds without new data after which the recording is over; 0 for never."""
    json: bool
    """Print JSON Lines also on a terminal."""


def show_live(path: Path, engine: "Engine | None", live: Live) -> None:
    """Print the captions of a growing recording until it rests or Ctrl-C ends it.

    Raises
    ------
    UsageError
        The file does not exist or cannot be followed.
    StudyError
        It became shorter, was replaced, or has nothing that can be captioned.
    """
    from core.inference.following import PROVISIONAL, FollowOptions, follow
    from core.inference.results import finite
    from core.psg.growing import Patience, growing
    from core.psg.montage import read_montage

    montage = read_montage(live.montage) if live.montage is not None else None
    recordings = growing(path, live.study_id, Patience(live.timeout))
    ui.note(f"Following {path.name}. {UNTIL_THE_END}")
    count = 0
    try:
        for caption, repairs in follow(recordings, engine, FollowOptions(live.domains, montage)):
            count += 1
            for repair in repairs:
                ui.warn(f"{caption.study}: {repair}")
            if ui.wants_json(live.json):
                ui.json_lines([finite({**caption.to_json(), "provisional": list(PROVISIONAL)})])
            else:
                _show(caption)
    except KeyboardInterrupt:
        ui.note(f"Stopped after {count} epochs.")
        return
    ui.note(f"No new data for {live.timeout:g} s: the recording is over after {count} whole epochs.")


def _show(caption: "EpochCaption") -> None:
    ui.heading(f"Epoch {caption.epoch} at {clock(caption.onset)}, stage {caption.stage}")
    for domain, text in caption.captions.items():
        ui.told(domain.replace("_", " "), text)
