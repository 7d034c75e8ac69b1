"""What people see: the only file that knows rich.

Data goes to standard output (a table on a terminal, JSON Lines in a pipe), talk to standard error.
"""

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from sleepcli.drawings.line import Line

PLAIN = {ord(mark): letter for mark, letter in zip("▁▂▃▄▅▆▇█·─µ×−", "__.-=+##.-ux-", strict=True)}
"""What stands for the marks of drawings where the terminal has ASCII alone."""


def stdout() -> Console:
    """Console of the data; made anew, because tests and pipes replace the stream."""
    return Console(file=sys.stdout, highlight=False)


def stderr() -> Console:
    """Console of the talk."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def wants_json(flag: bool) -> bool:
    """Whether data is printed as JSON Lines: asked for, or standard output is not a terminal."""
    return flag or not sys.stdout.isatty()


def error(message: str, hint: str = "") -> None:
    """Print one sentence on standard error, and what to do."""
    stderr().print(f"[bold red]Error:[/] {escape(_visible(message))} {escape(_visible(hint))}".rstrip())


def warn(message: str) -> None:
    """Print a warning on standard error."""
    stderr().print(f"[yellow]Warning:[/] {escape(_visible(message))}")


def _visible(text: str) -> str:
    """A sentence in one line without letters that a terminal would obey: names of files may hold any."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def note(message: str) -> None:
    """Print a line of talk on standard error."""
    stderr().print(escape(message))


def remark(message: str) -> None:
    """Print a line of talk that asks for nothing on standard error, dimmed."""
    stderr().print(f"[dim]{escape(message)}[/]")


def json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a JSON object a line on standard output; letters that its encoding lacks are escaped."""
    escaped = not _speaks_unicode(sys.stdout)
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=escaped) + "\n")
    sys.stdout.flush()


def settle_streams() -> None:
    """Let nothing that a terminal lacks end the program: letters, file names that are no text, the stream itself."""
    if sys.stdout is None:  # as after `>&-`
        forget_reader()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the program lives
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if _speaks_unicode(stream) else "replace")


def forget_reader() -> None:
    """Print to nobody from here on: the reader of standard output has gone."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the program lives


def _speaks_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def has_braille() -> bool:
    """Whether standard output can show the dots that waves are drawn with."""
    return _speaks_unicode(sys.stdout)


def width() -> int:
    """Columns of the terminal that data is printed on."""
    return stdout().width


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table on standard output; columns whose values are all numbers are right-aligned."""
    listed = [list(row) for row in rows]
    made = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
    for number, name in enumerate(columns):
        values = [row[number] for row in listed]
        numeric = bool(values) and all(isinstance(value, int | float) or value in (None, "") for value in values)
        made.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        made.add_row(*(escape(_cell(value)) for value in row))
    stdout().print(made)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)


def heading(text: str) -> None:
    """Print a heading on standard output."""
    stdout().print(Text(text, style="bold"))


def paragraph(text: str) -> None:
    """Print prose on standard output, wrapped to the terminal."""
    stdout().print(Text(text))


def draw(lines: Iterable[Line]) -> None:
    """Print a drawing on standard output; a line too long for the terminal is cut, never wrapped."""
    console = stdout()
    unicode = _speaks_unicode(sys.stdout)
    for line in lines:
        spans = line if unicode else [(text.translate(PLAIN), style) for text, style in line]
        console.print(Text.assemble(*spans), no_wrap=True, overflow="crop", crop=True)


def aside(text: str) -> None:
    """Print a remark on standard output, dimmed; nothing where it is empty."""
    if text:
        stdout().print(Text(text, style="dim"))


def told(name: str, text: str) -> None:
    """Print prose on standard output under its name, set off from the margin."""
    stdout().print(Padding(Text.assemble((f"{name}: ", "bold"), text), (0, 0, 0, 2)))


def document(markdown: str) -> None:
    """Print a document on standard output, as a terminal shows Markdown."""
    from rich.markdown import Markdown  # brings a parser, which no other output needs

    stdout().print(Markdown(markdown))


class Bar:
    """A progress bar on standard error; lines of talk may be printed above it."""

    def __init__(self, progress: Progress | None, task: Any) -> None:
        self._progress = progress
        self._task = task

    def advance(self, text: str = "") -> None:
        """Move one step on and show what is worked on."""
        if self._progress is not None:
            self._progress.update(self._task, advance=1, description=escape(text))

    def show(self, text: str, completed: float | None = None) -> None:
        """Change the text, and the position where one is given."""
        if self._progress is not None:
            self._progress.update(self._task, description=escape(text), completed=completed)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar off the terminal while results and talk are printed there."""
        if self._progress is None:
            yield
            return
        self._progress.stop()
        yield
        self._progress.start()


class Board:
    """The progress of a batch on standard error: all studies with the time left, and a row a worker."""

    def __init__(self, text: str, total: int) -> None:
        self._text = text
        wide = Column(no_wrap=True, overflow="ellipsis", max_width=40)
        self._all = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"), console=stderr(),
        )  # fmt: skip
        self._each = Progress(TextColumn("  {task.description}", table_column=wide), TimeElapsedColumn())
        self._total = self._all.add_task(escape(text), total=total, left="")
        self._workers: dict[int, TaskID] = {}
        shown = Group(self._all, self._each)
        self._live = Live(shown, console=self._all.console, transient=True, redirect_stdout=False, refresh_per_second=4)

    def __enter__(self) -> "Board":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def began(self, worker: int, study: str) -> None:
        """Show which study a worker has now."""
        text = escape(f"worker {worker}  {study}" if worker else study)
        if worker in self._workers:
            self._each.reset(self._workers[worker], description=text, visible=True)
        else:
            self._workers[worker] = self._each.add_task(text, total=None)

    def ended(self, worker: int, left: str) -> None:
        """Count a study as finished, and say how long the others will take."""
        if worker in self._workers:
            self._each.update(self._workers[worker], visible=False)
        self._all.update(self._total, advance=1, left=escape(left))

    def say(self, text: str) -> None:
        """Change the text before the bar."""
        self._all.update(self._total, description=escape(text))

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the board off the terminal while results and talk are printed there."""
        self._live.stop()
        yield
        self._live.start()


def is_watched() -> bool:
    """Whether standard error is a terminal that can show progress."""
    return stderr().is_terminal and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(text: str, total: float | None) -> Iterator[Bar]:
    """Show a progress bar on a terminal; nothing elsewhere. Standard output is not redirected to the bar's stream."""
    console = stderr()
    if not is_watched():
        yield Bar(None, None)
        return
    count = MofNCompleteColumn() if total is not None else TextColumn("")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), count)
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, transient=True, redirect_stdout=False) as shown:
        yield Bar(shown, shown.add_task(escape(text), total=total))
