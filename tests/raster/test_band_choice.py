"""Bands are found by name, by colour, by count; never guessed."""

from __future__ import annotations

import pytest
from rasterio.enums import ColorInterp

from eo_contrast.errors import InputError
from eo_contrast.raster.band_choice import choose_bands, parse_bands
from eo_contrast.raster.meta import RasterMeta

WANTED = ("red", "green", "blue")
R, G, B = ColorInterp.red, ColorInterp.green, ColorInterp.blue
NIR, ALPHA, GRAY = ColorInterp.undefined, ColorInterp.alpha, ColorInterp.gray


def raster(
    colours: tuple[ColorInterp, ...], descriptions: tuple[str | None, ...] = ()
) -> RasterMeta:
    count = len(colours)
    return RasterMeta(
        driver="GTiff",
        width=1,
        height=1,
        dtypes=("uint8",) * count,
        colorinterp=colours,
        descriptions=descriptions or (None,) * count,
    )


def chosen(meta: RasterMeta, alpha: int | None = None) -> tuple[int, ...]:
    return choose_bands(meta, WANTED, name="a.tif", alpha=alpha)


def test_colours_name_the_bands_in_any_order():
    assert chosen(raster((B, G, R))) == (3, 2, 1)


def test_near_infrared_or_alpha_beside_the_colours_is_left_out():
    assert chosen(raster((R, G, B, NIR))) == (1, 2, 3)
    assert chosen(raster((R, G, B, ALPHA)), alpha=4) == (1, 2, 3)


def test_descriptions_win_over_colours():
    meta = raster((R, G, B, NIR), ("nir", "Red", "Green", "Blue"))
    assert chosen(meta) == (2, 3, 4)


def test_as_many_bands_without_names_are_taken_in_order():
    assert chosen(raster((GRAY, NIR, NIR))) == (1, 2, 3)
    assert chosen(raster((GRAY, NIR, NIR, ALPHA)), alpha=4) == (1, 2, 3)


def test_more_bands_without_names_are_refused_with_the_way_out():
    with pytest.raises(InputError) as error:
        chosen(raster((GRAY, NIR, NIR, NIR)))
    assert "needs red green blue, the raster has 4 bands: 1 (gray)" in str(error.value)
    assert "--bands 1,2,3" in str(error.value)


def test_as_many_bands_with_other_names_are_refused():
    with pytest.raises(InputError, match="no band says that it is 'red'"):
        chosen(raster((GRAY, NIR, NIR), ("VV", "VH", "angle")))


def test_bands_may_be_given_by_number_or_name():
    meta = raster((GRAY, NIR, NIR, NIR), ("nir", None, None, "blue"))
    assert parse_bands("2, 3,blue", meta, count=3, name="a.tif") == (2, 3, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2", "2 bands; the model needs 3"),
        ("1,2,9", "'9' is no band of a.tif; it has 1 to 4"),
        ("0,1,2", "'0' is no band"),
        ("red,1,2", "'red' is no band"),
    ],
)
def test_bands_that_are_not_there_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_bands(text, raster((GRAY, NIR, NIR, NIR)), count=3, name="a.tif")
