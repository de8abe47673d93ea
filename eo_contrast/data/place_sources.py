"""Where crops of places come from: a pack, or the files of a catalogue themselves."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from eo_contrast.catalog.pack import PackPlan, plan_pack
from eo_contrast.catalog.packed import Layer, Pack, open_pack, packed
from eo_contrast.catalog.views import read_view


class PlaceSource(Hashable, Protocol):
    """Squares of places, numbered; all of one size.

    Attributes:
        size: side of a square in pixels.
        layers: what there is of each product.
        splits: of each square; empty where it has none.
        labels: of each square; empty where it has none.
        names: of each square, the place that it is of.
        ground_resolution_m: metres on the ground a pixel; None: not known.
    """

    size: int
    layers: Mapping[str, Layer]
    splits: Sequence[str]
    labels: Sequence[str]

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def ground_resolution_m(self) -> float | None: ...

    def dates(self, number: int, product: str) -> int:
        """How many images of a product square ``number`` has."""
        ...

    def crop(
        self, number: int, product: str, date: int, top: int, left: int, side: int
    ) -> NDArray[Any]:
        """Counts (bands, side, side) of an image's part, as the layer's storage has them."""
        ...


class PackedPlaces:
    """Squares of a pack: a crop is a slice of a memory-mapped file."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self.size = pack.size
        self.layers = pack.layers
        self.splits: Sequence[str] = pack.places.column("split").to_pylist()
        self.labels: Sequence[str] = pack.places.column("label").to_pylist()
        self.ground_resolution_m = pack.ground_resolution_m
        self._dates = {
            product: [len(ids) for ids in pack.places.column(f"{product}:id").to_pylist()]
            for product in pack.layers
        }

    @property
    def names(self) -> Sequence[str]:
        """See :class:`PlaceSource`."""
        names: Sequence[str] = self._pack.places.column("place_id").to_pylist()
        return names

    def dates(self, number: int, product: str) -> int:
        """See :class:`PlaceSource`."""
        return self._dates[product][number]

    def crop(
        self, number: int, product: str, date: int, top: int, left: int, side: int
    ) -> NDArray[Any]:
        """See :class:`PlaceSource`; a view of the file, not a copy."""
        part: NDArray[Any] = self._pack.arrays[product][
            number, date, :, top : top + side, left : left + side
        ]
        return part


class ArchivePlaces:
    """Squares read from an archive's own files, as a pack would have them."""

    def __init__(self, plan: PackPlan) -> None:
        self._plan, self._patches = plan, plan.patches
        self.size = plan.size
        self.layers = plan.layers
        self.splits: Sequence[str] = [patch.told("split") for patch in plan.patches]
        self.labels: Sequence[str] = [patch.told("label") for patch in plan.patches]

    @property
    def names(self) -> Sequence[str]:
        """See :class:`PlaceSource`."""
        return [patch.place_id for patch in self._patches]

    @property
    def ground_resolution_m(self) -> float | None:
        """See :class:`PlaceSource`."""
        return self._plan.ground_resolution_m

    def dates(self, number: int, product: str) -> int:
        """See :class:`PlaceSource`."""
        return len(self._patches[number].images.get(product, ()))

    def crop(
        self, number: int, product: str, date: int, top: int, left: int, side: int
    ) -> NDArray[Any]:
        """See :class:`PlaceSource`.

        Raises: InputError: a file is gone or damaged.
        """
        patch, layer = self._patches[number], self.layers[product]
        grid = patch.grid.window(top, left, side, side)
        view = read_view(patch.images[product][date], grid=grid, bands=layer.bands)
        return packed(view.values, view.valid, layer.storage)


def open_places(path: Path) -> PlaceSource:
    """A pack's folder, or a catalogue whose files are read as they are.

    Opened once, and again where the same path means another one.

    Raises: InputError: it is neither.
    """
    state = path.stat() if path.exists() else None
    return _opened(path, path.resolve(), state and (state.st_ino, state.st_mtime_ns))


@lru_cache(maxsize=4)
def _opened(path: Path, place: Path, state: tuple[int, int] | None) -> PlaceSource:
    del place, state  # what tells one from another of the same path
    if path.is_dir():
        return PackedPlaces(open_pack(path))
    return ArchivePlaces(plan_pack(path))
