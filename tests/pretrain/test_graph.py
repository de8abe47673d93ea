"""Graphs that cannot mean anything are refused, with the line that says why."""

from __future__ import annotations

import copy

import pytest
from pydantic import ValidationError

from eo_contrast.pretrain.graph import Graph, refuse_batch, refuse_data

MOCO = {
    "views": {
        "query": {"augment": "full"},
        "key": {"augment": "full", "encoder": "momentum"},
    },
    "spaces": {"instance": {"objective": "info_nce", "pairs": [["query", "key"]], "queue": 64}},
}


def graph(**changes: object) -> Graph:
    """MoCo's graph with values changed, named as ``views__query__date``."""
    values = copy.deepcopy(MOCO)
    for path, value in changes.items():
        *parents, last = path.split("__")
        here = values
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return Graph.model_validate(values)


def refusal(**changes: object) -> str:
    with pytest.raises(ValidationError) as caught:
        graph(**changes)
    return str(caught.value)


def test_a_graph_that_means_something_is_taken():
    assert graph().has_momentum


def test_an_anchor_is_seen_by_the_online_encoder():
    said = refusal(spaces__instance__pairs=[["key", "query"]])
    assert "anchor 'key' is seen by the momentum encoder" in said


def test_a_momentum_view_has_an_online_twin_of_its_sensor():
    said = refusal(
        sensors={"s1": {"product": "s1"}, "s2": {"product": "s2"}},
        views__query__sensor="s1",
        views__key__sensor="s2",
    )
    assert "views.key: the momentum encoder of s2 has no online twin" in said


def test_a_shared_trunk_is_a_twin_for_every_sensor():
    taken = graph(
        sensors={"s1": {"product": "s1"}, "s2": {"product": "s2"}},
        views__query__sensor="s1",
        views__key__sensor="s2",
        shared_trunk=True,
    )
    assert taken.shared_trunk


def test_a_queue_holds_keys_of_the_momentum_encoder():
    said = refusal(views__key__encoder="online")
    assert "'key', an online view" in said


def test_a_view_is_not_its_own_positive():
    said = refusal(spaces__instance__pairs=[["query", "query"]])
    assert "'query' is its own positive" in said


def test_views_of_the_same_pixels_are_no_pair():
    said = refusal(views__query={"crop": "one"}, views__key={"crop": "one", "encoder": "momentum"})
    assert "'query' and 'key' are the same pixels" in said


def test_a_copy_for_the_other_encoder_is_no_pair_with_its_original():
    said = refusal(views__key={"of": "query", "encoder": "momentum"})
    assert "are the same pixels" in said


@pytest.mark.parametrize(
    "key",
    [{"date": 1}, {"crop": "two"}, {"augment": "full"}],
    ids=["date", "crop", "augmentation"],
)
def test_any_difference_makes_a_pair(key):
    taken = graph(
        views__query={"crop": "one"},
        views__key={"crop": "one", "encoder": "momentum", **key},
    )
    assert taken.views["key"].encoder == "momentum"


@pytest.mark.parametrize("temperature", [0, -0.1])
def test_a_temperature_is_above_zero(temperature):
    assert "temperature" in refusal(spaces__instance__temperature=temperature)


def test_info_nce_needs_a_negative():
    assert "no negatives" in refusal(spaces__instance__queue=None)


def test_a_bank_belongs_to_its_objectives():
    assert "bank is 5" in refusal(spaces__instance__bank=5)
    assert "bank is None" in refusal(
        spaces__instance={"objective": "noise_contrastive", "pairs": [["query", "key"]]}
    )


def test_a_queue_belongs_to_info_nce():
    assert "belong to info_nce" in refusal(spaces__instance__objective="nt_xent")


def test_sets_and_pairs_are_not_mixed():
    assert "takes views, not pairs" in refusal(spaces__instance__objective="supervised")
    assert "takes pairs" in refusal(spaces__instance__views=["query"])


def test_names_that_are_not_there_name_the_nearest():
    said = refusal(spaces__instance__pairs=[["qurey", "key"]])
    assert "did you mean 'query'?" in said
    assert "did you mean 'default'?" in refusal(spaces__instance__projector="defualt")


def test_which_of_two_projectors_is_meant_has_to_be_said():
    said = refusal(projectors={"one": {}, "two": {}})
    assert "one, two: name one" in said


def test_what_no_space_uses_is_refused():
    assert "views.third is in no space" in refusal(views__third={"augment": "full"})


def test_negatives_of_a_batch_need_two_places():
    with pytest.raises(ValueError, match="batch_size is 1"):
        refuse_batch(
            graph(spaces__instance={"objective": "nt_xent", "pairs": [["query", "key"]]}), 1
        )


def test_decorrelation_needs_two_places():
    pair = {"objective": "barlow_twins", "pairs": [["query", "key"]]}
    with pytest.raises(ValueError, match="standardises over the batch"):
        refuse_batch(graph(spaces__instance=pair), 1)


def test_a_queue_is_no_shorter_than_a_batch():
    refuse_batch(graph(), 64)
    with pytest.raises(ValueError, match="shorter than a batch of 65"):
        refuse_batch(graph(), 65)


def test_a_queue_is_no_longer_than_the_data():
    refuse_data(graph(), 64, {"image": 1})
    with pytest.raises(ValueError, match=r"queue is 64, but there are 63 places.*queue=31"):
        refuse_data(graph(), 63, {"image": 1})


def test_a_date_slot_is_there_in_the_data():
    seasons = graph(views__key__date=1)
    refuse_data(seasons, 64, {"image": 2})
    with pytest.raises(ValueError, match=r"date slot 1 \(the second date\).*more than 1"):
        refuse_data(seasons, 64, {"image": 1})
