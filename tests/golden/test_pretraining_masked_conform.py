"""Masked reconstruction against the official MAE, and what CROMA does unlike it."""

from __future__ import annotations

import pytest
import torch
from conformance import assert_conforms
from timm.models.vision_transformer import Block
from torch import nn
from torch.nn import functional as F

from eo_contrast.nets.positions import alibi, sine_positions
from eo_contrast.objectives import contrastive, masked


def test_patches_are_mae_s_and_make_the_image_again(pretraining):
    data = pretraining("mae")
    patches = masked.patchify(data["imgs"], int(data["patch"]))
    assert torch.equal(patches, data["patches"])
    assert torch.equal(masked.unpatchify(patches, 4), data["imgs"])


def test_croma_s_patches_have_the_channel_first(pretraining):
    data = pretraining("patch_order")
    images = data["img"]
    assert torch.equal(masked.patchify(images, 2), data["mae_i_j_c"])
    patches = masked.patchify(images, 2, layout="channel_row_column")
    assert torch.equal(patches, data["croma_c_i_j"])
    assert torch.equal(masked.unpatchify(patches, 2, layout="channel_row_column"), images)


def test_noise_decides_what_is_removed(pretraining):
    data = pretraining("mae")
    found = masked.masking(data["noise"], data["mask_ratio"].item())
    assert torch.equal(found.kept, data["ids_keep"])
    assert torch.equal(found.restore, data["ids_restore"])
    assert torch.equal(found.removed.double(), data["mask"])
    assert torch.equal(masked.kept_tokens(data["patches"], found), data["x_masked"])


@pytest.mark.parametrize("standardised", [False, True])
def test_the_loss_is_over_removed_patches(pretraining, standardised):
    data = pretraining("mae")
    prediction, patches = data["pred"].requires_grad_(), masked.patchify(data["imgs"], 4)
    loss = masked.masked_reconstruction(
        prediction, patches, data["mask"].bool(), standardised=standardised
    )
    case = f"normpix{int(standardised)}"
    assert_conforms(loss, data[f"loss_{case}"], "loss")
    loss.backward()
    assert_conforms(prediction.grad, data[f"grad_pred_{case}"], "gradient")


@pytest.mark.parametrize("standardised", [False, True])
def test_the_loss_of_a_whole_autoencoder(pretraining, standardised):
    data = pretraining("mae")
    images, found = data["imgs"], masked.masking(data["noise"], data["mask_ratio"].item())
    prediction = reconstructed(images, found, data.under("w_"))
    loss = masked.masked_reconstruction(
        prediction, masked.patchify(images, 4), found.removed, standardised=standardised
    )
    assert_conforms(loss, data[f"full_loss_normpix{int(standardised)}"], "loss")


def reconstructed(images, found, weights):
    """What the tiny autoencoder of the reference makes of the patches that stay."""
    patches = F.conv2d(
        images, weights["patch_embed_proj_weight"], weights["patch_embed_proj_bias"], stride=4
    )
    positions = weights["pos_embed"]
    tokens = masked.kept_tokens(patches.flatten(2).mT + positions[:, 1:], found)
    first = (weights["cls_token"] + positions[:, :1]).expand(len(images), 1, -1)
    encoded = transformed(torch.cat([first, tokens], dim=1), weights, "")
    embedded = F.linear(encoded, weights["decoder_embed_weight"], weights["decoder_embed_bias"])
    whole = masked.filled_tokens(embedded[:, 1:], weights["mask_token"][0, 0], found)
    whole = torch.cat([embedded[:, :1], whole], dim=1) + weights["decoder_pos_embed"]
    decoded = transformed(whole, weights, "decoder_")
    predicted = F.linear(decoded, weights["decoder_pred_weight"], weights["decoder_pred_bias"])
    return predicted[:, 1:]


def transformed(tokens, weights, start):
    """A block and a norm."""
    block = Block(8, 2, qkv_bias=True, norm_layer=nn.LayerNorm).double()
    start_of_block = f"{start}blocks_0_"
    block.load_state_dict(
        {name: weights[start_of_block + name.replace(".", "_")] for name in block.state_dict()}
    )
    norm = weights[f"{start}norm_weight"], weights[f"{start}norm_bias"]
    return F.layer_norm(block(tokens), (8,), *norm)


def test_positions_are_mae_s_sines(pretraining):
    positions = sine_positions(8, 4, first_empty=True)
    assert_conforms(positions, pretraining("mae")["pos_embed_dim8_grid4_cls"], "positions")


@pytest.mark.parametrize("case", ["patch_order", "croma_contrast"])
def test_attention_falls_with_distance_as_croma_s(pretraining, case):
    assert_conforms(alibi(4, 3), pretraining(case)["alibi_4heads_9patches"], "bias")


def croma(data):
    """Its pooled features, projections and scale, with gradients."""
    features = {name: data[name].requires_grad_() for name in ("radar", "optical")}
    parameters = {n: value.requires_grad_() for n, value in data.under("init_").items()}
    projected = {
        name: F.linear(own, parameters[f"{name}_proj_weight"], parameters[f"{name}_proj_bias"])
        for name, own in features.items()
    }
    return features, parameters, projected


def test_croma_s_contrast_is_clip_s(pretraining):
    data = pretraining("croma_contrast")
    features, parameters, projected = croma(data)
    scale = parameters["logit_scale"]
    loss = contrastive.clip(projected["radar"], projected["optical"], scale, clamp=False)
    assert_conforms(loss, data["loss"], "loss")
    loss.backward()
    for name, own in features.items():
        assert_conforms(own.grad, data[f"grad_{name}_fullgrad"], name)
    assert_conforms(scale.grad, data["grad_logit_scale"], "scale")


def test_croma_s_own_gradients_lack_the_side_of_the_keys(pretraining):
    data = pretraining("croma_contrast")
    features, parameters, projected = croma(data)
    radar, optical = projected["radar"], projected["optical"]
    temperature = (-parameters["logit_scale"]).exp()
    directions = [
        contrastive.in_batch_info_nce(query, key.detach(), temperature=temperature)
        for query, key in ((radar, optical), (optical, radar))
    ]
    loss = sum(directions) / (4 * temperature)
    assert_conforms(loss, data["loss"], "loss")
    loss.backward()
    for name, own in (features | parameters).items():
        if name != "logit_scale":
            assert_conforms(own.grad, data[f"grad_{name}"], name)
