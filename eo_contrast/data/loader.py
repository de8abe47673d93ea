"""Batches of satellite and map crops, each a pure function of (seed, step).

Nothing here remembers where it is: training resumed at a step, or spread over processes,
sees exactly the crops that an undisturbed single process sees.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eo_contrast.config import Config
from eo_contrast.data.image_pairs import ImagePairs, ImageRef, read_pair
from eo_contrast.data.order import epoch_order, sample_generator
from eo_contrast.data.resize import resized
from eo_contrast.errors import InputError

NETWORK_STRIDE = 4

Balance = Literal["none", "tag", "tag-matched"]
FetchedT = TypeVar("FetchedT")


class CropConfig(Config):
    """How an image becomes a network's input (CUT, data/base_dataset.py: resize_and_crop)."""

    load_size: int | None = Field(286, ge=NETWORK_STRIDE)
    """Side to which the whole image is resized before cropping, pixels; null keeps its size.

    Less than the files' side is a coarser model: cheaper steps that see more ground each."""
    crop_size: int = Field(256, ge=NETWORK_STRIDE, multiple_of=NETWORK_STRIDE)
    """Side of the random crop, pixels, a multiple of the generator's stride of 4."""
    flip_horizontal: bool = True
    """Mirror east and west with probability 1/2."""
    flip_vertical: bool = False
    """Mirror north and south with probability 1/2; valid for images from above without text."""
    quarter_turns: bool = False
    """Turn by 0, 90, 180 or 270 degrees, each with probability 1/4."""

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.load_size is not None and self.load_size < self.crop_size:
            raise ValueError(
                f"crop_size {self.crop_size} is larger than load_size {self.load_size}; "
                "give a load_size of at least the crop_size, or null"
            )
        return self


def without_scale_jitter(crop: CropConfig) -> CropConfig:
    """The crops of the published decay phase: images are resized straight to the crop size.

    With ``load_size`` null the image's own scale is kept in both phases.
    """
    if crop.load_size is None:
        return crop
    return crop.model_copy(update={"load_size": crop.crop_size})


def zoom_of(crop: CropConfig, side: int) -> float:
    """Pixels that the network sees for one pixel of an image of ``side`` pixels."""
    return 1.0 if crop.load_size is None else crop.load_size / side


@dataclass(frozen=True)
class Batch:
    """``a`` satellite and ``b`` map crops: float32 (N, 3, H, W) in [-1, 1], RGB.

    ``indices``: for each sample the positions in ``ImagePairs.a`` and ``ImagePairs.b``.
    ``tags``: of each sample's satellite image; "" where there is none.
    """

    a: torch.Tensor
    b: torch.Tensor
    indices: tuple[tuple[int, int], ...]
    tags: tuple[str, ...]


def epoch_length(pairs: ImagePairs) -> int:
    """Samples in an epoch: the size of the larger domain."""
    return max(len(pairs.a), len(pairs.b))


def batch_at(
    pairs: ImagePairs,
    *,
    seed: int,
    step: int,
    batch_size: int,
    crop: CropConfig,
    balance: Balance = "none",
    rank: int = 0,
    world_size: int = 1,
    aligned: bool = False,
) -> Batch:
    """The samples that process ``rank`` trains on at ``step``.

    A is visited in a new random order every epoch, each image once; B is drawn uniformly
    with replacement, independent of A (CUT, data/unaligned_dataset.py). Samples are
    numbered through: the last batch of an epoch is filled from the next one.

    Args:
        pairs: the images.
        seed: of the whole run, >= 0.
        step: counted from 0.
        batch_size: samples of this process; all processes together make
            ``batch_size * world_size``, process r holding the r-th run of them.
        crop: size, crop, flips.
        balance: ``tag`` draws for A and for B a tag, all tags equally often, then an image
            of that tag; ``tag-matched`` draws one tag for both. Epochs have no meaning then.
        rank: number of this process, 0 <= rank < world_size.
        world_size: number of processes.
        aligned: B is the map of A's place, with the same crop, flips and turn.

    Raises:
        InputError: unpaired images with ``aligned``, no tags with ``balance``, or an image
            smaller than the crop.
    """
    first = rank * batch_size
    samples = [
        _sample(
            pairs,
            drawn=_draw(
                pairs, seed, step * batch_size * world_size + number, balance, aligned=aligned
            ),
            crop=crop,
            aligned=aligned,
        )
        for number in range(first, first + batch_size)
    ]
    return Batch(
        a=to_network_range(np.stack([sample.a for sample in samples])),
        b=to_network_range(np.stack([sample.b for sample in samples])),
        indices=tuple(sample.indices for sample in samples),
        tags=tuple(pairs.a[sample.indices[0]].tag for sample in samples),
    )


