"""Baselines of frozen features on a labelled catalogue, printed as a table.

``PYTHONPATH=. python tests/landcover/baseline_study.py PACK [PRODUCT]``: a catalogue, or a pack of
one, in the splits train, val and test; the product of its images is rgb unless given.
"""

from __future__ import annotations

import sys
from pathlib import Path

from eo_contrast.data.place_sources import open_places
from eo_contrast.data.sensors import sensor_input
from eo_contrast.landcover.features import baseline_embed, encoder_embed, probe_scores
from eo_contrast.landcover.labels import LabelConfig, labelled_places
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders

BASELINES = {
    "statistics": (0,),
    "random-convolutions": (0, 1),
    "coates-ng": (0, 1),
    "imagenet-lite0": (0,),
}
RANDOM_SEEDS = (0, 1, 2)


def main(data: Path, product: str = "rgb") -> None:
    source = open_places(data)
    labelled = labelled_places(
        source, "classification", LabelConfig(), products=[product], side=source.size
    )
    train = labelled.splits["train"].places.tolist()
    embeds = [
        (f"{name}, seed {seed}", baseline_embed(name, source, product, train, seed=seed))
        for name, seeds in BASELINES.items()
        if name != "imagenet-lite0" or product == "rgb"
        for seed in seeds
    ]
    card = EncoderCard(
        architecture=EncoderConfig(),
        sensors={"image": sensor_input(source.layers[product])},
        size=source.size,
    )
    embeds += [
        (f"resnet18, random {seed}", encoder_embed(SensorEncoders(card, seed=seed), card, source))
        for seed in RANDOM_SEEDS
    ]
    print("| features | linear | kNN |\n| --- | --- | --- |")
    for name, embed in embeds:
        scores = probe_scores(embed, labelled)
        linear, knn = (100 * scores[kind]["accuracy"] for kind in ("linear", "knn"))
        print(f"| {name} | {linear:.1f} | {knn:.1f} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
