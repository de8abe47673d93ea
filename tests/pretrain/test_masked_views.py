"""Masked views: what is drawn, what enters the encoder, what it costs to put the rest back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric
from pydantic import ValidationError
from small_encoders import eats
from small_run import SIDE, TINY_VIT, packed_world, small

from eo_contrast.config import shipped_folder
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import EncoderConfig, build_encoder
from eo_contrast.nets.reconstruction import (
    Attention,
    CrossConfig,
    DecoderConfig,
    build_reconstructor,
)
from eo_contrast.objectives.masked import Masking, masking, patchify, reconstruction_of_views
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.embed import EmbedOptions, embed
from eo_contrast.pretrain.embeddings import open_embeddings
from eo_contrast.pretrain.engine import features_of, losses_of, new_memory
from eo_contrast.pretrain.graph import Graph
from eo_contrast.pretrain.masks import drawn_masking
from eo_contrast.pretrain.nets import build_nets
from eo_contrast.pretrain.observe import faults_of
from eo_contrast.pretrain.run import batches_of, material_of, pretrain, resolved
from eo_contrast.training.checkpoint import load_checkpoint
from eo_contrast.training.encoder_card import (
    EncoderCard,
    SensorEncoders,
    load_encoder,
    save_encoder,
)
from eo_contrast.training.run_folder import RunOptions
from eo_contrast.training.start import StartConfig, load_start

CPU = torch.device("cpu")
FABRIC = Fabric(accelerator="cpu", devices=1)
PATCHES = (SIDE // TINY_VIT["patch"]) ** 2
KEPT = PATCHES // 4


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """The folder of a pack of radar and optics, and of the catalogue that it is of."""
    folder = tmp_path_factory.mktemp("world")
    packed_world(folder, dates=1)
    return folder


def options(**values: object) -> RunOptions:
    return RunOptions(**({"device": "cpu", "quiet": True} | values))


def drawn(samples: list[int], **changes: Any) -> Masking:
    values = {"share": 0.75, "patches": PATCHES, "seed": 0, "view": 0, "device": CPU}
    return drawn_masking(samples, **(values | changes))


def noise(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def tiny_vit(**changes: object):
    return build_encoder(EncoderConfig.model_validate(TINY_VIT | changes), 2, seed=0).double()


# Masks -----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    share=st.floats(0.05, 0.95),
    side=st.integers(5, 15),
    samples=st.lists(st.integers(0, 10**9), min_size=1, max_size=5),
    seed=st.integers(0, 10**6),
)
def test_a_mask_keeps_its_share_of_each_sample_and_each_patch_is_kept_or_removed(
    share, side, samples, seed
):
    patches = side**2
    masked = drawn(samples, share=share, patches=patches, seed=seed)
    count = int(patches * (1 - share))
    assert masked.kept.shape == (len(samples), count)
    assert (masked.removed.sum(1) == patches - count).all()
    for kept, removed in zip(masked.kept, masked.removed, strict=True):
        assert sorted([*kept.tolist(), *removed.nonzero().flatten().tolist()]) == [*range(patches)]


def test_a_mask_is_a_function_of_seed_sample_and_view_alone():
    together = drawn([3, 4, 5])
    alone = [drawn([sample]) for sample in (3, 4, 5)]
    for what in ("kept", "restore", "removed"):
        assert torch.equal(
            getattr(together, what), torch.cat([getattr(each, what) for each in alone])
        )
    for change in ({"seed": 1}, {"view": 1}):
        assert not torch.equal(drawn([3, 4, 5], **change).kept, together.kept)
    assert not torch.equal(alone[0].kept, alone[1].kept)


def test_every_patch_is_kept_as_often_as_any_other():
    often = (~drawn(list(range(2000))).removed).double().mean(0)
    # 2000 draws of a quarter: a deviation of .0097.
    assert (often - 0.25).abs().max() < 0.045


def test_the_views_of_a_batch_are_masked_apart(world):
    config = resolved(small("croma"), world / "pack")
    material = material_of(config, world / "pack")
    batches = list(batches_of(config, material, FABRIC, 0, 3))
    radar, optical = (batches[0].masks[view].kept for view in ("radar", "optical"))
    assert radar.shape == optical.shape == (4, KEPT)
    assert not torch.equal(radar, optical)
    later = next(batches_of(config, material, FABRIC, 2, 3))
    assert torch.equal(later.masks["radar"].kept, batches[2].masks["radar"].kept)


# What enters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", ["alibi", "learned"])
@torch.no_grad()
def test_only_visible_patches_enter(positions):
    encoder = tiny_vit(positions=positions).eval()
    masked = drawn([0, 1])
    images = noise(1, 2, 2, SIDE, SIDE)
    entered: list[int] = []
    encoder.net.blocks[0].register_forward_pre_hook(
        lambda _module, given: entered.append(given[0].shape[1])
    )
    tokens = encoder.tokens(images, masked.kept)
    assert entered == [tokens.shape[1]] == [KEPT + (positions == "learned")]
    assert encoder.patch_tokens(tokens).shape == (2, KEPT, 384)
    hidden = masked.removed.reshape(2, 1, SIDE // 4, SIDE // 4)
    hidden = hidden.repeat_interleave(4, 2).repeat_interleave(4, 3)
    other = torch.where(hidden, noise(2, 2, 2, SIDE, SIDE), images)
    assert torch.equal(encoder.tokens(other, masked.kept), tokens)
    other = torch.where(hidden, images, noise(2, 2, 2, SIDE, SIDE))
    assert not torch.allclose(encoder.tokens(other, masked.kept), tokens)


@pytest.mark.parametrize("positions", ["alibi", "learned"])
@torch.no_grad()
def test_all_patches_in_any_order_are_the_whole_image(positions):
    encoder = tiny_vit(positions=positions).eval()
    images = noise(1, 2, 2, SIDE, SIDE)
    order = noise(3, 2, PATCHES).argsort(1)
    tokens = encoder.tokens(images, order)
    torch.testing.assert_close(encoder.pool(tokens), encoder(images))
    finest = encoder.pyramid(images)[-1].flatten(2).mT
    wanted = finest.gather(1, order[..., None].expand(-1, -1, 384))
    torch.testing.assert_close(encoder.patch_tokens(tokens), wanted)


@torch.no_grad()
def test_attention_by_distance_knows_where_patches_are():
    encoder = tiny_vit().eval()
    images = noise(1, 1, 2, SIDE, SIDE)
    assert encoder.net.pos_embed is None
    # Whole rows of patches change places: the same tokens, elsewhere.
    moved = images.roll(4, 2)
    assert not torch.allclose(encoder(moved), encoder(images))
    assert "bias" not in encoder.state_dict()
    assert len(encoder.pyramid(images)) == 4


# Reconstruction --------------------------------------------------------------------------------


def written_out(predictions, images, masks, patch) -> float:
    """The sum over views of the mean over removed patches of the mean square, by loops."""
    total = 0.0
    for prediction, image, masked in zip(predictions, images, masks, strict=True):
        errors = []
        for n, number in masked.removed.nonzero().tolist():
            row, column = divmod(number, image.shape[3] // patch)
            top, left = row * patch, column * patch
            cut = image[n, :, top : top + patch, left : left + patch].numpy()
            values = cut.transpose(1, 2, 0).ravel()
            target = (values - values.mean()) / np.sqrt(values.var(ddof=1) + 1e-6)
            errors.append(((prediction[n, number].numpy() - target) ** 2).mean())
        total += float(np.mean(errors))
    return total


def test_the_loss_is_what_is_written_out():
    images = [noise(1, 3, 2, 12, 12), 5 + 0.1 * noise(2, 3, 4, 12, 12)]
    masks = [masking(noise(seed, 3, 9), 0.6) for seed in (3, 4)]
    predictions = [noise(5, 3, 9, 32), noise(6, 3, 9, 64)]
    loss = reconstruction_of_views(predictions, images, masks, 4)
    assert float(loss) == pytest.approx(written_out(predictions, images, masks, 4), rel=1e-12)


def test_predicting_nothing_costs_chance_and_the_targets_cost_nothing():
    images, masked = noise(1, 3, 2, 12, 12), masking(noise(3, 3, 9), 0.6)
    nothing = torch.zeros(3, 9, 32, dtype=torch.float64)
    loss = reconstruction_of_views([nothing], [images], [masked], 4)
    assert float(loss) == pytest.approx(31 / 32, rel=1e-4)
    patches = patchify(images, 4)
    target = (patches - patches.mean(2, keepdim=True)) / patches.std(2, keepdim=True)
    assert float(reconstruction_of_views([target], [images], [masked], 4)) < 1e-9


@torch.no_grad()
def test_attention_is_what_is_written_out():
    attention = Attention(6, 2).double()
    tokens, context, bias = noise(1, 1, 3, 6), noise(2, 1, 5, 6), noise(3, 1, 2, 3, 5)
    heads = []
    for head in range(2):
        part = slice(3 * head, 3 * head + 3)
        queries, keys, values = (
            (given[0] @ layer.weight.T + layer.bias)[:, part]
            for layer, given in (
                (attention.queries, tokens),
                (attention.keys, context),
                (attention.values, context),
            )
        )
        logits = queries @ keys.T / 3**0.5 + bias[0, head]
        heads.append(logits.softmax(1) @ values)
    wanted = torch.cat(heads, 1) @ attention.out.weight.T + attention.out.bias
    torch.testing.assert_close(attention(tokens, context, bias)[0], wanted)


def test_the_first_views_tokens_look_at_the_seconds_and_both_are_put_back():
    net = build_reconstructor(
        CrossConfig(depth=2, heads=2),
        DecoderConfig(width=8, heads=2),
        width=12,
        side=3,
        patch=4,
        bands=[2, 5],
        seed=0,
    ).double()
    masks = [masking(noise(seed, 2, 9), 0.5) for seed in (1, 2)]
    tokens = [noise(seed, 2, 4, 12).requires_grad_() for seed in (3, 4)]
    radar, optical = net(tokens, masks)
    assert (radar.shape, optical.shape) == ((2, 9, 32), (2, 9, 80))
    radar.square().sum().backward()
    assert all(each.grad.abs().sum() > 0 for each in tokens)
    # The order in which visible tokens come is nobody's business.
    order = torch.tensor([2, 0, 3, 1])
    place = masks[0].restore.clone()
    place[place < 4] = order.argsort()[place[place < 4]]
    turned = [
        Masking(masks[0].kept[:, order], place, masks[0].removed),
        Masking(masks[1].kept[:, order], masks[1].restore, masks[1].removed),
    ]
    again = net([each[:, order] for each in tokens], turned)
    torch.testing.assert_close(again[0], radar)
    torch.testing.assert_close(again[1], optical)


def test_the_engine_hands_a_space_the_tokens_pixels_and_masks_of_its_views(world):
    config = resolved(small("croma", channels_last=False), world / "pack")
    material = material_of(config, world / "pack")
    nets = build_nets(config.graph, config.encoder, material.sensors, 0)
    batch = next(batches_of(config, material, FABRIC, 0, 1))
    memory = new_memory(config.graph, 20, 0, CPU)
    features = features_of(nets, config.graph, batch)
    losses = losses_of(nets, config.graph, memory, features, batch, draw_key=(0, 0))
    sensors = {"radar": "s1", "optical": "s2"}
    masks = [batch.masks[view] for view in sensors]
    tokens = [
        nets.online.trunk(sensor).tokens(batch.images[view], batch.masks[view].kept)
        for view, sensor in sensors.items()
    ]
    predictions = nets.reconstructor("pixels")(tokens, masks)
    wanted = written_out(
        [each.detach() for each in predictions], [batch.images[v] for v in sensors], masks, 4
    )
    assert float(losses.by_space["pixels"].detach()) == pytest.approx(wanted, rel=1e-4)
    assert losses.seen.keys() == {"sensors"}


# Runs ------------------------------------------------------------------------------------------

FAST: dict[str, Any] = {
    "optimizer": {"kind": "adamw", "lr": 1e-4},
    "schedule": {"kind": "constant"},
}


def test_the_preset_learns_and_its_encoder_embeds_a_catalogue(world, tmp_path):
    lines = (shipped_folder("configs/pretrain") / "croma.yaml").read_text().splitlines()
    assert len(lines) <= 30
    run = tmp_path / "run"
    config = small("croma", log_every=6, **FAST)
    told = pretrain(config, world / "pack", run, options(steps=24))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    means = {
        name: [row[name] for row in rows if name in row]
        for name in ("loss", "loss/pixels", "loss/sensors")
    }
    assert all(each[-1] < each[0] for each in means.values())
    assert means["loss/pixels"][-1] < 0.9 * means["loss/pixels"][0]
    assert told["losses"]["over_chance/pixels"] > 0.5
    assert "spread/pixels" not in told["losses"]
    assert faults_of({"over_chance/pixels": 1.0}, config.graph).keys() == {"chance/pixels"}

    net, card = load_encoder(run)
    assert card.architecture.positions == "alibi"
    assert not net.heads
    out = tmp_path / "vectors.parquet"
    embed(world / "catalogue.parquet", run, out, EmbedOptions(device="cpu", quiet=True))
    vectors = np.concatenate(list(open_embeddings(out).batches()))
    assert vectors.shape[1] == net.width == 384
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(vectors)


@torch.no_grad()
def test_weights_that_attend_by_distance_serve_another_size(tmp_path):
    eaten = {"s1": eats("s1-grd")}
    card = EncoderCard(architecture=EncoderConfig(**TINY_VIT), sensors=eaten, size=SIDE)
    net = SensorEncoders(card, seed=1)
    save_encoder(net, card, tmp_path / "model.safetensors")
    larger = build_encoder(EncoderConfig(**(TINY_VIT | {"size": 32})), 2, seed=2)
    start = StartConfig(path=str(tmp_path / "model.safetensors"))
    assert load_start(start, larger, eaten["s1"], sensor="s1") == []
    assert larger(torch.zeros(1, 2, 32, 32)).shape == (1, 384)
    for name, value in larger.state_dict().items():
        assert torch.equal(value, net.trunk("s1").get_parameter(name)), name


def test_a_run_in_two_halves_is_the_straight_run_bit_for_bit(world, tmp_path):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    pack, by_worker = world / "pack", small("croma", data__workers=1, **FAST)
    pretrain(small("croma", **FAST), pack, straight, options(steps=4))
    pretrain(by_worker, pack, broken, options(steps=2))
    pretrain(by_worker, pack, broken, options(steps=4, resume=True))
    name = "model.safetensors"
    assert (straight / name).read_bytes() == (broken / name).read_bytes()
    one, other = (load_checkpoint(run / "last.ckpt")["nets"]["graph"] for run in (straight, broken))
    assert any(name.startswith("reconstructors.pixels.cross.") for name in one)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [({"data__chunk": 3}, 1e-6), ({"precision": "bf16-mixed"}, 2e-2)],
    ids=["chunks", "bfloat16"],
)
def test_chunks_and_bfloat16_take_the_same_steps(world, tmp_path, changes, tolerance):
    one = pretrain(small("croma", **FAST), world / "pack", tmp_path / "one", options(steps=2))
    other = pretrain(
        small("croma", **FAST, **changes), world / "pack", tmp_path / "two", options(steps=2)
    )
    for name in ("loss/pixels", "loss/sensors"):
        assert other["losses"][name] == pytest.approx(one["losses"][name], rel=tolerance)


def test_one_masked_view_is_an_autoencoder_with_a_slow_copy_and_parts(world, tmp_path):
    """MAE's graph beside BYOL's: learned positions, a class token, gradients of two parts."""
    values: dict[str, Any] = {
        "graph": {
            "sensors": {"s2": {"product": "s2-l2a"}},
            "views": {
                "one": {"augment": "cut", "mask": 0.5},
                "other": {"augment": "cut"},
                "slow": {"of": "one", "encoder": "momentum"},
            },
            "spaces": {
                "pixels": {
                    "objective": "reconstruction",
                    "views": ["one"],
                    "decoder": TINY_DECODER,
                },
                "agree": {"objective": "regression", "pairs": [["other", "slow"]]},
            },
            "projectors": {"default": {"hidden": [], "out": 8}},
            "divide_by_chance": True,
        },
        "augment": {"cut": {"crop_area": [0.5, 1]}},
        "encoder": {**TINY_VIT, "positions": "learned"},
        "keep_head_layers": 1,
        "data": {"size": SIDE, "batch_size": 4, "accumulate": 2},
    }
    config = PretrainConfig.model_validate(values)
    told = pretrain(config, world / "pack", tmp_path / "run", options(steps=2))
    losses = told["losses"]
    # The loss that is logged is that of the last part, each space over its guess.
    assert {"over_chance/pixels", "over_chance/agree"} <= losses.keys()
    net, card = load_encoder(tmp_path / "run")
    assert card.head is not None
    images = torch.zeros(2, len(card.sensors["s2"].bands), SIDE, SIDE)
    assert net.headed("s2", images).shape == (2, 8)


TINY_DECODER = {"width": 16, "heads": 2}

# Refusals --------------------------------------------------------------------------------------


def croma(**changes: object) -> dict[str, Any]:
    """The small preset's values with some changed, named as ``graph__views__radar__mask``."""
    values = small("croma").model_dump(mode="json")
    for path, value in changes.items():
        *parents, last = path.split("__")
        here = values
        for parent in parents:
            here = here[parent]
        here[last] = value
    return values


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"encoder": {"name": "resnet18"}},
            r"graph\.views\.radar\.mask: resnet18 has no tokens that could be left out",
        ),
        (
            {"encoder": {"name": "swin_tiny"}},
            r"swin_tiny has no tokens that could be left out; give encoder\.name=vit_small",
        ),
        (
            {"graph__views__optical__mask": None},
            r"spaces\.pixels: its view 'optical' has no mask",
        ),
        (
            {"graph__views__optical__crop": "two"},
            r"spaces\.pixels: 'radar' and 'optical' do not share a crop",
        ),
        (
            {
                "graph__views__optical__augment": "turned",
                "augment__turned": {"quarter_turns": True},
            },
            r"their augmentations differ in crop_area and show other ground",
        ),
        (
            {"data__size": 26},
            r"26 pixels a side are no whole number of patches of 4; give data\.size=24",
        ),
        ({"data__size": 32}, r"has 32 pixels a side, but vit_small is built for 24"),
        ({"encoder__size": 26}, r"size 26: vit_small takes multiples of 4 pixels; give 24"),
        ({"graph__views__radar__mask": 0.99}, r"0\.99 of 36 patches leaves none, or removes none"),
        ({"graph__views__radar__mask": 0.0}, r"graph\.views\.radar\.mask"),
        ({"graph__spaces__pixels__decoder": None}, r"reconstruction needs a decoder"),
        ({"graph__spaces__pixels__cross": None}, r"or of two with a cross encoder"),
        ({"graph__spaces__pixels__views": ["radar"]}, r"of one view, or of two with a cross"),
        ({"graph__spaces__pixels__projector": "default"}, r"looks at tokens; leave its projector"),
        (
            {"graph__spaces__sensors__decoder": TINY_DECODER},
            r"cross and decoder belong to reconstruction, not to clip",
        ),
        (
            {"graph__spaces__pixels__pairs": [["radar", "optical"]]},
            r"reconstruction takes views, not pairs",
        ),
    ],
)
def test_what_cannot_be_put_back_is_refused_before_a_pixel_is_read(changes, line):
    with pytest.raises(ValidationError, match=line):
        PretrainConfig.model_validate(croma(**changes))


