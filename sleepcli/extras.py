"""Commands whose packages come with an extra say which pip line brings them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import requires

from core.errors import MissingExtraError


@contextmanager
def training_room(command: str) -> Iterator[None]:
    """Import torch and its company, or say how to install them.

    Raises
    ------
    MissingExtraError
        When one of the packages is not installed.
    """
    wanted = requirements("train")
    names = {re.split(r"[^A-Za-z0-9]", line)[0] for line in wanted}
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in names:
            raise
        line = " ".join(f'"{requirement}"' for requirement in wanted)
        raise MissingExtraError(
            f"`sleepcli {command}` needs {package}, which is not installed.", f"Install it with: pip install {line}"
        ) from None


def requirements(extra: str) -> list[str]:
    """Requirements of one of this program's extras, as pip takes them."""
    marker = f'extra == "{extra}"'
    lines = [line.replace("'", '"').partition(";") for line in requires("sleepcli") or ()]
    return [line.strip() for line, _, condition in lines if condition.strip() == marker]
