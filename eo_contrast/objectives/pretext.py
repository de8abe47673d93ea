"""Tasks that an image sets of itself: how it is turned, where a part lies, what is missing.

The first three make inputs and whole-number answers, for cross entropy; the others are losses.
Draws (turns, neighbours, jitter, permutations) are the caller's, from its own generator.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Row and column of each neighbour, in patches from the centre, by its label."""
MOST_TILES = 9
"""Of jigsaws whose permutations are listed: 9! is 362,880, 10! ten times that."""


def turned(images: Tensor, quarters: int) -> Tensor:
    """Images (..., H, W) turned counter-clockwise by so many quarters of a turn.

    RotNet (Gidaris et al. 2018, sec. 3.1).
    """
    return torch.rot90(images, quarters, dims=(-2, -1))


def all_turns(images: Tensor) -> tuple[Tensor, Tensor]:
    """The four turns of each image, (4 N, C, S, S), and how many quarters each is, (4 N,).

    All images as they are come first, then all turned by a quarter, and so on. RotNet shows the
    four turns of an image in one batch (Gidaris et al. 2018, sec. 3.1).

    Args:
        images: (N, C, S, S).

    Raises: ValueError: images are not square, which would tell the answer.
    """
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f"images of {images.shape[-2]} x {images.shape[-1]}: must be square")
    answers = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return torch.cat([turned(images, quarters) for quarters in range(4)]), answers


def opposite(labels: Tensor) -> Tensor:
    """The label of the centre as its neighbour sees it."""
    return len(NEIGHBOURS) - 1 - labels


