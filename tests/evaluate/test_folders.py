"""Two folders of images become pairs by name, and pairs become scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from eo_contrast.errors import InputError
from eo_contrast.evaluate.folders import (
    FolderPairs,
    match_folders,
    palette_for,
    plain_maps,
    score_folders,
)
from eo_contrast.evaluate.map_agreement import load_palette
from eo_contrast.evaluate.paired import score_pairs

RGB = NDArray[np.uint8]

OSM_GROUND, GOOGLE_GROUND, PURPLE = (242, 239, 232), (233, 228, 222), (120, 0, 120)
OSM16 = load_palette("osm16")


def noise(seed: int, height: int = 12, width: int = 13) -> RGB:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plain(colour: tuple[int, int, int], side: int = 12) -> RGB:
    return np.full((side, side, 3), colour, np.uint8)


def save(path: Path, pixels: RGB) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def two_folders(root: Path, real: tuple[str, ...], fake: tuple[str, ...]) -> tuple[Path, Path]:
    """Folders real/ and fake/ with images of these names, each of its own noise."""
    for seed, name in enumerate([f"real/{n}" for n in real] + [f"fake/{n}" for n in fake]):
        save(root / name, noise(seed))
    return root / "real", root / "fake"


def names(paths: tuple[Path, ...], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def refuse_to_say(text: str) -> None:
    raise AssertionError(f"said: {text}")


def test_images_are_matched_by_their_path_without_suffix(tmp_path):
    real, fake = two_folders(
        tmp_path, ("16/1/2.png", "16/1/3.png", "a.b.tif"), ("a.b.PNG", "16/1/3.jpeg", "16/1/2.webp")
    )
    pairs = match_folders(real, fake)
    assert names(pairs.real, real) == ["16/1/2.png", "16/1/3.png", "a.b.tif"]
    assert names(pairs.fake, fake) == ["16/1/2.webp", "16/1/3.jpeg", "a.b.PNG"]


def test_equal_file_names_in_different_folders_are_different_places(tmp_path):
    real, fake = two_folders(tmp_path, ("x/1.png", "y/1.png"), ("y/1.png", "x/1.png"))
    pairs = match_folders(real, fake)
    assert names(pairs.fake, fake) == ["x/1.png", "y/1.png"]


def test_hidden_files_and_those_that_are_no_images_are_passed_over(tmp_path):
    real, fake = two_folders(tmp_path, ("1.png",), ("1.png", ".2.png"))
    (real / "readme.txt").write_text("no image")
    assert names(match_folders(real, fake).real, real) == ["1.png"]


@pytest.mark.parametrize("lacking", ["real", "fake"])
def test_a_name_that_only_one_folder_has_names_both_sides_of_the_gap(tmp_path, lacking):
    held = {"real": ("1.png", "2.png"), "fake": ("1.png", "2.png"), lacking: ("1.png",)}
    real, fake = two_folders(tmp_path, **held)
    having = {"real": fake, "fake": real}[lacking]
    with pytest.raises(InputError) as raised:
        match_folders(real, fake)
    assert str(raised.value).startswith(
        f"{tmp_path / lacking}: no image named 2, which {having / '2.png'} needs"
    )


def test_two_images_of_one_name_are_refused(tmp_path):
    real, fake = two_folders(tmp_path, ("1.png", "1.jpg"), ("1.png",))
    with pytest.raises(InputError, match=r"1\.png: 1\.jpg has the same name .* keep one of them"):
        match_folders(real, fake)


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_that_is_not_there_is_named(tmp_path, made):
    real, _ = two_folders(tmp_path, ("1.png",), ())
    absent = tmp_path / "fake"
    if made:
        absent.write_text("a file is no folder")
    with pytest.raises(InputError, match="fake: no such folder of images"):
        match_folders(real, absent)
    with pytest.raises(InputError, match="fake: no such folder of images"):
        match_folders(absent, real)


def test_a_folder_without_images_says_what_was_expected(tmp_path):
    real, fake = two_folders(tmp_path, ("1.png",), ())
    fake.mkdir()
    (fake / "1.txt").write_text("no image")
    with pytest.raises(InputError, match=r"fake: holds no image; expected files .*\.png"):
        match_folders(real, fake)


def test_true_and_translated_pixels_come_side_by_side(tmp_path):
    real, fake = two_folders(tmp_path, ("1.png", "2.png"), ("2.png", "1.png"))
    pairs = match_folders(real, fake)
    for found, (seed_real, seed_fake) in zip(pairs.both(), [(0, 3), (1, 2)], strict=True):
        np.testing.assert_array_equal(found[0], noise(seed_real))
        np.testing.assert_array_equal(found[1], noise(seed_fake))
    np.testing.assert_array_equal(list(pairs.reals()), [noise(0), noise(1)])


def test_grey_maps_are_read_as_rgb(tmp_path):
    grey = noise(0)[..., 0]
    file = save(tmp_path / "1.png", grey)
    (pixels,) = FolderPairs((file,), (file,)).reals()
    np.testing.assert_array_equal(pixels, np.dstack([grey] * 3))


def test_maps_of_different_sizes_are_refused_with_both_sizes(tmp_path):
    real = save(tmp_path / "real" / "1.png", noise(0, height=12, width=20))
    fake = save(tmp_path / "fake" / "1.png", noise(1, height=20, width=12))
    with pytest.raises(InputError) as raised:
        list(match_folders(real.parent, fake.parent).both())
    assert f"{fake}: 12x20 pixels, the true map {real} has 20x12" in str(raised.value)


def test_a_damaged_map_is_named(tmp_path):
    real, fake = two_folders(tmp_path, ("1.png",), ("1.png",))
    (fake / "1.png").write_bytes((fake / "1.png").read_bytes()[:80])
    with pytest.raises(InputError, match=r"fake/1\.png: not readable as an image"):
        list(match_folders(real, fake).both())


def test_scores_of_folders_are_those_of_their_pixels(tmp_path):
    real, fake = two_folders(tmp_path, ("1.png", "2.png"), ("1.png", "2.png"))
    expected = score_pairs([(noise(0), noise(2)), (noise(1), noise(3))], OSM16)
    assert score_folders(match_folders(real, fake), OSM16, baselines=False) == expected


def test_the_baseline_draws_the_commonest_true_colour_everywhere(tmp_path):
    reals = [plain(OSM_GROUND), plain(PURPLE), plain(OSM_GROUND)]
    for number, pixels in enumerate(reals):
        save(tmp_path / "real" / f"{number}.png", pixels)
        save(tmp_path / "fake" / f"{number}.png", plain(PURPLE))
    pairs = match_folders(tmp_path / "real", tmp_path / "fake")
    scores = score_folders(pairs, OSM16, baselines=True)
    assert list(scores["baselines"]) == ["commonest_colour"]
    assert scores["within_5"] == pytest.approx(1 / 3)
    baseline = scores["baselines"]["commonest_colour"]
    assert baseline["within_5"] == pytest.approx(2 / 3)
    assert baseline.keys() == scores.keys() - {"baselines"}


def test_plain_maps_have_the_sizes_of_the_true_ones():
    reals = [noise(0, 3, 5), noise(1, 6, 2)]
    pairs = list(plain_maps(iter(reals), np.array(PURPLE, np.uint8)))
    for real, (kept, drawn) in zip(reals, pairs, strict=True):
        assert kept is real
        assert drawn.shape == real.shape
        assert drawn.dtype == np.uint8
        assert (drawn == PURPLE).all()


@pytest.mark.parametrize("name", ["osm16", "pix2pix-maps"])
def test_the_palette_asked_for_is_taken_in_silence_though_another_fits(name):
    palette = palette_for(iter([plain(PURPLE)]), name, refuse_to_say)
    assert palette == load_palette(name)


def test_a_palette_of_the_users_own_is_read_from_its_file(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        yaml.safe_dump({"name": "own", "classes": {"a": [[0, 0, 0]], "b": [[9, 9, 9]]}})
    )
    assert palette_for(iter([]), str(file), refuse_to_say).name == "own"


@pytest.mark.parametrize(
    ("colour", "name"), [(OSM_GROUND, "osm16"), ((251, 158, 36), "pix2pix-maps")]
)
def test_without_a_wish_the_palette_that_fits_best_is_taken_and_told(colour, name):
    told: list[str] = []
    maps = [plain(colour), plain(colour), plain(colour), plain(PURPLE)]
    assert palette_for(iter(maps), None, told.append).name == name
    assert told == [f"palette: {name} (has the colours of 75% of the true maps' pixels)"]


def test_sixteen_maps_decide_on_the_palette():
    maps = [plain(OSM_GROUND)] * 8 + [plain(PURPLE)] * 8 + [plain(PURPLE)] * 40
    assert palette_for(iter(maps), None, lambda _: None).name == "osm16"


def test_maps_that_no_shipped_palette_covers_by_half_ask_for_a_palette_file():
    maps = [plain(OSM_GROUND)] * 7 + [plain(PURPLE)] * 8
    with pytest.raises(InputError, match=r"--palette: .* osm16, .* only 47% .* give the YAML file"):
        palette_for(iter(maps), None, refuse_to_say)
