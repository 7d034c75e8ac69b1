"""What exports and imports of networks share: how weights are kept, and the screen while they go on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from sleepcli import ui

if TYPE_CHECKING:
    from export.publish import ExportEvent

NIGHT = "simulated_night"
Precision = Annotated[str, typer.Option("--precision", metavar="fp32|fp16|mixed|int8", help="How weights are kept.")]
LeastAgreement = Annotated[
    float,
    typer.Option(
        "--least-agreement", min=0, max=1, help="Refuse int8 or mixed whose stages or facts agree less with float32."
    ),
]


def follow_export(events: Iterable["ExportEvent"], doing: str, precision: str) -> None:
    """Carry an export out and tell what was compared.

    Parameters
    ----------
    events
        The export's steps.
    doing
        What stands beside the progress bar.
    precision
        How weights are kept.
    """
    with ui.progress(doing, None) as bar:
        for event in events:
            bar.show(f"{event.step} {event.graph}")
            if event.difference is not None:
                ui.note(f"{event.graph}: differs from torch by {event.difference:.1e} at most")
            if event.agreement is not None:
                told = (f"{name} {value}" for name, value in event.agreement.to_json().items() if name != NIGHT)
                ui.note(f"{precision} against float32 on a simulated night: {', '.join(told)}")