def to_network_range(images: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W), 0..255 mapped to -1..1."""
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return torch.from_numpy(channels_first).float().div_(255.0).sub_(0.5).div_(0.5)


def to_pixels(tensor: torch.Tensor) -> NDArray[np.uint8]:
    """Float (N, 3, H, W) in -1..1 to uint8 (N, H, W, 3), rounded; values outside are clipped."""
    levels = tensor.detach().float().cpu().add(1.0).mul(127.5).round().clamp(0, 255)
    return np.ascontiguousarray(levels.to(torch.uint8).permute(0, 2, 3, 1).numpy())


def prefetched_batches(
    fetch: Callable[[int], FetchedT], first_step: int, last_step: int, *, depth: int = 2
) -> Iterator[FetchedT]:
    """``fetch(step)`` for each step in order, computed ahead in background threads.

    Args:
        fetch: a pure function of the step, safe to call from threads.
        first_step: first step yielded.
        last_step: one past the last step.
        depth: steps computed ahead, > 0.

    Raises: what ``fetch`` raises, at the step where it did.
    """
    waiting: deque[Future[FetchedT]] = deque()
    workers = ThreadPoolExecutor(max_workers=depth, thread_name_prefix="batch")
    try:
        for step in range(first_step, last_step):
            next_step = step + len(waiting)
            for ahead in range(next_step, min(step + depth + 1, last_step)):
                waiting.append(workers.submit(fetch, ahead))
            yield waiting.popleft().result()
    finally:
        workers.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Drawn:
    index_a: int
    index_b: int
    generator: np.random.Generator


@dataclass(frozen=True)
class _Sample:
    a: NDArray[np.uint8]
    b: NDArray[np.uint8]
    indices: tuple[int, int]


def _draw(pairs: ImagePairs, seed: int, number: int, balance: Balance, *, aligned: bool) -> _Drawn:
    """The two images of sample ``number`` (counted over the run), and what draws its crops."""
    generator = sample_generator(seed, number)
    if balance == "none":
        epoch, position = divmod(number, epoch_length(pairs))
        order = epoch_order(seed, epoch, epoch_length(pairs))
        index_a = int(order[position]) % len(pairs.a)
        index_b = int(generator.integers(len(pairs.b)))
    else:
        index_a, index_b = _draw_by_tag(pairs, generator, matched=balance == "tag-matched")
    return _Drawn(index_a, index_a if aligned else index_b, generator)


def _draw_by_tag(
    pairs: ImagePairs, generator: np.random.Generator, *, matched: bool
) -> tuple[int, int]:
    by_tag_a, by_tag_b = _indices_by_tag(pairs.a), _indices_by_tag(pairs.b)
    tags_a, tags_b = sorted(by_tag_a), sorted(by_tag_b)
    if tags_a == [""] or tags_b == [""]:
        raise InputError(
            f"{pairs.a[0].path.parent}: no image has a tag, so balance must be 'none'; "
            "tags come from the columns 'file' and 'tag' of pairs.csv in the data folder"
        )
    if matched:
        tags_a = tags_b = sorted(set(tags_a) & set(tags_b))
        if not tags_a:
            raise InputError(
                f"{pairs.a[0].path.parent}: satellite and map images share no tag; "
                "use balance 'tag' or 'none'"
            )
    number_a = int(generator.integers(len(tags_a)))
    number_b = number_a if matched else int(generator.integers(len(tags_b)))
    choices_a, choices_b = by_tag_a[tags_a[number_a]], by_tag_b[tags_b[number_b]]
    return (
        choices_a[int(generator.integers(len(choices_a)))],
        choices_b[int(generator.integers(len(choices_b)))],
    )


def _indices_by_tag(refs: Sequence[ImageRef]) -> dict[str, list[int]]:
    indices: dict[str, list[int]] = {}
    for index, ref in enumerate(refs):
        indices.setdefault(ref.tag, []).append(index)
    return indices


def _sample(pairs: ImagePairs, *, drawn: _Drawn, crop: CropConfig, aligned: bool) -> _Sample:
    indices = (drawn.index_a, drawn.index_b)
    if aligned:
        both = np.concatenate(read_pair(pairs, drawn.index_a), axis=2)
        cropped = _crop(both, pairs.a[drawn.index_a], crop, drawn.generator)
        return _Sample(cropped[..., :3], cropped[..., 3:], indices)
    ref_a, ref_b = pairs.a[drawn.index_a], pairs.b[drawn.index_b]
    return _Sample(
        _crop(pairs.read(ref_a), ref_a, crop, drawn.generator),
        _crop(pairs.read(ref_b), ref_b, crop, drawn.generator),
        indices,
    )


def _crop(
    image: NDArray[np.uint8], ref: ImageRef, crop: CropConfig, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Resized, cropped, flipped and turned; image (H, W, 3 or 6 where two images share them)."""
    if crop.load_size is not None:
        image = resized(image, crop.load_size, crop.load_size)
    height, width = image.shape[:2]
    size = crop.crop_size
    if min(height, width) < size:
        raise InputError(
            f"{ref.path}: {width}x{height} pixels, smaller than crop_size {size}; "
            "give a smaller crop_size, or a load_size to enlarge the images"
        )
    # All are drawn whatever is switched on, so that an option never moves another's draw.
    top, left = generator.integers(height - size + 1), generator.integers(width - size + 1)
    mirror_columns, mirror_rows = generator.random(2) < 0.5
    turns = int(generator.integers(4))
    image = image[top : top + size, left : left + size]
    if crop.flip_horizontal and mirror_columns:
        image = image[:, ::-1]
    if crop.flip_vertical and mirror_rows:
        image = image[::-1]
    return np.rot90(image, turns) if crop.quarter_turns else image
