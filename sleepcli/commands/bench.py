"""`sleepcli bench`: how fast this machine reads, prepares, embeds, captions, stages and answers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sleepcli import options, ui

if TYPE_CHECKING:
    from core.inference.speed import Timing

COLUMNS = ("step", "seconds", "CPU seconds", "count", "of", "a second", "peak MB")


def bench(
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY]", help="A recording; without one a night is simulated.")
    ] = None,
    model: options.Model = "nano",
    device: options.Device = "auto",
    batch: options.Batch = 0,
    threads: Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0: all.")] = 0,
    hours: Annotated[float, typer.Option("--hours", min=0.2, max=24.0, help="Length of the simulated night.")] = 1.0,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Measure every step of a study on this machine; nothing is written.

    The seconds are those of one run, so other work on the machine shows in them; CPU seconds show it less.

    [bold]Examples[/]

      sleepcli bench

      sleepcli bench study.edf --device cpu --threads 2 --json > speed.json
    """
    from core.inference.bundle import load_bundle
    from core.inference.engine import Engine
    from core.inference.speed import STEPS, hardware, time_study

    made: list[Engine] = []

    def load() -> Engine:
        made.append(Engine(load_bundle(model), device, batch, threads))
        return made[0]

    timings: list[Timing] = []
    with _recording(study, hours, seed) as path, ui.progress("measuring", len(STEPS)) as bar:
        for timing in time_study(path, load):
            timings.append(timing)
            bar.advance(timing.step)
    about = hardware(made[0])
    if made[0].device_note:
        ui.note(made[0].device_note)
    if ui.wants_json(json):
        ui.json_lines([{"hardware": about, "steps": [timing.to_json() for timing in timings]}])
        return
    _show(about, timings)


@contextmanager
def _recording(study: Path | None, hours: float, seed: int) -> Iterator[Path]:
    """Give the study, or a simulated one that is gone afterwards."""
    from core.errors import UsageError

    if study is not None:
        if not study.exists():
            raise UsageError(f"There is no study {study}.", "Check the path, or leave it out.")
        yield study
        return
    from core.psg.simulate.night import NightOptions, simulate_night
    from core.psg.simulate.write_edf import write_night

    with tempfile.TemporaryDirectory(prefix="sleepcli-") as folder:
        yield write_night(simulate_night(seed, NightOptions(hours=hours)), Path(folder), "night")


def _show(about: dict[str, Any], timings: "list[Timing]") -> None:
    ui.table(
        f"{about['model']} ({about['precision']}) on {about['device']}",
        COLUMNS,
        ((t.step, t.seconds, t.cpu_seconds, t.count, t.unit, t.rate, t.memory_mb) for t in timings),
    )
    memory = f", {about['memory_gb']} GB" if about["memory_gb"] else ""
    ui.paragraph(f"{about['processor']}, {about['cpus']} CPUs{memory}; {about['threads']} threads; {about['system']}.")
