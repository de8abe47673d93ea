"""Mixup and CutMix: images and labels by one share."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sources import coloured, written

from eo_contrast.landcover import trainer
from eo_contrast.landcover.config import FinetuneConfig, LossConfig
from eo_contrast.landcover.finetune import RunOptions, finetune
from eo_contrast.landcover.losses import place_loss
from eo_contrast.landcover.mixing import MixConfig, draw_mixing

KINDS = ("mixup", "cutmix")


def keys_of(count: int, first: int = 0) -> list[tuple[int, ...]]:
    return [(7, number) for number in range(first, first + count)]


def mixing_of(kind, count: int = 6, *, alpha: float = 1.0, side: int = 16, first: int = 0):
    mixing = draw_mixing(MixConfig(kind=kind, alpha=alpha), keys_of(count, first), side)
    assert mixing is not None
    return mixing


def test_nothing_is_mixed_unless_it_is_asked_for():
    assert draw_mixing(MixConfig(), keys_of(4), 8) is None


@given(
    kind=st.sampled_from(KINDS),
    count=st.integers(1, 9),
    alpha=st.sampled_from([0.2, 1.0, 4.0]),
    side=st.integers(1, 20),
)
def test_a_label_has_the_share_that_its_image_has(kind, count, alpha, side):
    mixing = mixing_of(kind, count, alpha=alpha, side=side)
    # Each image is all its own number: a pixel tells whose it is.
    whose = torch.eye(count, dtype=torch.float64)
    images = whose[:, :, None, None].expand(-1, -1, side, side)
    seen = mixing.images({"a": images})["a"]
    torch.testing.assert_close(seen.mean((2, 3)), mixing.shares(whose))
    torch.testing.assert_close(mixing.shares(whose).sum(1), torch.ones(count, dtype=torch.float64))
    if kind == "cutmix":
        assert set(seen.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("kind", KINDS)
def test_processes_with_half_a_batch_mix_as_one_with_all(kind):
    whole = mixing_of(kind, 8)
    images = torch.rand(8, 3, 16, 16)
    mixed = whole.images({"a": images})["a"]
    for first in (0, 4):
        part = mixing_of(kind, 4, first=first)
        own = slice(first, first + 4)
        assert torch.equal(part.images({"a": images[own]})["a"], mixed[own])
        assert torch.equal(part.own, whole.own[own])


def test_sensors_are_mixed_alike():
    mixing = mixing_of("cutmix")
    image = torch.rand(6, 2, 16, 16)
    seen = mixing.images({"a": image, "b": image * 3})
    assert torch.equal(seen["a"] * 3, seen["b"])


def test_what_is_pasted_is_one_rectangle():
    for mask in mixing_of("cutmix", 20).pasted:
        rows, columns = mask[0].any(1), mask[0].any(0)
        assert int(mask.sum()) == int(rows.sum()) * int(columns.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_shares_are_as_often_any_for_an_alpha_of_one(kind):
    own = mixing_of(kind, 2000, side=32).own
    # Of a square of side l, 0..1, its middle anywhere, l - l^2 / 4 of each side is not cut off at
    # the border; its mean square over l = sqrt(u), u uniform, is 1/2 - 1/5 + 1/48.
    expected = 0.5 if kind == "mixup" else 1 - (1 / 2 - 1 / 5 + 1 / 48)
    assert float(own.mean()) == pytest.approx(expected, abs=0.02)
    assert float(own.min()) < 0.05 and float(own.max()) > 0.95


def test_the_loss_of_a_mixed_label_is_the_mean_of_both_by_their_shares():
    torch.manual_seed(1)
    logits, targets = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    mixing = mixing_of("mixup", 4)
    expected = sum(
        share * torch.nn.functional.cross_entropy(logits[row, None], targets[which, None])
        for row, (own, partner) in enumerate(
            zip(mixing.own.tolist(), mixing.partner.tolist(), strict=True)
        )
        for share, which in ((own, row), (1 - own, partner))
    )
    found = place_loss(logits, targets, LossConfig(), None, mixing)
    assert float(found) == pytest.approx(float(expected) / 4, rel=1e-5)


def test_smoothed_labels_are_torchs():
    torch.manual_seed(2)
    logits, targets = torch.randn(5, 4), torch.tensor([0, 3, 2, 1, 1])
    found = place_loss(logits, targets, LossConfig(smoothing=0.2))
    expected = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=0.2)
    torch.testing.assert_close(found, expected)


def test_a_rare_class_is_not_taught_by_what_smoothing_gives_it():
    """What is told of a common class's sample is its own class, whatever the rare one weighs."""
    config, weights = LossConfig(smoothing=0.1), torch.tensor([0.5] * 9 + [50.0])
    logits = torch.zeros(1, 10, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = place_loss(logits, torch.tensor([0]), config, weights)
        loss.backward()
        return loss

    optimizer.step(closure)
    told = logits.detach().softmax(1)[0]
    assert told[0].item() == pytest.approx(0.91, abs=1e-3)
    assert told[9].item() == pytest.approx(0.01, abs=1e-3)


def test_a_mixed_sample_weighs_as_its_classes_do():
    logits, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    weights, mixing = torch.tensor([1.0, 2.0, 5.0]), mixing_of("mixup", 4)
    own = mixing.own.float()
    log_p = logits.log_softmax(1)
    first, second = (-log_p[range(4), each] for each in (targets, targets[mixing.partner]))
    of_own, of_other = own * weights[targets], (1 - own) * weights[targets[mixing.partner]]
    expected = (of_own * first + of_other * second).sum() / (of_own + of_other).sum()
    torch.testing.assert_close(place_loss(logits, targets, LossConfig(), weights, mixing), expected)


@pytest.mark.parametrize("mode", ["linear", "full"])
def test_training_sees_mixed_images_and_their_mixed_labels(mode, tmp_path, monkeypatch):
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def watched(logits, targets, config, weights=None, mixing=None):
        assert mixing is not None
        seen.append((targets, mixing.own))
        return place_loss(logits, targets, config, weights, mixing)

    monkeypatch.setattr(trainer, "place_loss", watched)
    given = FinetuneConfig.model_validate(
        {
            "mode": mode,
            "mix": {"kind": "mixup"},
            "encoder": {"stem": "small"},
            "data": {"batch_size": 8},
            "schedule": {"epochs": 1},
        }
    )
    pack = written(coloured(), tmp_path / "pack")
    options = RunOptions(device="cpu", quiet=True)
    finetune(given, pack, "random", tmp_path / "run", options)
    assert [len(targets) for targets, _ in seen] == [8, 8]
    assert not torch.equal(seen[0][1], seen[1][1])


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_an_alpha_that_draws_nothing_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        MixConfig(kind="mixup", alpha=alpha)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"mix": {"kind": "mixup"}}, "mix.kind is mixup, and is for one class a place"),
        ({"loss": {"smoothing": 0.1}}, "loss.smoothing is 0.1, and is for one class a place"),
    ],
)
@pytest.mark.parametrize("task", ["multi-label", "segmentation"])
def test_a_task_that_has_no_one_label_a_place_is_refused(task, changed, line):
    with pytest.raises(ValueError, match=line):
        FinetuneConfig.model_validate({"task": task} | changed)
