"""Simulated nights as a batch: the task that writes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.batch import Outcome, StudyInput
from core.psg.simulate.night import NightOptions, simulate_night
from core.psg.simulate.write_edf import write_night


@dataclass(frozen=True)
class SimulateTask:
    """Writes `<study>.edf`, `<study>.stages.csv` and `<study>.truth.json`."""

    out: Path
    """Folder of the nights."""
    seeds: Mapping[str, int]
    """Seed of each study; same seed and options, same bytes."""
    options: NightOptions
    """Length, subject and lab."""
    tracks: Mapping[str, Path]
    """Real night whose stages and band powers a study follows; a study without one is generated."""

    def __call__(self, item: StudyInput) -> Outcome:
        """Simulate and write one night."""
        options = replace(self.options, track=self.tracks.get(item.study, self.options.track))
        night = simulate_night(self.seeds[item.study], options)
        path = write_night(night, self.out, item.study)
        stages = [epoch.stage for epoch in night.truth.epochs]
        figures = {
            "seed": self.seeds[item.study],
            "hours": round(len(stages) / 120, 2),
            "sleep_minutes": sum(stage not in ("W", "?") for stage in stages) / 2,
            "events": len(night.truth.events),
        }
        names = (path.name, f"{item.study}.stages.csv", f"{item.study}.truth.json")
        return Outcome(names, figures, ({"study": item.study, "files": list(names), **figures},))

    def sources(self, item: StudyInput) -> Sequence[Path]:
        """Nothing but the seed, the options and the track decide a night."""
        return (self.tracks[item.study],) if item.study in self.tracks else ()
