"""Items made one ahead: in order, no more than one, and errors where they are asked for."""

import threading
from collections.abc import Iterator

import pytest

from core.inference.ahead import one_ahead


def test_items_come_in_order_and_one_ahead_alone() -> None:
    made: list[int] = []
    begun = [threading.Event() for _ in range(6)]

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            begun[number].set()
            yield number

    for number in (ahead := one_ahead(items())):
        begun[min(number + 1, 4)].wait(10)
        assert made == list(range(min(number + 2, 5)))
    assert not list(ahead)


def test_an_error_is_raised_where_the_item_is_asked_for() -> None:
    def items() -> Iterator[str]:
        yield "whole"
        raise ValueError("the second")

    ahead = one_ahead(items())
    assert next(ahead) == "whole"
    with pytest.raises(ValueError, match="the second"):
        next(ahead)


def test_who_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    ahead = one_ahead(iter(range(100)))
    next(ahead)
    ahead.close()
    assert threading.active_count() == before