def patch_and_neighbour(
    images: Tensor, labels: Tensor, *, patch: int, gap: int, jitter: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The middle patch of each image and the neighbour that its label names.

    Doersch et al. 2015, sec. 3; a gap and jitter keep edges that run on from telling the answer.

    Args:
        images: (N, C, H, W).
        labels: (N,) whole numbers, indices into ``NEIGHBOURS``.
        patch: side in pixels; the paper's is 96.
        gap: pixels between two patches; the paper's is about half a patch.
        jitter: (N, 2) pixels down and right that the neighbour is moved by, within +-7 in the
            paper; None: 0.

    Returns: two of (N, C, patch, patch).
    Raises: ValueError: a neighbour would lie over the edge.
    """
    height, width = images.shape[-2:]
    steps = torch.tensor(NEIGHBOURS, device=images.device)[labels] * (patch + gap)
    middle = torch.tensor([(height - patch) // 2, (width - patch) // 2], device=images.device)
    corners = middle + steps if jitter is None else middle + steps + jitter
    return cut(images, middle.expand(len(images), 2), patch), cut(images, corners, patch)


def jigsaw_tiles(
    images: Tensor, orders: Tensor, *, tile: int, offsets: Tensor | None = None
) -> Tensor:
    """Tiles of each image, one out of each cell of a square grid, in the order given.

    Noroozi & Favaro 2016, sec. 4.1: 3 x 3 cells of 85 px, tiles of 64 px anywhere within them.

    Args:
        images: (N, C, H, W).
        orders: (N, T) permutations; place k of the result holds cell ``orders[n, k]``, cells
            numbered row by row; T is a square number.
        tile: side in pixels, at most that of a cell.
        offsets: (N, T, 2) pixels down and right of the tile in each cell; None: in the middle.

    Returns: (N, T, C, tile, tile).
    Raises: ValueError: T is no square number, or a tile would lie over the edge.
    """
    count, tiles = orders.shape
    side = math.isqrt(tiles)
    if side**2 != tiles:
        raise ValueError(f"{tiles} tiles do not fill a square grid")
    cell = torch.tensor([length // side for length in images.shape[-2:]], device=images.device)
    numbers = torch.arange(tiles, device=images.device)
    places = torch.stack([numbers // side, numbers % side], dim=1) * cell
    shift = (cell - tile) // 2 if offsets is None else offsets
    corners = (places + shift).expand(count, tiles, 2).flatten(0, 1)
    found = cut(images.repeat_interleave(tiles, dim=0), corners, tile)
    found = found.reshape(count, tiles, *found.shape[1:])
    return found[torch.arange(count, device=images.device)[:, None], orders]


def cut(images: Tensor, corners: Tensor, side: int) -> Tensor:
    """A square of each image, (N, C, side, side).

    Args:
        images: (N, C, H, W).
        corners: (N, 2) whole numbers, row and column of the upper left pixel.

    Raises: ValueError: a square would lie over the edge.
    """
    limits = torch.tensor(images.shape[-2:], device=images.device) - side
    if (corners < 0).any() or (corners > limits).any():
        height, width = images.shape[-2:]
        raise ValueError(f"{side} px do not fit images of {height} x {width} where they are asked")
    along = torch.arange(side, device=images.device)
    rows, columns = (corners[:, axis, None] + along for axis in (0, 1))
    which = torch.arange(len(images), device=images.device)[:, None, None]
    # Indices apart from each other put their axes first: (N, side, side, C).
    return images[which, :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def permutation_set(count: int, tiles: int = 9) -> Tensor:
    """Permutations that differ from each other in many places, (count, tiles) from 0.

    Noroozi & Favaro 2016, alg. 1, as their followers' code has it: from the identity, always the
    permutation with the largest sum of Hamming distances to those chosen, the first of such in
    lexicographic order. The sum keeps the mean distance large, not the smallest.

    Args:
        count: 1 .. tiles!; the paper's is 1000 of 9 tiles.
        tiles: 2 .. ``MOST_TILES``.

    Raises: ValueError: ``count`` or ``tiles`` is out of these.
    """
    if not 2 <= tiles <= MOST_TILES:
        raise ValueError(f"{tiles} tiles: give 2 to {MOST_TILES}")
    if not 1 <= count <= math.factorial(tiles):
        raise ValueError(f"{count} permutations of {tiles} tiles: 1 to {math.factorial(tiles)}")
    # A row for each place: sums over the short axis are then of whole rows.
    every = np.array(list(itertools.permutations(range(tiles))), dtype=np.int8).T.copy()
    # Places in common with those chosen: the largest sum of distances has the fewest.
    common = np.zeros(every.shape[1], dtype=np.int32)
    chosen = [0]
    while len(chosen) < count:
        latest = every[:, chosen[-1]]
        for values, value in zip(every, latest, strict=True):
            common += values == value
        common[chosen[-1]] = np.iinfo(np.int32).max // 2
        chosen.append(int(common.argmin()))
    return torch.from_numpy(every[:, chosen].T.astype(np.int64))


def nearest_colours(
    colours: Tensor, centres: Tensor, *, neighbours: int = 5, sigma: float = 5.0
) -> Tensor:
    """Each pixel's colour as shares of its nearest bins, (N, Q, H, W); they sum to 1.

    Zhang et al. 2016 (colorization), sec. 2.1: Gaussian in the distance, over 5 neighbours.

    Args:
        colours: (N, 2, H, W), a and b of CIE Lab, or any number of channels.
        centres: (Q, 2) of the bins; the paper has 313.
        neighbours: 1 .. Q; 1 puts all on the nearest.
        sigma: of the Gaussian, in the colours' unit, > 0.
    """
    pixels = colours.movedim(1, -1)
    distances = torch.cdist(pixels.flatten(0, 2), centres.to(pixels.dtype))
    nearest, bins = distances.topk(neighbours, dim=1, largest=False)
    # A softmax: far from all bins the Gaussians themselves would all round to 0.
    shares = F.softmax(-nearest.square() / (2 * sigma**2), dim=1)
    spread = torch.zeros_like(distances).scatter(1, bins, shares)
    return spread.reshape(*pixels.shape[:3], -1).movedim(-1, 1)


def rebalancing(shares: Tensor, *, mix: float = 0.5) -> Tensor:
    """Weights of bins, larger for rarer colours, of mean 1 over the pixels; (Q,).

    Zhang et al. 2016, eq. 4.

    Args:
        shares: (Q,) of the pixels in each bin, sum 1.
        mix: lambda, above 0 where a bin is empty, .. 1, which weights all alike.
    """
    weights = 1 / ((1 - mix) * shares + mix / len(shares))
    return weights / (shares * weights).sum()


def colourisation(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over pixels of the cross entropy with the target's shares, times the pixel's weight.

    Zhang et al. 2016, eq. 2-3, with a mean where they sum.

    Args:
        logits, target: (N, Q, H, W); target from :func:`nearest_colours`.
        weights: (Q,), from :func:`rebalancing`; a pixel takes that of its largest share. None: 1.
    """
    entropy = -(target * F.log_softmax(logits, dim=1)).sum(1)
    if weights is not None:
        entropy = entropy * weights[target.argmax(1)]
    return entropy.mean()


def inpainting(prediction: Tensor, images: Tensor, removed: Tensor) -> Tensor:
    """Mean squared difference over removed pixels.

    Context encoders (Pathak et al. 2016, eq. 1); their adversarial term is another's.

    Args:
        prediction, images: (N, C, H, W).
        removed: bool, of a shape that spreads to the images', such as (N, 1, H, W).

    Raises: ValueError: no pixel is removed.
    """
    return _mean_square(prediction, images, removed)


def denoising(prediction: Tensor, clean: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean squared difference of what was made of noisy images to the images without noise.

    Vincent et al. 2008, sec. 2.3, with a squared error.

    Args:
        prediction, clean: (N, C, H, W).
        valid: bool, of a shape that spreads to theirs: pixels that count; None: all.

    Raises: ValueError: no pixel counts.
    """
    everywhere = torch.ones((), dtype=torch.bool, device=clean.device)
    return _mean_square(prediction, clean, everywhere if valid is None else valid)


def _mean_square(prediction: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    counted = counted.expand_as(target)
    if not counted.any():
        raise ValueError("no pixel counts: there is nothing to reconstruct")
    # Not multiplied: what is not counted may be NaN.
    squared = torch.where(counted, prediction - target, 0).square()
    return squared.sum() / counted.sum()
