"""The model and files that the options chose: looked at once here, so that a wrong name ends the command at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from sleepcli import ui

if TYPE_CHECKING:
    from core.inference.tasks import ModelChoice, Reading


def model_choice(model: str, device: str, batch: int, jobs: int) -> "ModelChoice":
    """Turn the shared options into a choice of model, with the cores shared between workers."""
    from core.inference.tasks import ModelChoice, threads_for

    return ModelChoice(model, device, batch, threads_for(jobs))


def about_model(choice: "ModelChoice", options: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says of the model, and the key of what the outputs depend on.

    Raises
    ------
    ModelError
        When there is no such model, or it is damaged.
    UsageError
        When the device cannot be had.
    """
    engine = choice.engine()
    bundle = engine.bundle
    why = f": {engine.device_note.partition(': ')[2]}" if engine.device_note else ""
    ui.remark(f"{bundle.name} runs on {engine.device}{why}.")
    named = {name: value for name, value in options.items() if value not in (None, "None", False)}
    return {
        "model": bundle.name,
        "model_hash": bundle.content_hash,
        "device": engine.device,
        "device_note": engine.device_note,
        "options": named,
        "key": f"{bundle.content_hash} {sorted(named.items())}",
    }


def model_or_none(
    measured: bool, options: Mapping[str, Any], choice: "ModelChoice"
) -> tuple["ModelChoice | None", dict[str, Any]]:
    """Give the model and what run.json says of it; no model where what is measured is all that is wanted."""
    if measured:
        return None, {"model": None, "options": dict(options), "key": f"measured {sorted(options.items())}"}
    return choice, about_model(choice, options)


def reading(
    montage: Path | None = None,
    scoring: Path | None = None,
    no_scoring: bool = False,
    lights_off: str | None = None,
    lights_on: str | None = None,
) -> "Reading":
    """Turn the options about reading studies into one; a file that is not there is wrong usage.

    Raises
    ------
    UsageError
        The montage or the scoring cannot be read, a time is none, or a scoring was both given and refused.
    """
    from core.inference.lights import parse_time
    from core.inference.tasks import Reading
    from core.psg.montage import read_montage

    if montage is not None:
        read_montage(montage)
    if scoring is not None and not scoring.is_file():
        raise UsageError(f"There is no scoring {scoring}.", "Check the path of --scoring.")
    if scoring is not None and no_scoring:
        raise UsageError("--scoring and --no-scoring contradict each other.", "Give one of them.")
    for text in (lights_off, lights_on):
        if text is not None:
            parse_time(text)
    return Reading(montage, scoring, not no_scoring, lights_off, lights_on)


def said(read: "Reading") -> dict[str, Any]:
    """Options about reading as run.json has them; the contents of files are hashed study by study."""
    return {name: str(value) for name, value in vars(read).items() if value not in (None, True)}
