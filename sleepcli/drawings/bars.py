"""Minutes and share of each stage as bars."""

from collections.abc import Sequence

from sleepcli.drawings.hypnogram import STAGE_ROWS, STAGE_STYLES
from sleepcli.drawings.line import Line

BAR_WIDTH = 30


def stage_bars(stages: Sequence[str]) -> list[Line]:
    """Draw a bar a stage; shares are of the epochs that have a stage."""
    scored = [stage for stage in stages if stage != "?"]
    lines: list[Line] = []
    for stage in (*STAGE_ROWS, "?"):
        count = list(stages).count(stage)
        if stage == "?" and not count:
            continue
        share = count / len(scored) if scored and stage != "?" else 0.0
        percent = "" if stage == "?" else f"{100 * share:5.1f} %"
        bar = "█" * round(share * BAR_WIDTH)
        lines.append(((f"{stage:>4} {count / 2:7.1f} min {percent} ", ""), (bar, STAGE_STYLES[stage])))
    return lines
