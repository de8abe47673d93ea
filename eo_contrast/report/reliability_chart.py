"""Confidence against the share that is right, as a picture."""

from __future__ import annotations

import matplotlib as mpl
import torch
from matplotlib.figure import Figure

from eo_contrast.evaluate.calibration import Reliability, reliability
from eo_contrast.landcover.predictions import PixelPredictions, Predictions
from eo_contrast.report.charts import COLOURS, INK, STYLE, plain_axes, svg_picture
from eo_contrast.report.pictures import Picture

INCHES = (4.6, 3.9)


def reliability_of(predictions: Predictions) -> Reliability:
    """Of places or pixels; of several labels a place of every (place, class) pair."""
    if isinstance(predictions, PixelPredictions):
        return predictions.reliability
    probabilities, true = predictions.probabilities, predictions.true
    if true.ndim == 2:
        return reliability(probabilities, true == 1)
    confidence, predicted = probabilities.max(1)
    return reliability(confidence, predicted == true)


def reliability_picture(found: Reliability) -> Picture:
    """Bars of the share that is right over confidence, and below how many predictions there are."""
    bins = len(found.counts)
    left = [number / bins for number in range(bins)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=INCHES, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        look = {"width": 1 / bins, "align": "edge", "edgecolor": "white", "linewidth": 0.6}
        above.bar(left, torch.nan_to_num(found.accuracy).tolist(), color=COLOURS[0], **look)
        above.plot((0, 1), (0, 1), ":", color=INK, linewidth=1.2, label="as it should be")
        above.set(ylim=(0, 1), ylabel="share that is right")
        shares = found.counts / found.counts.sum()
        below.bar(left, shares.tolist(), color="#9a9a96", **look)
        below.set(xlim=(0, 1), xlabel="confidence", ylabel="share")
        for axes in (above, below):
            plain_axes(axes)
        figure.legend(loc="outside upper left", frameon=False, fontsize=8)
        return svg_picture(figure, "Share that is right over confidence, in bins")
