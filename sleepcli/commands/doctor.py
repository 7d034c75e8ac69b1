"""`sleepcli doctor`: is this installation sound, and what cures it where it is not."""

import os
from collections.abc import Iterator
from pathlib import Path

import typer

from sleepcli import options, ui
from sleepcli.config import Command
from sleepcli.examinations.finding import Finding

COLUMNS = ("what", "state", "found")
FOUND_PROBLEM = 3


def doctor(
    context: typer.Context,
    model: options.Model = "nano",
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Examine the installation: packages, names, settings, disk, device, models, and a short night end to end.

    Every problem comes with its cure; the exit code is 3 where there is one.

    [bold]Examples[/]

      sleepcli doctor

      sleepcli doctor --device cuda --json
    """
    findings = []
    with ui.progress("examining", None) as bar:
        for finding in _examine(context.find_root().command, model, device):
            bar.show(f"looked at {finding.what}")
            findings.append(finding)
    if ui.wants_json(json):
        ui.json_lines(vars(finding) for finding in findings)
    else:
        _show(findings)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(FOUND_PROBLEM)


def _examine(program: Command, model: str, device: str) -> Iterator[Finding]:
    from core.inference.bundle import user_models_folder
    from core.inference.kept import user_cache_folder
    from sleepcli.examinations import installation, running

    yield from installation.packages()
    yield from installation.names()
    yield from installation.settings(program)
    places = (Path(os.path.curdir), user_models_folder(), user_cache_folder(), running.temporary_folder())
    yield from installation.disk(dict(zip(installation.ELSEWHERE, places, strict=True)))
    yield from running.device(device)
    yield from running.models()
    yield running.self_test(model, device)


def _show(findings: list[Finding]) -> None:
    """Show what was found, sound packages in one line, and then what to do."""
    sound = [
        finding
        for finding in findings
        if finding.state == "ok" and finding.found[:1].isdigit() and " " not in finding.found
    ]
    shown = [Finding("packages", "ok", ", ".join(f"{one.what} {one.found}" for one in sound))] if sound else []
    shown += [finding for finding in findings if finding not in sound]
    ui.table("sleepcli doctor", COLUMNS, ([one.what, one.state, one.found] for one in shown))
    cures = [one for one in findings if one.cure]
    if not cures:
        ui.paragraph("All is well.")
    for one in sorted(cures, key=lambda one: one.state != "problem"):
        ui.told(f"{one.state}, {one.what}", one.cure)
