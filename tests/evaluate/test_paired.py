"""Scores of pairs equal those of scikit-image, of plain loops and of closed formulas."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from eo_contrast.data.image_pairs import find_image_pairs
from eo_contrast.evaluate.folders import plain_maps
from eo_contrast.evaluate.map_agreement import Palette, load_palette
from eo_contrast.evaluate.paired import PairedScores, psnr, score_pairs, ssim, within

RGB = NDArray[np.uint8]

GROUND, ROAD, LAKE = (100, 100, 100), (255, 255, 255), (0, 0, 200)
PALETTE = Palette(
    name="three",
    classes={"ground": (GROUND,), "road": (ROAD,), "lake": (LAKE,)},
    roads=("road",),
)
SCORE_NAMES = {"n", "psnr", "ssim", "within_5", "within_10", "agreement", "road"}
C1 = (0.01 * 255) ** 2
LEVELS = st.sampled_from([0, 1, 5, 6, 10, 11, 100, 244, 245, 249, 250, 255])


@st.composite
def pairs(draw: st.DrawFn, largest: int = 6) -> tuple[RGB, RGB]:
    shape = (draw(st.integers(1, largest)), draw(st.integers(1, largest)), 3)
    real, fake = (draw(arrays(np.uint8, shape, elements=LEVELS)) for _ in range(2))
    return real, fake


def noise(height: int, width: int, seed: int = 0) -> RGB:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def street_map(height: int, width: int, seed: int = 0) -> RGB:
    """Ground with a lake and one-pixel roads, in pure palette colours."""
    draws = np.random.default_rng(seed)
    image = np.full((height, width, 3), GROUND, np.uint8)
    image[: height // 3, : width // 2] = LAKE
    image[draws.integers(height)] = ROAD
    image[:, draws.integers(width)] = ROAD
    return image


def plain(level: int, height: int = 12, width: int = 13) -> RGB:
    return np.full((height, width, 3), level, np.uint8)


def added(image: RGB, change: NDArray[Any] | int) -> RGB:
    return np.clip(image.astype(np.int16) + change, 0, 255).astype(np.uint8)


FAKES: dict[str, Callable[[RGB], RGB]] = {
    "other noise": lambda real: noise(*real.shape[:2], seed=1),
    "slight noise": lambda real: added(real, noise(*real.shape[:2], seed=2).astype(int) % 7 - 3),
    "blurred": lambda real: gaussian_filter(real, sigma=(1, 1, 0)),
    "brighter": lambda real: added(real, 30),
    "inverted": lambda real: 255 - real,
    "one channel lost": lambda real: real * np.array([1, 0, 1], np.uint8),
    "white": lambda real: np.full_like(real, 255),
}


def ssim_of_skimage(real: RGB, fake: RGB) -> float:
    _, every_window = structural_similarity(
        real,
        fake,
        win_size=11,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
        full=True,
    )
    return float(every_window[5:-5, 5:-5].mean())


def within_by_loop(real: RGB, fake: RGB, levels: int) -> int:
    count = 0
    for true_pixel, drawn_pixel in zip(
        real.reshape(-1, 3).tolist(), fake.reshape(-1, 3).tolist(), strict=True
    ):
        gaps = [abs(one - other) for one, other in zip(true_pixel, drawn_pixel, strict=True)]
        count += all(gap <= levels for gap in gaps)
    return count


def flat(scores: dict[str, Any]) -> dict[str, float]:
    parts = {f"{k}/{n}": v for k, d in scores.items() if isinstance(d, dict) for n, v in d.items()}
    return {k: v for k, v in scores.items() if not isinstance(v, dict)} | parts


@given(pairs())
def test_psnr_is_that_of_skimage(pair):
    real, fake = pair
    if (real == fake).all():
        assert psnr(real, fake) == 100
    else:
        expected = peak_signal_noise_ratio(real, fake, data_range=255)
        assert psnr(real, fake) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("gap", [1, 10, 127, 255])
def test_psnr_of_a_constant_gap_is_its_share_of_the_range_in_decibels(gap):
    assert psnr(plain(0), plain(gap)) == pytest.approx(20 * math.log10(255 / gap))
    assert psnr(plain(gap), plain(0)) == pytest.approx(20 * math.log10(255 / gap))


def test_psnr_of_nearly_equal_images_does_not_pass_that_of_equal_ones():
    real = plain(9, 256, 256)
    fake = real.copy()
    fake[3, 4, 1] += 1
    assert peak_signal_noise_ratio(real, fake, data_range=255) > 100
    assert psnr(real, fake) == 100


@pytest.mark.parametrize("size", [(11, 11), (11, 30), (12, 11), (25, 18)])
@pytest.mark.parametrize("fake", FAKES)
def test_ssim_is_that_of_skimage_over_the_windows_inside(fake, size):
    for real in (noise(*size), street_map(*size)):
        drawn = FAKES[fake](real)
        assert ssim(real, drawn) == pytest.approx(ssim_of_skimage(real, drawn), abs=1e-9)
        assert ssim(drawn, real) == pytest.approx(ssim(real, drawn), abs=1e-12)


@pytest.mark.parametrize(("one", "other"), [(0, 255), (100, 120), (250, 3), (7, 8)])
def test_ssim_of_plain_images_is_its_luminance_term(one, other):
    expected = (2 * one * other + C1) / (one**2 + other**2 + C1)
    assert ssim(plain(one), plain(other)) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ssim_lies_between_minus_one_and_one_and_is_one_for_equal_images(seed):
    real = noise(11, 12, seed)
    assert ssim(real, real) == 1
    assert -1 <= ssim(real, 255 - real) < 0
    assert -1 <= ssim(real, noise(11, 12, seed + 1)) < 1


@pytest.mark.parametrize("size", [(10, 11), (11, 10), (1, 1)])
def test_ssim_of_an_image_below_the_window_is_refused(size):
    with pytest.raises(ValueError, match="at least 11 pixels a side"):
        ssim(noise(*size), noise(*size))


@given(pairs(), st.sampled_from([0, 1, 5, 10, 254, 255]))
def test_within_is_a_plain_count(pair, levels):
    real, fake = pair
    assert within(real, fake, levels) == within_by_loop(real, fake, levels)
    assert within(fake, real, levels) == within(real, fake, levels)


@pytest.mark.parametrize(("gap", "inside"), [(4, 1), (5, 1), (6, 0), (255, 0)])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_channel_beyond_the_levels_puts_a_pixel_outside(channel, gap, inside):
    real = np.zeros((1, 1, 3), np.uint8)
    fake = real.copy()
    fake[0, 0, channel] = gap
    assert (within(real, fake, 5), within(fake, real, 5)) == (inside, inside)


def test_psnr_and_ssim_are_means_over_pairs_and_within_is_over_all_pixels():
    cases = [
        (noise(11, 12), FAKES["slight noise"](noise(11, 12))),
        (noise(20, 30), plain(9, 20, 30)),
    ]
    scores = score_pairs(cases, PALETTE)
    assert scores["n"] == 2
    by_skimage = [peak_signal_noise_ratio(*case, data_range=255) for case in cases]
    assert scores["psnr"] == pytest.approx(sum(by_skimage) / 2)
    assert scores["ssim"] == pytest.approx(sum(ssim_of_skimage(*case) for case in cases) / 2)
    for levels in (5, 10):
        counted = sum(within_by_loop(*case, levels) for case in cases)
        assert scores[f"within_{levels}"] == counted / (11 * 12 + 20 * 30)


def test_classes_are_counted_over_all_pairs_together():
    image = np.array([[GROUND, ROAD, LAKE]], np.uint8)
    ground_alone = np.full((1, 3, 3), GROUND, np.uint8)
    scores = score_pairs([(image, image), (image, ground_alone)], PALETTE)
    expected = {"ground": 2 / 4, "road": 1 / 2, "lake": 1 / 2, "mean_iou": 0.5}
    assert scores["agreement"] == pytest.approx(expected)


def test_colours_are_snapped_before_classes_are_compared():
    real = street_map(15, 15)
    scores = score_pairs([(real, FAKES["slight noise"](real))], PALETTE)
    assert scores["psnr"] < 60
    assert scores["agreement"] == {"ground": 1, "road": 1, "lake": 1, "mean_iou": 1}
    assert scores["road"] == {"completeness": 1, "correctness": 1}


@pytest.mark.parametrize(("tolerance", "completeness"), [(0, 0), (1, 0), (2, 1)])
def test_roads_are_matched_within_the_tolerance_given(tolerance, completeness):
    real, fake = (np.full((9, 9, 3), GROUND, np.uint8) for _ in range(2))
    real[3], fake[5] = ROAD, ROAD
    scores = PairedScores(PALETTE, road_tolerance_px=tolerance)
    scores.update(real, fake)
    assert scores.result()["road"]["completeness"] == completeness


@settings(deadline=None, max_examples=40)
@given(pairs(largest=12))
def test_exchanging_the_maps_exchanges_completeness_and_correctness_alone(pair):
    real, fake = pair
    there, back = score_pairs([(real, fake)], PALETTE), score_pairs([(fake, real)], PALETTE)
    back["road"] = dict(zip(back["road"], reversed(back["road"].values()), strict=True))
    assert flat(back) == pytest.approx(flat(there), nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(pairs(largest=12))
def test_scores_lie_within_their_bounds(pair):
    scores = flat(score_pairs([pair], PALETTE))
    assert 0 <= scores.pop("psnr") <= 100
    assert scores.pop("within_5") <= scores["within_10"]
    assert scores.pop("n") == 1
    similarity = scores.pop("ssim")
    assert math.isnan(similarity) or -1 <= similarity <= 1
    assert all(math.isnan(share) or 0 <= share <= 1 for share in scores.values())


def test_equal_maps_have_the_best_scores():
    scores = score_pairs([(street_map(14, 12, seed),) * 2 for seed in range(3)], PALETTE)
    agreement, road = scores.pop("agreement"), scores.pop("road")
    assert scores == {"n": 3, "psnr": 100, "ssim": 1, "within_5": 1, "within_10": 1}
    assert set(agreement.values()) == set(road.values()) == {1}


def test_the_order_of_pairs_does_not_change_a_bit():
    cases = [(street_map(12, 11 + seed), noise(12, 11 + seed, seed)) for seed in range(4)]
    expected = score_pairs(cases, PALETTE)
    for order in itertools.permutations(cases):
        assert score_pairs(order, PALETTE) == expected


def test_scores_so_far_may_be_asked_at_any_time():
    cases = [(street_map(12, 12, seed), noise(12, 12, seed)) for seed in range(3)]
    scores = PairedScores(PALETTE)
    for number, case in enumerate(cases, start=1):
        scores.update(*case)
        assert scores.result() == score_pairs(cases[:number], PALETTE)


def test_without_a_pair_no_score_is_defined():
    scores = flat(score_pairs([], PALETTE))
    assert scores.pop("n") == 0
    assert all(map(math.isnan, scores.values()))


def test_a_class_in_no_map_is_not_a_number_and_not_in_the_mean():
    image = np.full((3, 3, 3), GROUND, np.uint8)
    scores = score_pairs([(image, image)], PALETTE)
    expected = {"ground": 1, "road": math.nan, "lake": math.nan, "mean_iou": 1}
    assert scores["agreement"] == pytest.approx(expected, nan_ok=True)
    assert all(map(math.isnan, scores["road"].values()))


def test_without_a_palette_the_scores_of_classes_are_left_out():
    case = (street_map(12, 12), noise(12, 12))
    with_palette = score_pairs([case], PALETTE)
    assert set(with_palette) == SCORE_NAMES
    without = score_pairs([case], None)
    assert without == {name: with_palette[name] for name in SCORE_NAMES - {"agreement", "road"}}


def test_pairs_below_the_window_count_in_all_scores_but_ssim():
    small, large = (noise(10, 20), noise(10, 20, 1)), (noise(11, 11), noise(11, 11, 1))
    both = score_pairs([small, large], None)
    assert both["n"] == 2
    assert both["ssim"] == ssim(*large)
    assert both["psnr"] == pytest.approx((psnr(*small) + psnr(*large)) / 2)
    assert math.isnan(score_pairs([small], None)["ssim"])


@pytest.mark.parametrize(
    ("real", "fake", "told"),
    [
        (noise(4, 5), noise(5, 4), r"got \(4, 5, 3\) and \(5, 4, 3\)"),
        (noise(4, 5)[..., 0], noise(4, 5)[..., 0], r"expected two \(H, W, 3\) arrays"),
        (noise(4, 5)[..., :2], noise(4, 5)[..., :2], r"got \(4, 5, 2\)"),
        (noise(4, 5), noise(4, 5).astype(np.float32), "got uint8 and float32"),
        (noise(4, 5).astype(np.int16), noise(4, 5), "got int16 and uint8"),
    ],
)
def test_arrays_that_are_no_pair_are_refused_and_leave_the_scores_as_they_were(real, fake, told):
    scores = PairedScores(PALETTE)
    scores.update(street_map(12, 12), noise(12, 12))
    before = scores.result()
    with pytest.raises(ValueError, match=told):
        scores.update(real, fake)
    assert scores.result() == before


def test_pairs_already_scored_are_not_kept_in_memory():
    made: list[weakref.ref[RGB]] = []

    def one_by_one() -> Iterator[tuple[RGB, RGB]]:
        for seed in range(5):
            # the pair scored last may still be in the loop's hands
            assert all(image() is None for image in made[:-2])
            pair = noise(12, 12, seed), street_map(12, 12, seed)
            made.extend(map(weakref.ref, pair))
            yield pair
            del pair

    assert score_pairs(one_by_one(), PALETTE)["n"] == 5


@pytest.mark.parametrize(
    ("colour", "decibels", "within_5", "within_10"),
    [((242, 239, 232), 18.16, 0.245, 0.297), ((225, 225, 225), 18.93, 0.068, 0.110)],
)
def test_plain_maps_of_the_real_test_tiles_have_the_reference_scores(
    shared, colour, decibels, within_5, within_10
):
    tiles = find_image_pairs(shared / "data" / "sat2map", "test")
    reals = (tiles.read(ref) for ref in tiles.b)
    scores = score_pairs(plain_maps(reals, np.array(colour, np.uint8)), load_palette("osm16"))
    assert scores["n"] == 100
    assert scores["psnr"] == pytest.approx(decibels, abs=5e-3)
    assert scores["within_5"] == pytest.approx(within_5, abs=5e-4)
    assert scores["within_10"] == pytest.approx(within_10, abs=5e-4)
    agreement = scores["agreement"]
    assert agreement.pop("mean_iou") == pytest.approx(0.084, abs=5e-4)
    assert agreement.pop("background") == pytest.approx(0.503, abs=5e-4)
    assert set(agreement.values()) == {0}
