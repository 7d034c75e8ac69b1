"""`sleepcli simulate`: nights of a physiological simulator, as EDF with their truth."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcli import options, run, ui


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the nights.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many nights.")] = 1,
    seed: options.Seed = 0,
    hours: Annotated[float, typer.Option("--hours", min=0.1, max=24.0, help="Length of a night.")] = 8.0,
    track: Annotated[
        Path | None,
        typer.Option("--track", metavar="FILE", help="Follow the stages and band powers of a real night (.npz)."),
    ] = None,
    jobs: options.Jobs = 1,
    json: options.Json = False,
) -> None:
    """Simulate nights with known truth: EDF, stages and every event, beat, breath and spindle.

    [bold]Examples[/]

      sleepcli simulate --out nights --count 3 --seed 7

      sleepcli simulate --out nights --hours 2 && sleepcli stage nights --no-scoring
    """
    from core.psg.simulate.batch import NightRecipe, simulate_nights

    recipes = [NightRecipe(f"night{seed + n:04d}", seed + n, hours, track) for n in range(count)]
    rows = []
    with ui.progress("simulating", count) as bar:
        for row in simulate_nights(recipes, out, jobs):
            bar.advance(row.study)
            rows.append(row)
            if row.outcome == "failed":
                ui.error(f"{row.study}: {row.message}", row.hint)
    if ui.wants_json(json):
        ui.json_lines({"study": row.study, "files": list(row.result.files), **row.result.figures} for row in rows)
    else:
        made = [[row.study, *row.result.figures.values()] for row in rows if row.outcome == "done"]
        names = next((list(row.result.figures) for row in rows if row.outcome == "done"), [])
        ui.table(f"Simulated nights in {out}", ["study", *names], made)
    run.finish(rows)
