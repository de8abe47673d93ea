"""Trunks are found in other codes' checkpoints, and their kernels go by the bands' names."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import timm
import torch
from torch import Tensor

from eo_contrast.bands import L1C, L2A
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.published_inputs import PUBLISHED
from eo_contrast.data.sensors import SensorInput, sensor_input, standardised
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import (
    ARCHITECTURES,
    Encoder,
    EncoderConfig,
    EncoderName,
    build_encoder,
)
from eo_contrast.nets.weights import (
    State,
    fill_trunk,
    fit_bands,
    flat_tensors,
    position_of,
    to_timm,
    trunk_of,
)

SIDE = 64
NAMES: Sequence[EncoderName] = ("resnet18", "resnet50", "swin_tiny", "vit_small", "convnext_tiny")


def encoder_of(
    name: EncoderName = "resnet18", bands: int = 3, *, seed: int = 0, size: int = SIDE
) -> Encoder:
    return build_encoder(EncoderConfig(name=name, size=size), bands, seed=seed).eval()


def images(bands: int, side: int = SIDE) -> Tensor:
    return torch.randn(2, bands, side, side, generator=torch.Generator().manual_seed(1))


def eats(product: str, *bands: str) -> SensorInput:
    return sensor_input(Layer(product, "", bands, 1, STORAGE[product]))


def made_up(name: EncoderName = "resnet18", bands: int = 3) -> State:
    """A checkpoint as timm would leave it, of weights that no encoder here begins with."""
    state = to_timm(encoder_of(name, bands, seed=99))
    draw = torch.Generator().manual_seed(5)
    for key, value in state.items():
        if key.endswith("running_mean"):
            state[key] = torch.randn(value.shape, generator=draw)
    return state


def loaded(encoder: Encoder, tensors: State, prefix: str | None = None) -> list[str]:
    trunk, remarks = trunk_of(tensors, encoder, prefix=prefix)
    return remarks + fill_trunk(encoder, trunk)


def behind(prefix: str, state: State) -> State:
    return {f"{prefix}.{name}": value for name, value in state.items()}


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_plain_timm_gives_the_same_from_an_exported_trunk(name: EncoderName) -> None:
    encoder = encoder_of(name, 13, seed=3)
    fixed = {} if ARCHITECTURES[name].multiple is None else {"img_size": SIDE}
    plain = timm.create_model(
        ARCHITECTURES[name].timm_name, num_classes=0, in_chans=13, pretrained=False, **fixed
    ).eval()
    plain.load_state_dict(to_timm(encoder))
    assert torch.equal(plain(images(13)), encoder(images(13)))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_a_trunk_gives_the_same_from_plain_timms_weights(name: EncoderName) -> None:
    fixed = {} if ARCHITECTURES[name].multiple is None else {"img_size": SIDE}
    plain = timm.create_model(
        ARCHITECTURES[name].timm_name, num_classes=7, in_chans=2, pretrained=False, **fixed
    ).eval()
    encoder = encoder_of(name, 2)
    remarks = loaded(encoder, plain.state_dict())
    assert torch.equal(
        encoder(images(2)),
        plain.forward_head(plain.forward_features(images(2)), pre_logits=True),
    )
    assert len(remarks) == 1
    assert remarks[0].startswith("left out what a trunk has not: ")


def test_an_exported_trunk_shares_nothing_with_the_encoder() -> None:
    encoder = encoder_of()
    state = to_timm(encoder)
    state["conv1.weight"].zero_()
    assert encoder.net.state_dict()["conv1.weight"].abs().sum() > 0


@pytest.mark.parametrize(
    "prefix",
    [
        "module.encoder_q",  # MoCo
        "module.base_encoder",  # MoCo v3
        "encoder_q",  # SeCo
        "model.backbone",  # Lightning
        "module.backbone_1",  # DeCUR
        "online_encoder.net",
        "trunks.s2.net",
    ],
)
def test_a_trunk_is_found_behind_a_prefix(prefix: str) -> None:
    encoder, state = encoder_of(), made_up()
    extra = {"module.queue": torch.zeros(2), "optimizer.step": torch.zeros(1)}
    assert loaded(encoder, {**behind(prefix, state), **extra}) == []
    assert torch.equal(encoder.net.state_dict()["bn1.running_mean"], state["bn1.running_mean"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("module.encoder_q", "module.encoder_k"),
        ("module.base_encoder", "module.momentum_encoder"),
        ("teacher.backbone", "student.backbone"),
        ("online", "target_network"),
    ],
)
def test_of_two_encoders_the_one_that_is_evaluated_is_taken(first: str, second: str) -> None:
    encoder, right, wrong = encoder_of(), made_up(), to_timm(encoder_of(seed=4))
    remarks = loaded(encoder, {**behind(second, wrong), **behind(first, right)})
    assert torch.equal(encoder.net.state_dict()["conv1.weight"], right["conv1.weight"])
    assert remarks == [f"the trunk is behind '{first}'"]


def test_of_two_sensors_none_is_preferred() -> None:
    both = {**behind("backbone1", made_up()), **behind("backbone2", made_up())}
    with pytest.raises(
        InputError, match=r"has several of resnet18; choose the prefix of one: backbone1 backbone2"
    ):
        loaded(encoder_of(), both)


@pytest.mark.parametrize("prefix", ["backbone2", "backbone2."])
def test_a_prefix_chooses(prefix: str) -> None:
    encoder, right = encoder_of(), made_up()
    both = {**behind("backbone1", to_timm(encoder_of(seed=4))), **behind("backbone2", right)}
    loaded(encoder, both, prefix)
    assert torch.equal(encoder.net.state_dict()["conv1.weight"], right["conv1.weight"])


def test_a_prefix_with_nothing_behind_it_is_refused() -> None:
    with pytest.raises(InputError, match=r"no resnet18 behind 'net\.'; .* prefix of one: \(none\)"):
        loaded(encoder_of(), made_up(), "net")


def test_secos_numbered_layers_are_known() -> None:
    numbers = {"conv1": "0", "bn1": "1", **{f"layer{n}": str(n + 3) for n in range(1, 5)}}
    state, encoder = made_up(), encoder_of()
    numbered = {}
    for name, value in state.items():
        layer, _, rest = name.partition(".")
        numbered[f"encoder_q.{numbers[layer]}.{rest}"] = value
    heads = {"heads_q.0.0.weight": torch.zeros(512, 512)}
    assert loaded(encoder, {**numbered, **heads}) == []
    assert torch.equal(to_timm(encoder)["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])


def test_weights_from_before_batches_were_counted_load() -> None:
    state = {key: value for key, value in made_up().items() if "num_batches" not in key}
    assert loaded(encoder_of(), state) == []


def test_tensors_are_found_in_nested_checkpoints() -> None:
    stored = {"epoch": 3, "state_dict": {"conv1.weight": torch.ones(1)}, 0: {"a": torch.ones(2)}}
    assert set(flat_tensors(stored)) == {"state_dict.conv1.weight", "0.a"}


def test_what_a_trunk_has_not_is_left_out_and_said() -> None:
    state = {**made_up(), "fc.weight": torch.zeros(9, 512), "fc.bias": torch.zeros(9)}
    assert loaded(encoder_of(), state) == ["left out what a trunk has not: fc.weight fc.bias"]


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(InputError, match=r"has layer1.0.conv1.weight of 64x64x1x1, where resnet18"):
        loaded(encoder_of(), to_timm(encoder_of("resnet50")))


def test_weights_with_a_part_missing_are_refused() -> None:
    state = made_up()
    del state["layer3.0.bn1.bias"]
    with pytest.raises(InputError, match=r"not all weights of resnet18: layer3.0.bn1.bias missing"):
        loaded(encoder_of(), state)


def test_names_that_say_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"has no vit_small; its names are conv1.weight .* more"):
        loaded(encoder_of("vit_small"), made_up())


def test_a_stem_of_another_size_is_refused_with_the_way_out() -> None:
    encoder = build_encoder(EncoderConfig(stem="small"), 3, seed=0)
    with pytest.raises(InputError, match=r"64x3x7x7, where .* 64x3x3x3; set encoder.stem to publ"):
        loaded(encoder, made_up())


def test_kernels_of_other_bands_are_refused_by_their_number() -> None:
    with pytest.raises(InputError, match=r"64x13x7x7, where .* 64x3x7x7; name the bands"):
        loaded(encoder_of(), made_up(bands=13))


def test_a_stem_without_pooling_takes_published_weights() -> None:
    encoder = build_encoder(EncoderConfig(stem="unpooled"), 3, seed=0)
    assert loaded(encoder, made_up()) == []


@pytest.mark.parametrize("name", ["vit_small", "swin_tiny"])
@torch.no_grad()
def test_positions_are_resampled_for_another_size(name: EncoderName) -> None:
    encoder = encoder_of(name)
    remarks = loaded(encoder, to_timm(encoder_of(name, size=224)))
    assert "resampled for 64 pixels a side" in remarks[0]
    assert encoder(images(3)).isfinite().all()


def test_a_swins_bias_of_an_offset_stays_that_of_the_offset() -> None:
    large, small = encoder_of("swin_tiny", size=224), encoder_of("swin_tiny")
    key = "layers.3.blocks.0.attn.relative_position_bias_table"
    state = to_timm(large)
    rows, columns = torch.meshgrid(torch.arange(-6.0, 7), torch.arange(-6.0, 7), indexing="ij")
    state[key] = (rows + 20 * columns).reshape(-1, 1).expand(-1, state[key].shape[1]).contiguous()
    trunk, _ = trunk_of(state, small)
    near = torch.meshgrid(torch.arange(-1.0, 2), torch.arange(-1.0, 2), indexing="ij")
    expected = (near[0] + 20 * near[1]).reshape(-1)
    torch.testing.assert_close(trunk[key][:, 0], expected, rtol=0, atol=0.01)


def test_convnexts_own_names_are_known() -> None:
    right = to_timm(encoder_of("convnext_tiny", seed=9))
    theirs = {}
    for name, value in right.items():
        for ours, own in (
            ("stem.", "downsample_layers.0."),
            ("conv_dw", "dwconv"),
            ("mlp.fc1", "pwconv1"),
            ("mlp.fc2", "pwconv2"),
            (".blocks.", "."),
            ("head.norm.", "norm."),
        ):
            name = name.replace(ours, own)
        parts = name.split(".")
        if parts[2:3] == ["downsample"]:
            parts = ["downsample_layers", parts[1], *parts[3:]]
        theirs[".".join(parts)] = value
    encoder = encoder_of("convnext_tiny")
    assert loaded(encoder, theirs) == []
    assert all(torch.equal(value, right[name]) for name, value in to_timm(encoder).items())


def test_the_same_bands_change_nothing() -> None:
    own, state = eats("s2-l2a", "B04", "B03", "B02"), made_up()
    fitted, remarks = fit_bands(state, EncoderConfig(), own, own)
    assert remarks == []
    assert all(torch.equal(value, state[name]) for name, value in fitted.items())


def test_kernels_go_into_the_order_of_the_images() -> None:
    state = made_up()
    fitted, remarks = fit_bands(
        state,
        EncoderConfig(),
        eats("s2-l2a", "B04", "B03", "B02"),
        eats("s2-l2a", "B02", "B03", "B04"),
    )
    assert torch.equal(fitted["conv1.weight"], state["conv1.weight"][:, [2, 1, 0]])
    assert remarks == ["kernels are put into the order B02 B03 B04"]


@torch.no_grad()
def test_a_band_that_is_left_out_counts_as_its_mean() -> None:
    full, less = encoder_of(bands=13), encoder_of(bands=12)
    state = made_up(bands=13)
    fill_trunk(full, state)
    level_1 = eats("s2-l1c", *L1C)
    without_cirrus = eats("s2-l1c", *L2A)
    fitted, remarks = fit_bands(state, full.config, level_1, without_cirrus)
    fill_trunk(less, fitted)
    seen = images(13)
    seen[:, L1C.index("B10")] = 0
    kept = [at for at, band in enumerate(L1C) if band != "B10"]
    torch.testing.assert_close(less(seen[:, kept]), full(seen), rtol=1e-5, atol=1e-5)
    assert remarks == ["kernels of B10 are left out: the images lack the band"]


def test_new_bands_answer_to_what_all_bands_share_as_before() -> None:
    state = made_up()
    bands = ("B02", "B03", "B04", "B08", "B11")
    fitted, remarks = fit_bands(
        state, EncoderConfig(), eats("s2-l2a", "B04", "B03", "B02"), eats("s2-l2a", *bands)
    )
    torch.testing.assert_close(fitted["conv1.weight"].sum(1), state["conv1.weight"].sum(1))
    assert "B08 B11: new, with the mean of the other bands' kernels" in remarks


def test_new_bands_begin_with_the_mean_of_the_kernels_kept() -> None:
    theirs, ours = eats("s2-l2a", "B04", "B03", "B02"), eats("s2-l2a", "B04", "B03", "B08")
    state = made_up()
    kernels = fit_bands(state, EncoderConfig(), theirs, ours)[0]["conv1.weight"]
    torch.testing.assert_close(kernels[:, 2], state["conv1.weight"][:, :2].mean(1) * 2 / 3)
    torch.testing.assert_close(kernels[:, :2], state["conv1.weight"][:, :2] * 2 / 3)


@pytest.mark.parametrize("name", ["vit_small", "swin_tiny", "convnext_tiny"])
@torch.no_grad()
def test_another_scaling_of_the_same_ground_gives_the_same(name: EncoderName) -> None:
    theirs = PUBLISHED["ssl4eo-s2-rgb"]
    ours = eats("s2-l1c", *theirs.bands)
    first, second = encoder_of(name), encoder_of(name)
    state = made_up(name)
    fill_trunk(first, state)
    fitted, remarks = fit_bands(state, first.config, theirs, ours)
    fill_trunk(second, fitted)
    ground = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    valid = torch.ones_like(ground, dtype=torch.bool)
    torch.testing.assert_close(
        second(standardised(ground, valid, ours)),
        first(standardised(ground, valid, theirs)),
        rtol=1e-3,
        atol=1e-4,
    )
    assert remarks == ["kernels are rescaled: the weights' images were scaled in another way"]


@torch.no_grad()
def test_another_scaling_gives_a_resnet_the_same_away_from_the_border() -> None:
    theirs = PUBLISHED["ssl4eo-s2-rgb"]
    ours = eats("s2-l1c", *theirs.bands)
    first, second = encoder_of(), encoder_of()
    state = made_up()
    fill_trunk(first, state)
    fill_trunk(second, fit_bands(state, first.config, theirs, ours)[0])
    ground = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    valid = torch.ones_like(ground, dtype=torch.bool)
    maps = [
        encoder.pyramid(standardised(ground, valid, own))[0][:, :, 2:-2, 2:-2]
        for encoder, own in ((first, theirs), (second, ours))
    ]
    torch.testing.assert_close(maps[1], maps[0], rtol=1e-4, atol=1e-4)


def test_pictures_kernels_serve_the_bands_of_their_colours() -> None:
    state = made_up()
    fitted, remarks = fit_bands(
        state, EncoderConfig(), PUBLISHED["imagenet"], eats("s2-l2a", "B02", "B03", "B04")
    )
    assert torch.equal(fitted["conv1.weight"], state["conv1.weight"][:, [2, 1, 0]])
    assert remarks[0] == "weights of rgb see s2-l2a"


@pytest.mark.parametrize(
    ("band", "among", "at"),
    [
        ("B04", ("red", "green"), 0),
        ("green", ("B04", "B03"), 1),
        ("B8A", ("B08", "B8A"), 1),
        ("VV", ("VH",), None),
    ],
)
def test_a_band_is_found_by_either_of_its_names(
    band: str, among: tuple[str, ...], at: int | None
) -> None:
    assert position_of(band, among) == at


def test_weights_without_a_band_in_common_are_refused() -> None:
    with pytest.raises(InputError, match=r"is for rgb red .* is among VV VH; give weights for s1"):
        fit_bands(made_up(), EncoderConfig(), PUBLISHED["imagenet"], eats("s1-grd", "VV", "VH"))


def test_more_names_than_kernels_are_refused() -> None:
    with pytest.raises(InputError, match="has kernels for 3 bands, 13 are named: B01"):
        fit_bands(
            made_up(), EncoderConfig(), PUBLISHED["ssl4eo-s2-all"], eats("s2-l2a", "B02", "B03")
        )
