"""`sleepcli simulate`: nights of a physiological simulator, as EDF with their truth."""

from pathlib import Path
from typing import Annotated

import typer

from core.batch import StudyInput, StudyRow
from core.errors import UsageError
from sleepcli import options, ui
from sleepcli.run import RunOptions, finish, run_items


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the nights.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many nights.")] = 1,
    seed: options.Seed = 0,
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=24.0, help="Length of a generated night.")] = 8.0,
    tracks: Annotated[
        Path | None,
        typer.Option("--tracks", metavar="FILE|DIR", help="Follow stages and band powers of real nights (.npz)."),
    ] = None,
    legs: Annotated[bool, typer.Option("--legs", help="Add the EMG of both legs (EMG LAT, EMG RAT).")] = False,
    jobs: options.Jobs = 1,
    json: options.Json = False,
) -> None:
    """Simulate nights with known truth: EDF, stages, and every event, beat, breath and spindle.

    [bold]Examples[/]

      sleepcli simulate --out nights --count 3 --seed 7

      sleepcli simulate --out nights --hours 2 && sleepcli stage nights
    """
    from core.psg.simulate.night import NightOptions
    from core.psg.simulate.studies import SimulateTask

    followed = _tracks(tracks)
    names = [_name(seed, number, followed) for number in range(count)]
    task = SimulateTask(
        out,
        {name: seed + number for number, name in enumerate(names)},
        NightOptions(hours=hours, legs=legs),
        {name: followed[number % len(followed)] for number, name in enumerate(names) if followed},
    )
    about = {"key": f"{hours} legs" if legs else f"{hours}"}
    wanted = RunOptions("simulate", out, jobs, json=json, has_report=False, about=about)
    rows = run_items(task, [StudyInput(out, name) for name in names], wanted, _quiet)
    _show(rows, out, json)
    finish(rows)


def _quiet(_: StudyRow) -> None:
    """The nights come in one table at the end."""


def _name(seed: int, number: int, tracks: list[Path]) -> str:
    """Name of a night: its seed, or the track it follows, so that the nights of one real subject share a beginning."""
    if not tracks:
        return f"night{seed + number:05d}"
    return f"track{tracks[number % len(tracks)].stem}__{seed + number}"


def _tracks(path: Path | None) -> list[Path]:
    if path is None:
        return []
    found = sorted(path.glob("*.npz"), key=_by_night) if path.is_dir() else [path] if path.is_file() else []
    if not found:
        raise UsageError(f"There is no track (.npz) in {path}.", "Give a track or a folder of tracks.")
    return found


def _by_night(track: Path) -> list[str]:
    """First nights of all subjects (`SS__1`) before their second ones, so that a few tracks are many subjects."""
    return track.stem.split("__")[::-1]


def _show(rows: list[StudyRow], out: Path, json: bool) -> None:
    made = [row for row in rows if row.outcome != "failed"]
    if made and not ui.wants_json(json):
        columns = ["study", *made[0].result.figures]
        ui.table(f"Simulated nights in {out}", columns, [[row.study, *row.result.figures.values()] for row in made])
