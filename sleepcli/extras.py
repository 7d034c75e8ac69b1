"""Commands whose packages come with an extra say which pip line brings them."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import requires

from core.errors import MissingExtraError


def training_room(command: str) -> AbstractContextManager[None]:
    """Import torch and its company, or say how to install them.

    Raises
    ------
    MissingExtraError
        When one of the packages is not installed.
    """
    return extra_room("train", f"sleepcli {command}")


@contextmanager
def extra_room(extra: str, asked: str) -> Iterator[None]:
    """Import what an extra brings, or say how to install it.

    Parameters
    ----------
    extra
        Name of the extra.
    asked
        What needs it, as people typed it.

    Raises
    ------
    MissingExtraError
        When one of the packages is not installed.
    """
    wanted = requirements(extra)
    names = {re.split(r"[^A-Za-z0-9_-]", line)[0].replace("-", "_") for line in wanted}
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in names:
            raise
        line = " ".join(f'"{requirement}"' for requirement in wanted)
        raise MissingExtraError(
            f"`{asked}` needs {package}, which is not installed.", f"Install it with: pip install {line}"
        ) from None


def requirements(extra: str) -> list[str]:
    """Requirements of one of this program's extras, as pip takes them."""
    marker = f'extra == "{extra}"'
    lines = [line.replace("'", '"').partition(";") for line in requires("sleepcli") or ()]
    return [line.strip() for line, _, condition in lines if condition.strip() == marker]
