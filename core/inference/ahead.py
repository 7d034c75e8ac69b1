"""The next piece of work begun while the last one is used."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def one_ahead(items: Iterator[Made]) -> Generator[Made, None, None]:
    """Give items in their order, each made in a thread of its own while the one before it is used.

    Never more than one is made ahead. What making an item raises is raised where the item is asked for.
    """
    nothing = object()
    with ThreadPoolExecutor(1, "ahead") as pool:
        later = pool.submit(next, items, nothing)
        while (made := later.result()) is not nothing:
            later = pool.submit(next, items, nothing)
            yield made  # type: ignore[misc]  # `next` gives an item or `nothing`
