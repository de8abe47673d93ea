"""Order, cycles and what depends on what, of any graph."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eo_contrast.pipeline.graph import dependants, find_cycle, in_order

NAMES = "abcdefg"


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, frozenset[str]]:
    """Stages in any order, each waiting for some that come before it in another order."""
    names = draw(st.permutations(NAMES))
    graph = {
        name: frozenset(draw(st.sets(st.sampled_from(names[:at])))) if at else frozenset()
        for at, name in enumerate(names)
    }
    return {name: graph[name] for name in draw(st.permutations(NAMES))}


def any_graph() -> st.SearchStrategy[dict[str, frozenset[str]]]:
    return st.fixed_dictionaries({name: st.frozensets(st.sampled_from(NAMES)) for name in NAMES})


def reached(graph: Mapping[str, frozenset[str]], start: str) -> set[str]:
    """What a stage waits for, directly or not, found the slow way."""
    found: set[str] = set()
    while True:
        more = set(graph[start]).union(*(graph[name] for name in found)) - found
        if not more:
            return found
        found |= more


@given(graph=acyclic())
def test_every_stage_comes_once_and_after_what_it_waits_for(
    graph: dict[str, frozenset[str]],
) -> None:
    order = in_order(graph)
    assert sorted(order) == sorted(graph)
    for name, needs in graph.items():
        assert all(order.index(need) < order.index(name) for need in needs)


def test_what_may_run_in_any_order_runs_in_that_of_the_file() -> None:
    nothing: frozenset[str] = frozenset()
    assert in_order({"c": nothing, "a": nothing, "b": nothing}) == ["c", "a", "b"]
    assert in_order({"c": frozenset("b"), "a": nothing, "b": nothing}) == ["a", "b", "c"]


@given(graph=any_graph())
def test_a_cycle_is_found_where_there_is_one_and_is_one(graph: dict[str, frozenset[str]]) -> None:
    cycle = find_cycle(graph)
    assert bool(cycle) == any(name in reached(graph, name) for name in graph)
    for name, waits_for in zip(cycle, [*cycle[1:], *cycle[:1]], strict=True):
        assert waits_for in graph[name]
    assert len(set(cycle)) == len(cycle)


def test_a_graph_with_a_cycle_has_no_order() -> None:
    with pytest.raises(ValueError, match="a b"):
        in_order({"a": frozenset("b"), "b": frozenset("a")})


@given(graph=acyclic(), changed=st.frozensets(st.sampled_from(NAMES)))
def test_what_depends_on_something_are_the_stages_that_reach_it(
    graph: dict[str, frozenset[str]], changed: frozenset[str]
) -> None:
    expected = {name for name in graph if name in changed or reached(graph, name) & changed}
    assert dependants(graph, changed) == expected
