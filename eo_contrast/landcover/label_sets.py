"""Label sets of the public data sets, and how each is brought to the classes that are scored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

IGNORED = 255
"""Class of a pixel or place that does not count."""
SHARE_OF_A_LABEL = 0.1
"""Least share of a place's pixels that a class has where a label map gives several labels."""

BIGEARTHNET_19 = (
    "Urban fabric",
    "Industrial or commercial units",
    "Arable land",
    "Permanent crops",
    "Pastures",
    "Complex cultivation patterns",
    "Land principally occupied by agriculture, with significant areas of natural vegetation",
    "Agro-forestry areas",
    "Broad-leaved forest",
    "Coniferous forest",
    "Mixed forest",
    "Natural grassland and sparsely vegetated areas",
    "Moors, heathland and sclerophyllous vegetation",
    "Transitional woodland, shrub",
    "Beaches, dunes, sands",
    "Inland wetlands",
    "Coastal wetlands",
    "Inland waters",
    "Marine waters",
)
"""Classes of BigEarthNet as its second edition names them (Sumbul et al. 2021, table 2)."""

_ARABLE, _PERMANENT, _MOORS, _GRASS = (BIGEARTHNET_19[n] for n in (2, 3, 12, 11))
_INLAND_WET, _COASTAL_WET, _INLAND_WATER, _SEA = BIGEARTHNET_19[15:]
_URBAN = BIGEARTHNET_19[0]

# Code, name at level 3, and the class of the 19 that it is merged into; None: it has none.
CORINE: tuple[tuple[int, str, str | None], ...] = (
    (111, "Continuous urban fabric", _URBAN),
    (112, "Discontinuous urban fabric", _URBAN),
    (121, "Industrial or commercial units", BIGEARTHNET_19[1]),
    (122, "Road and rail networks and associated land", None),
    (123, "Port areas", None),
    (124, "Airports", None),
    (131, "Mineral extraction sites", None),
    (132, "Dump sites", None),
    (133, "Construction sites", None),
    (141, "Green urban areas", None),
    (142, "Sport and leisure facilities", None),
    (211, "Non-irrigated arable land", _ARABLE),
    (212, "Permanently irrigated land", _ARABLE),
    (213, "Rice fields", _ARABLE),
    (221, "Vineyards", _PERMANENT),
    (222, "Fruit trees and berry plantations", _PERMANENT),
    (223, "Olive groves", _PERMANENT),
    (231, "Pastures", BIGEARTHNET_19[4]),
    (241, "Annual crops associated with permanent crops", _PERMANENT),
    (242, "Complex cultivation patterns", BIGEARTHNET_19[5]),
    (243, BIGEARTHNET_19[6], BIGEARTHNET_19[6]),
    (244, "Agro-forestry areas", BIGEARTHNET_19[7]),
    (311, "Broad-leaved forest", BIGEARTHNET_19[8]),
    (312, "Coniferous forest", BIGEARTHNET_19[9]),
    (313, "Mixed forest", BIGEARTHNET_19[10]),
    (321, "Natural grassland", _GRASS),
    (322, "Moors and heathland", _MOORS),
    (323, "Sclerophyllous vegetation", _MOORS),
    (324, "Transitional woodland/shrub", BIGEARTHNET_19[13]),
    (331, "Beaches, dunes, sands", BIGEARTHNET_19[14]),
    (332, "Bare rock", None),
    (333, "Sparsely vegetated areas", _GRASS),
    (334, "Burnt areas", None),
    (335, "Glaciers and perpetual snow", None),
    (411, "Inland marshes", _INLAND_WET),
    (412, "Peatbogs", _INLAND_WET),
    (421, "Salt marshes", _COASTAL_WET),
    (422, "Salines", _COASTAL_WET),
    (423, "Intertidal flats", None),
    (511, "Water courses", _INLAND_WATER),
    (512, "Water bodies", _INLAND_WATER),
    (521, "Coastal lagoons", _SEA),
    (522, "Estuaries", _SEA),
    (523, "Sea and ocean", _SEA),
)
"""CORINE Land Cover at level 3; BigEarthNet v1 labels patches with all but 335."""

