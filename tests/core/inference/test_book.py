import numpy as np

from core.inference.book import FAMILIAR, DraftBook
from core.inference.decoding import best_width

END = 2


def book_of(*texts: list[int], times: int = FAMILIAR) -> DraftBook:
    book = DraftBook()
    for text in texts:
        for _ in range(times):
            book.add(0, [*text, END])
    return book


def test_what_came_often_is_offered_up_to_its_end() -> None:
    book = book_of([5, 6, 7])
    assert book.offer(book.root(0), 10, END) == [5, 6, 7]
    assert book.offer(book.root(0), 2, END) == [5, 6]
    assert book.offer(book.root(0).following[5], 10, END) == [6, 7]
    assert book.offer(book.root(1), 10, END) == []
    assert book.offer(None, 10, END) == []


def test_nothing_is_offered_beyond_a_fork_or_before_it_is_familiar() -> None:
    book = book_of([5, 6, 7], [5, 6, 8], [5, 6])
    assert book.offer(book.root(0), 10, END) == [5, 6]
    assert book_of([5, 6], times=FAMILIAR - 1).offer(book.root(0), 0, END) == []
    rare = book_of([5, 6], times=FAMILIAR - 1)
    assert rare.offer(rare.root(0), 10, END) == []


def test_texts_that_differ_in_a_time_are_expected_to_go_on_alike() -> None:
    book = DraftBook(lambda token: -1 if token >= 100 else token)
    for text in ([5, 100, 6, 101, 7], [5, 102, 6, 103, 7], [5, 104, 6, 105, 7], [5, 106, 6, 107, 7]):
        book.add(0, [*text, END])
    assert book.offer(book.root(0), 10, END) == [5]  # which time it will be is not known
    assert book.offer(book.after(book.root(0), [5, 199]), 10, END) == [6]
    assert book.offer(book.after(book.root(0), [5, 199, 6, 100]), 10, END) == [7]
    assert book.after(book.root(0), [5, 6]) is None
    book.add(0, [5, 100, 6, 101, 7, END], times=20)
    assert book.offer(book.root(0), 10, END) == [5, 100, 6, 101, 7]


def test_the_width_of_a_step_is_what_most_rows_gain_from() -> None:
    assert best_width(np.array([0, 0, 0])) == 1
    assert best_width(np.array([9, 9, 9])) == 10
    assert best_width(np.array([9, 0, 0, 0, 0, 0, 0, 0])) == 1
