"""Which stage waits for which: order, cycles, and what depends on what.

A graph is a mapping from each stage to the stages whose outputs it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

Graph = Mapping[str, Set[str]]


def find_cycle(graph: Graph) -> list[str]:
    """Stages that wait for each other, each for the next and the last for the first; or none."""
    finished: set[str] = set()
    for start in graph:
        path: list[str] = []
        waiting = [iter((start,))]
        while waiting:
            stage = next(waiting[-1], None)
            if stage is None:
                waiting.pop()
                if path:
                    finished.add(path.pop())
            elif stage in path:
                return path[path.index(stage) :]
            elif stage not in finished:
                path.append(stage)
                waiting.append(iter(sorted(graph[stage])))
    return []


def in_order(graph: Graph) -> list[str]:
    """Every stage after those that it waits for, and else as the graph has them.

    Raises: ValueError: there is a cycle.
    """
    ordered: dict[str, None] = {}
    while len(ordered) < len(graph):
        ready = [stage for stage in graph if stage not in ordered and graph[stage] <= set(ordered)]
        if not ready:
            raise ValueError(f"a cycle: {' '.join(find_cycle(graph))}")
        ordered[ready[0]] = None
    return list(ordered)


def dependants(graph: Graph, stages: Iterable[str]) -> set[str]:
    """The stages and all that wait for them, directly or not."""
    found = set(stages)
    for stage in in_order(graph):
        if graph[stage] & found:
            found.add(stage)
    return found