def test_heads_that_do_not_divide_a_width_are_refused(world, tmp_path):
    config = PretrainConfig.model_validate(
        croma(graph__spaces__pixels__decoder={"width": 16, "heads": 3})
    )
    with pytest.raises(InputError, match=r"graph\.spaces\.pixels\.decoder\.heads is 3, which does"):
        pretrain(config, world / "pack", tmp_path / "run", options())
    assert not (tmp_path / "run").exists()


def test_reconstruction_chooses_no_projector_among_several():
    values = croma(
        graph__projectors={"one": {}, "two": {}}, graph__spaces__sensors__projector="two"
    )
    assert PretrainConfig.model_validate(values).graph.projecting == ("sensors",)


def test_a_head_is_kept_only_where_a_space_has_one():
    values = croma(keep_head_layers=1)
    del values["graph"]["spaces"]["sensors"]
    with pytest.raises(ValidationError, match="keep_head_layers: no space has a projector"):
        PretrainConfig.model_validate(values)


def test_two_masks_of_the_same_pixels_are_a_pair():
    values = {
        "views": {"a": {"crop": "one", "mask": 0.5}, "b": {"crop": "one", "mask": 0.5}},
        "spaces": {"agree": {"objective": "nt_xent", "pairs": [["a", "b"]]}},
    }
    assert Graph.model_validate(values).views["a"].mask == 0.5
    values["views"]["c"] = {"of": "a", "encoder": "momentum", "mask": 0.5}
    with pytest.raises(ValidationError, match="takes its mask; leave mask out"):
        Graph.model_validate(values)


@pytest.mark.parametrize("field", [{"patch": 8}, {"depth": 4}, {"positions": "alibi"}])
def test_what_vit_small_may_be_no_other_network_is(field):
    (name,) = field
    with pytest.raises(ValidationError, match=f"{name} is for vit_small, resnet18 has none"):
        EncoderConfig.model_validate({"name": "resnet18", **field})
    assert EncoderConfig.model_validate({"name": "vit_small", **field}).changed_of_vit == [name]