DFC2020_8 = (
    "Forest",
    "Shrubland",
    "Grassland",
    "Wetlands",
    "Croplands",
    "Urban",
    "Barren",
    "Water",
)
"""Classes of DFC2020 that are scored: savanna and snow are practically absent, and ignored."""

IGBP_10 = (
    "Forest",
    "Shrubland",
    "Savanna",
    "Grassland",
    "Wetlands",
    "Croplands",
    "Urban",
    "Snow",
    "Barren",
    "Water",
)
"""The simplified IGBP scheme whole, as SEN12MS is labelled by it: DFC2020's codes 1..10."""

_DFC2020_OF_IGBP = (0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 6, 8, 9, 10)
_EIGHT_OF_DFC2020 = (IGNORED, 0, 1, IGNORED, 2, 3, 4, 5, IGNORED, 6, 7)


def dfc2020_of_igbp(codes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The simplified IGBP classes 1..10 of DFC2020, of IGBP codes 1..17; 0 of anything else."""
    return _looked_up(codes, _DFC2020_OF_IGBP, 0)


def eight_of_dfc2020(codes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Positions in ``DFC2020_8`` of DFC2020's codes 1..10; ``IGNORED`` of anything else."""
    return _looked_up(codes, _EIGHT_OF_DFC2020, IGNORED)


def eight_of_igbp(codes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Positions in ``DFC2020_8`` of IGBP codes; ``IGNORED`` of anything else."""
    return eight_of_dfc2020(dfc2020_of_igbp(codes))


def ten_of_igbp(codes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Positions in ``IGBP_10`` of IGBP codes; ``IGNORED`` of anything else."""
    return _looked_up(dfc2020_of_igbp(codes), (IGNORED, *range(len(IGBP_10))), IGNORED)


def nineteen_of_corine(codes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Positions in ``BIGEARTHNET_19`` of CORINE codes; ``IGNORED`` where there is none."""
    table = np.full(max(code for code, _, _ in CORINE) + 1, IGNORED)
    for code, _, merged in CORINE:
        if merged is not None:
            table[code] = BIGEARTHNET_19.index(merged)
    return _looked_up(codes, table.tolist(), IGNORED)


def nineteen_of_names(names: Iterable[str]) -> list[str]:
    """The classes of the 19 that labels of BigEarthNet, of either edition, are merged into.

    Labels without a class among the 19 are left out; the order is that of ``BIGEARTHNET_19``.

    Raises: KeyError: a name that BigEarthNet does not have.
    """
    merged = {name: into for _, name, into in CORINE} | {name: name for name in BIGEARTHNET_19}
    found = {merged[name] for name in names}
    return [name for name in BIGEARTHNET_19 if name in found]


def commonest(labels: NDArray[np.uint8]) -> int:
    """The class of most pixels, of several the smallest.

    ``IGNORED`` where the pixels that do not count are the most: such a place has no single label.
    """
    return int(np.bincount(labels.ravel()).argmax())


def shares_above(
    labels: NDArray[np.uint8], classes: int, share: float = SHARE_OF_A_LABEL
) -> NDArray[np.bool_]:
    """Which classes have at least a share of all pixels, ignored ones among them; (classes,)."""
    counts = np.bincount(labels.ravel(), minlength=IGNORED + 1)[:classes]
    # As whole numbers where they are: .1 of 400 is 40, and 40 are enough.
    enough: NDArray[np.bool_] = counts >= share * labels.size - 1e-9
    return enough


def _looked_up(
    codes: NDArray[np.integer], table: Sequence[int], otherwise: int
) -> NDArray[np.uint8]:
    known = (codes >= 0) & (codes < len(table))
    values = np.asarray(table, np.uint8)[np.where(known, codes, 0)]
    return np.where(known, values, np.uint8(otherwise)).astype(np.uint8)
