"""`sleepcli demo`: the whole road on a simulated night, in a folder that can be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.batch import Outcome, StudyInput, StudyRow
from sleepcli import options, ui
from sleepcli.commands.caption import show_captions
from sleepcli.model import about_model, model_choice
from sleepcli.run import RunOptions, finish, run_studies

if TYPE_CHECKING:
    from core.inference.night import Night
    from core.inference.tasks import ModelChoice
    from core.psg.store import PreparedStudy

STUDY = "demo"
QUESTIONS = ("deep sleep without events", "obstructive apnea with a fall in oxygen", "REM sleep while lying supine")
HITS = 3
FOLDER = Path("sleepcli-demo")
OUTPUTS = ("captions.jsonl", "stages.csv", "summary.json", "embeddings.npy")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for night and results.")] = FOLDER,
    hours: Annotated[float, typer.Option("--hours", min=0.5, max=12.0, help="Length of the night.")] = 8.0,
    seed: options.Seed = 1,
    model: options.Model = "nano",
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Simulate a night, caption, stage and query it, and compare with the simulated truth.

    The night is simulated: its figures say that the program works, not how well it reads real sleep.

    [bold]Examples[/]

      sleepcli demo

      sleepcli demo --hours 2 --out /tmp/demo
    """
    from core.psg.simulate.night import NightOptions, simulate_night
    from core.psg.simulate.write_edf import write_night

    choice = model_choice(model, device, 0, 1)
    about = about_model(choice, {"seed": seed, "hours": hours})
    ui.note(f"Simulating a night of {hours:g} h (seed {seed}) ...")
    edf = write_night(simulate_night(seed, NightOptions(hours=hours)), out / "night", STUDY)
    ui.note(f"Reading {edf}: every number is measured, stages and events are the model's, the truth is not looked at.")
    task = DemoTask(out, choice)
    rows = run_studies(task, [str(edf)], RunOptions("demo", out, json=json, about=about), _show)
    ui.note(f"In {out}: the night as EDF with its truth, captions, stages, summary, embeddings; run.json has the hits.")
    finish(rows)


@dataclass(frozen=True)
class DemoTask:
    """Reads a simulated night once, without its truth, and writes all that the program can say of it."""

    out: Path
    choice: "ModelChoice"

    def __call__(self, item: StudyInput) -> Outcome:
        """Caption, stage, embed, summarise and query one study."""
        from core.inference.figures import stage_indices, staging_figures
        from core.inference.night import NightOptions, read_night
        from core.inference.results import finite, night_summary
        from core.inference.search import index_night, search
        from core.inference.tasks import Reading, stage_figures
        from core.psg.scoring import read_scoring

        engine = self.choice.engine()
        study = Reading(look_for_scoring=False).open(item)
        night = read_night(study, engine, NightOptions(use_scoring=False))
        captions = [finite(row) for row in self._write(item.study, study, night)]
        index = [index_night(study, night)]
        hits = [hit.to_json() for question in QUESTIONS for hit in search(question, index, engine, HITS).hits]
        asked = [question for question in QUESTIONS for _ in range(HITS)]
        answers = [{"question": question, **hit} for question, hit in zip(asked, hits, strict=False)]
        truth = read_scoring(item.path.with_name(f"{item.study}.truth.json"), study.start, study.n_epochs)
        figures = stage_figures(night.staging) | {
            "text": night_summary(study, night.staging, night)["text"],
            "kappa": round(staging_figures(stage_indices(truth.stages), stage_indices(night.staging.stages)).kappa, 3),
            "answers": answers,
        }
        files = tuple(f"{item.study}.{kind}" for kind in OUTPUTS)
        return Outcome(files, figures, tuple(captions), study.repairs)

    def _write(self, name: str, study: "PreparedStudy", night: "Night") -> "list[dict[str, Any]]":
        from core.inference import results
        from core.inference.captioning import caption_rows

        captions, stages, summary, embeddings = (self.out / f"{name}.{kind}" for kind in OUTPUTS)
        rows = list(caption_rows(study, night))
        results.write_captions(rows, captions)
        results.write_stages(night.staging, stages)
        results.write_summary(results.night_summary(study, night.staging, night), summary)
        if night.embeddings is not None:
            results.write_embeddings(night.embeddings, embeddings)
        return [row.to_json() for row in rows]

    def sources(self, item: StudyInput) -> Sequence[Path]:
        """The simulated night."""
        return (item.path,)


def _show(row: StudyRow) -> None:
    show_captions(row)
    kappa = row.result.figures["kappa"]
    ui.paragraph(f"Agreement of the model's stages with the simulated truth: Cohen's kappa {kappa:.2f}")
    answers = row.result.figures["answers"]
    columns = ("question", "epoch", "score", "caption")
    ui.table("Answers", columns, ([answer[column] for column in columns] for answer in answers))
