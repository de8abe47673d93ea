"""Calls at the same time give their results in order, and an error where it belongs."""

from __future__ import annotations

import threading
import time

import pytest

from eo_contrast.inference.overlap import side_by_side


def test_results_come_in_order_and_items_are_taken_a_few_ahead():
    taken: list[int] = []
    begun: list[str] = []

    def items():
        for number in range(12):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.01 * (number % 3))
        return number * 10

    with side_by_side(3, begin=lambda: begun.append(threading.current_thread().name)) as run:
        results = run(work, items())
        assert next(results) == 0
        assert len(taken) <= 5
        assert list(results) == [number * 10 for number in range(1, 12)]
    assert 1 <= len(set(begun)) <= 3
    assert threading.current_thread().name not in begun


def test_an_error_is_raised_where_its_result_would_have_come():
    def work(number: int) -> int:
        return 10 // (number - 2)

    with side_by_side(2, begin=lambda: None) as run:
        results = run(work, range(5))
        assert [next(results), next(results)] == [-5, -10]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_leaving_early_leaves_no_thread_behind():
    before = threading.active_count()
    with side_by_side(4, begin=lambda: None) as run:
        assert next(run(lambda number: number, range(100))) == 0
    assert threading.active_count() == before
