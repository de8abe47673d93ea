"""What of the ground a linear model reads from the synthetic world: means, seasons, texture, radar.

``python tests/synth/signal_study.py FOLDER`` writes an archive there and prints the table of
docs/results/catalogue.md: the share of each land type on a place, predicted by ridge regression
from features of its images, as variance explained on places held out, five folds.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan
from eo_contrast.synth.land_types import LandType

PLACES, DATES, SIDE = 240, 4, 48
FOLDS = 5
LEAST_SHARE = 0.03


def features(values):
    """Means of the bands; logarithms of their deviations and of their steps at three distances."""
    spread = [values.std((1, 2))]
    for far in (1, 2, 5):
        spread.append(np.abs(values[:, far:] - values[:, :-far]).mean((1, 2)))
        spread.append(np.abs(values[:, :, far:] - values[:, :, :-far]).mean((1, 2)))
    return values.mean((1, 2)), np.log(np.concatenate(spread) + 1e-4)


def explained(x, y):
    """Share of the variance of y explained on places held out, of the best of some penalties."""
    order = np.random.default_rng(0).permutation(len(x))
    best = -np.inf
    for penalty in (0.1, 1.0, 10.0, 100.0, 1000.0):
        predicted = np.zeros_like(y)
        for fold in range(FOLDS):
            held = order[fold::FOLDS]
            rest = np.setdiff1d(order, held)
            mean, scale = x[rest].mean(0), x[rest].std(0) + 1e-9
            a, b = (x[rest] - mean) / scale, y[rest] - y[rest].mean(0)
            weights = np.linalg.solve(a.T @ a + penalty * np.eye(a.shape[1]), a.T @ b)
            predicted[held] = (x[held] - mean) / scale @ weights + y[rest].mean(0)
        shares = 1 - ((y - predicted) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)
        best = max(best, shares.mean())
    return best


def main(folder: Path) -> None:
    plan = ArchivePlan(places=PLACES, dates=DATES, size=SIDE)
    if not folder.exists():
        write_archive(folder, "folder", plan, lambda _done, _what="": None)
        ingest(folder, folder / "c.parquet")
    places = defaultdict(lambda: defaultdict(list))
    for row in sorted(read_catalogue(folder / "c.parquet").to_pylist(), key=lambda r: r["id"]):
        places[row["place_id"]][row["product"]].append(row)
    shares, told = [], defaultdict(list)
    for products in places.values():
        types = read_view(products["label"][0]).values[0]
        shares.append([(types == number + 1).mean() for number in range(len(LandType))])
        for product in ("s2-l2a", "s1-rtc"):
            found = [features(read_view(row).values) for row in products[product]]
            told[product, "means"].append([means for means, _ in found])
            told[product, "texture"].append([texture for _, texture in found])
    y = np.array(shares)
    y = y[:, y.mean(0) > LEAST_SHARE]
    of = {key: np.array(value) for key, value in told.items()}
    optical, radar = (of[product, "means"] for product in ("s2-l2a", "s1-rtc"))
    texture, speckle = (of[product, "texture"] for product in ("s2-l2a", "s1-rtc"))
    rows = {
        "band means, one date": (optical[:, 1],),
        "band means and texture, one date": (optical[:, 1], texture[:, 1]),
        "band means, four dates": (optical,),
        "band means and texture, four dates": (optical, texture),
        "band means of both sensors, four dates": (optical, radar),
        "band means and texture of both sensors": (optical, radar, texture, speckle),
    }
    print(f"{len(y)} places, {y.shape[1]} land types")
    for name, parts in rows.items():
        x = np.hstack([part.reshape(len(part), -1) for part in parts])
        print(f"| {name} | {explained(x, y):.3f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
