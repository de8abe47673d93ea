"""What a benchmark measures: protocols, shares of labels, seeds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from eo_contrast.config import Config
from eo_contrast.landcover.config import FinetuneConfig

Protocol = Literal["knn", "linear", "finetune"]


class BenchmarkConfig(Config):
    """Everything that decides a benchmark, but for data and encoders."""

    name: str = Field("", description="of the published protocol, for titles")
    faults: tuple[str, ...] = Field((), description="of that protocol, told beside the numbers")
    protocols: tuple[Protocol, ...] = Field(
        ("knn", "linear", "finetune"),
        min_length=1,
        description="knn and linear: frozen features of places; of pixels linear is one layer on "
        "the encoder's maps; finetune: everything is trained",
    )
    fractions: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0), min_length=1, description="shares of the training labels, nested"
    )
    seeds: tuple[int, ...] = Field(
        (0, 1, 2), min_length=1, description="of shares, heads, orders and random encoders"
    )
    finetune: FinetuneConfig = Field(
        FinetuneConfig(), description="task, labels, images; and how the nets are trained"
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        for name in ("protocols", "fractions", "seeds"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{name} is {list(given)}: one is there twice; take it out")
        wrong = [share for share in self.fractions if not 0 < share <= 1]
        if wrong:
            raise ValueError(f"fractions has {wrong[0]:g}: a share is above 0 and at most 1")
        without = self.finetune.data.test_without
        if without:
            raise ValueError(
                f"finetune.data.test_without is {list(without)}, and tables have no rows of it; "
                "leave it out, and ask finetune for it"
            )
        if self.finetune.task == "segmentation" and "knn" in self.protocols:
            raise ValueError(
                "protocols has knn, which needs one vector a place, and segmentation has classes "
                "of pixels; give protocols=[linear,finetune]"
            )
        return self
