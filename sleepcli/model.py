"""The model that the options chose: opened once here, so that a wrong name ends the command at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sleepcli import ui

if TYPE_CHECKING:
    from core.inference.tasks import ModelChoice


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
    if engine.device_note:
        ui.note(engine.device_note)
    bundle = engine.bundle
    named = {name: value for name, value in options.items() if value not in (None, "None", False)}
    return {
        "model": bundle.name,
        "model_hash": bundle.content_hash,
        "device": engine.device,
        "options": named,
        "key": f"{bundle.content_hash} {sorted(named.items())}",
    }
