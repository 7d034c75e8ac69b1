"""Make the README's pictures of the terminal: `python tests/pictures/draw.py [FOLDER]`; a few minutes on two cores.

The night is simulated (seed 5, three hours), so that everybody gets the same one and nobody's recording is shown.
"""

import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from sleepcli import ui
from sleepcli.app import app

WIDTH = 80
NIGHT = ("simulate", "--seed", "5", "--hours", "3", "--out")
PICTURES = {
    "stage": ("stage", "{night}", "--no-scoring", "--device", "cpu"),
    "epoch": ("caption", "{night}", "--no-scoring", "--device", "cpu", "--epoch", "64"),
}
"""Name of each picture and the command that it shows."""
FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""What would fetch a font from the network; the reader's own monospaced one serves."""


def picture(arguments: tuple[str, ...], path: Path) -> None:
    """Run a command on a terminal that is not there, and keep what it shows."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    ui.stdout = lambda: console
    ui.wants_json = lambda _: False
    try:
        app(list(arguments))
    except SystemExit as end:
        if end.code:
            raise
    shown = " ".join(Path(word).name if word.endswith(".edf") else word for word in arguments)
    drawn = console.export_svg(title=f"sleepcli {shown}", unique_id=path.stem)
    path.write_text(FONTS.sub("", drawn), encoding="utf-8")


def main() -> None:
    """Simulate the night and draw every picture."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        try:
            app([*NIGHT, folder])
        except SystemExit as end:
            if end.code:
                raise
        (night,) = Path(folder).glob("*.edf")
        for name, arguments in PICTURES.items():
            picture(tuple(word.format(night=night) for word in arguments), out / f"{name}.svg")


if __name__ == "__main__":
    main()
