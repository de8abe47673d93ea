"""What is found in a folder of pairs, in which order, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pair_folders import numbered_pairs, plain_image, random_image, save, tag_table
from PIL import Image

from eo_contrast.data.image_pairs import find_image_pairs, keep_in_memory, read_image, read_pair
from eo_contrast.errors import InputError
from eo_contrast.raster.tile_names import Tile


def names(refs):
    return [ref.path.name for ref in refs]


def test_a_side_by_side_file_is_cut_in_the_middle(tmp_path):
    left, right = random_image(1), random_image(2)
    save(tmp_path / "train" / "a.png", np.hstack([left, right]))
    pairs = find_image_pairs(tmp_path, "train")
    assert (pairs.layout, pairs.paired) == ("aligned", True)
    np.testing.assert_array_equal(read_image(pairs.a[0]), left)
    np.testing.assert_array_equal(read_image(pairs.b[0]), right)


def test_the_satellite_may_be_the_right_half(tmp_path):
    left, right = random_image(1), random_image(2)
    save(tmp_path / "train" / "a.png", np.hstack([left, right]))
    pairs = find_image_pairs(tmp_path, "train", satellite_side="right")
    satellite, drawn = read_pair(pairs, 0)
    np.testing.assert_array_equal(satellite, right)
    np.testing.assert_array_equal(drawn, left)


def test_images_come_in_the_order_of_their_names_as_strings(tmp_path):
    for number in (2, 10, 1, 100):
        save(tmp_path / "train" / f"{number}.png", random_image(number, width=32))
    assert names(find_image_pairs(tmp_path, "train").a) == ["1.png", "10.png", "100.png", "2.png"]


def test_several_splits_are_joined_in_the_order_given(tmp_path):
    numbered_pairs(tmp_path, 2, split="train-more")
    numbered_pairs(tmp_path, 3, split="train")
    pairs = find_image_pairs(tmp_path, "train+train-more")
    assert [ref.path.parent.name for ref in pairs.a] == ["train"] * 3 + ["train-more"] * 2


def test_folders_of_equal_names_are_pairs(tmp_path):
    save(tmp_path / "trainA" / "1.jpg", random_image(1))
    save(tmp_path / "trainB" / "1.png", random_image(2))
    pairs = find_image_pairs(tmp_path, "train")
    assert (pairs.layout, pairs.paired) == ("folders", True)


def test_folders_of_other_names_are_not_pairs(tmp_path):
    save(tmp_path / "trainA" / "1.png", random_image(1))
    save(tmp_path / "trainB" / "2.png", random_image(2))
    save(tmp_path / "trainB" / "3.png", random_image(2))
    pairs = find_image_pairs(tmp_path, "train")
    assert (len(pairs.a), len(pairs.b), pairs.paired) == (1, 2, False)
    with pytest.raises(InputError, match="name both images of a place alike"):
        read_pair(pairs, 0)


def test_test_falls_back_to_the_val_folders(tmp_path):
    save(tmp_path / "valA" / "1.png", random_image(1))
    save(tmp_path / "valB" / "1.png", random_image(2))
    assert find_image_pairs(tmp_path, "test").a[0].path.parent.name == "valA"


@pytest.mark.parametrize("below", ["train", "."])
def test_two_tile_folders_are_pairs_with_addresses(tmp_path, below):
    for kind in ("satellite", "map"):
        save(tmp_path / below / kind / "3" / "1" / "2.png", random_image(1))
    pairs = find_image_pairs(tmp_path, "train")
    assert (pairs.layout, pairs.paired) == ("tiles", True)
    assert pairs.a[0].tile == pairs.b[0].tile == Tile(3, 1, 2)


def test_tags_come_from_the_table_and_are_empty_without(tmp_path):
    numbered_pairs(tmp_path, 2)
    tag_table(tmp_path, {"train/01.png": "water"})
    pairs = find_image_pairs(tmp_path, "train")
    assert [ref.tag for ref in pairs.a] == [ref.tag for ref in pairs.b] == ["", "water"]


def test_hidden_and_other_files_are_passed_over(tmp_path):
    numbered_pairs(tmp_path, 1)
    save(tmp_path / "train" / ".00.png", random_image(1))
    (tmp_path / "train" / "notes.txt").write_text("")
    assert names(find_image_pairs(tmp_path, "train").a) == ["00.png"]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_other_eight_bit_images_are_read_as_rgb(tmp_path, mode):
    # An adaptive palette holds the very level; the fixed one would dither it.
    grey = Image.fromarray(plain_image(77)).convert(mode, palette=Image.Palette.ADAPTIVE)
    (tmp_path / "trainA").mkdir()
    (tmp_path / "trainB").mkdir()
    grey.save(tmp_path / "trainA" / "1.png")
    grey.save(tmp_path / "trainB" / "1.png")
    pixels = read_image(find_image_pairs(tmp_path, "train").a[0])
    np.testing.assert_array_equal(pixels, plain_image(77))


def test_an_absent_split_names_the_folder_and_what_was_expected(tmp_path):
    numbered_pairs(tmp_path, 1, split="test")
    with pytest.raises(InputError, match=r"no images of split 'train'; expected .*; found test"):
        find_image_pairs(tmp_path, "train")


def test_an_empty_split_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="train: holds no image"):
        find_image_pairs(tmp_path, "train")


def test_splits_of_different_layouts_are_refused(tmp_path):
    numbered_pairs(tmp_path, 1)
    save(tmp_path / "moreA" / "1.png", random_image(1))
    save(tmp_path / "moreB" / "1.png", random_image(1))
    with pytest.raises(InputError, match="mix layouts"):
        find_image_pairs(tmp_path, "train+more")


def test_an_odd_width_is_refused_before_training(tmp_path):
    save(tmp_path / "train" / "a.png", random_image(1, width=33))
    with pytest.raises(InputError, match=r"a\.png: 33 pixels wide"):
        find_image_pairs(tmp_path, "train")


def test_pairs_of_unequal_size_are_refused_before_training(tmp_path):
    save(tmp_path / "trainA" / "1.png", random_image(1))
    save(tmp_path / "trainB" / "1.png", random_image(1, width=20))
    with pytest.raises(InputError, match=r"1\.png: the satellite image has 16x16 .* 20x16"):
        find_image_pairs(tmp_path, "train")


def test_a_file_that_is_no_image_is_named(tmp_path):
    numbered_pairs(tmp_path, 1)
    (tmp_path / "train" / "bad.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"bad\.png: not readable as an image"):
        find_image_pairs(tmp_path, "train")


def test_a_cut_off_file_is_named_when_read(tmp_path):
    path = save(tmp_path / "train" / "a.png", random_image(1, width=64, height=64))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"a\.png: not readable as an image"):
        read_image(find_image_pairs(tmp_path, "train").a[0])


def test_sixteen_bit_images_are_refused_not_clipped(tmp_path):
    (tmp_path / "train").mkdir()
    Image.fromarray(np.full((16, 32), 3000, np.uint16)).save(tmp_path / "train" / "a.png")
    with pytest.raises(InputError, match=r"a\.png: pixels of type I;16, expected 8 bits"):
        read_image(find_image_pairs(tmp_path, "train").a[0])


def test_a_table_without_its_columns_is_refused(tmp_path):
    numbered_pairs(tmp_path, 1)
    (tmp_path / "pairs.csv").write_text("name,kind\na,b\n")
    with pytest.raises(InputError, match=r"pairs\.csv: has columns name, kind; needs 'file'"):
        find_image_pairs(tmp_path, "train")


def test_an_image_kept_in_memory_is_decoded_once(tmp_path):
    numbered_pairs(tmp_path, 1)
    kept = keep_in_memory(find_image_pairs(tmp_path, "train"))
    first = kept.read(kept.a[0])
    (tmp_path / "train" / "00.png").unlink()
    assert kept.read(kept.a[0]) is first


def test_images_beyond_the_limit_are_decoded_again(tmp_path):
    numbered_pairs(tmp_path, 2)
    kept = keep_in_memory(find_image_pairs(tmp_path, "train"), limit_bytes=16 * 16 * 3)
    first, second = kept.read(kept.a[0]), kept.read(kept.a[1])
    assert kept.read(kept.a[0]) is first
    assert kept.read(kept.a[1]) is not second
    np.testing.assert_array_equal(kept.read(kept.a[1]), second)


def test_the_real_tiles_have_their_places_and_tags(shared):
    pairs = find_image_pairs(shared / "data" / "sat2map", "test")
    assert (len(pairs.a), len(pairs.b), pairs.paired) == (100, 100, True)
    assert {ref.tile.z for ref in pairs.a if ref.tile} == {16}
    assert "" not in {ref.tag for ref in pairs.b}


def test_tiles_without_a_folder_for_each_split_are_all_for_training(tmp_path):
    for kind in ("satellite", "map"):
        save(tmp_path / kind / "3" / "1" / "2.png", random_image(1))
    assert len(find_image_pairs(tmp_path, "train").a) == 1
    with pytest.raises(InputError, match="no images of split 'test'"):
        find_image_pairs(tmp_path, "test")
