"""Stages that make archives, catalogues and packs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from eo_contrast.config import Config, nearest
from eo_contrast.errors import InputError
from eo_contrast.pipeline.stage import Archive, Call, Input, Inputs, Means, Output

if TYPE_CHECKING:
    from eo_contrast.catalog.split_rule import Rule
    from eo_contrast.synth.archives.images import ArchivePlan
    from eo_contrast.synth.sat2map import Sat2mapPlan

SAT2MAP = "sat2map"
OF_SAT2MAP = ("pairs", "scene_size", "ground_resolution")
OF_ARCHIVES = ("places", "dates")


class SynthConfig(Config):
    """The synthetic landscape as an archive."""

    layout: str = Field(description="any layout that synth knows, sat2map among them")
    out: Output
    size: int | None = Field(
        None, ge=16, description="side of a picture, pixels; None: 128, of sat2map 256"
    )
    seed: int = Field(0, ge=0, description="which world")
    places: int = Field(32, ge=1, description="places to show, in all layouts but sat2map")
    dates: int = Field(4, ge=1, description="dates a place, where the layout has several")
    pairs: int = Field(64, ge=1, description="of sat2map: training pairs")
    scene_size: int = Field(1024, ge=32, description="of sat2map: side of the scene, pixels")
    ground_resolution: float = Field(2.0, gt=0, description="of sat2map: metres a pixel")

    @model_validator(mode="after")
    def _of_its_layout(self) -> Self:
        idle = OF_ARCHIVES if self.layout == SAT2MAP else OF_SAT2MAP
        given = sorted(self.model_fields_set.intersection(idle))
        if given and getattr(self, given[0]) != type(self).model_fields[given[0]].default:
            raise ValueError(f"{given[0]} does nothing with layout {self.layout}; leave it out")
        if self.layout == SAT2MAP:
            _tiles(self)
        else:
            _archive(self)
        return self


class IngestConfig(Config):
    """An archive's images as a catalogue."""

    root: Archive
    out: Output
    layout: str = "auto"
    pattern: str | None = Field(None, description="how a 'folder' names its files")
    product: str = Field("", description="of a 'folder' whose names do not tell it")
    bands: tuple[str, ...] = Field((), description="of a 'folder' whose files do not tell")
    unit: str = Field("", description="of the radar in a 'folder': dB or linear")
    scheduler: Means[str | None] = None


class SplitConfig(Config):
    """A catalogue with its places split by where they lie, or by lists of their names."""

    catalogue: Input
    out: Output
    files: Inputs = Field({}, description="lists of places, by split; then nothing else decides")
    by: Literal["blocks", "longitude"] = "blocks"
    fractions: tuple[float, float, float] = Field((0.7, 0.1, 0.2), description="train, val, test")
    block_km: float = Field(10.0, gt=0)
    guard_km: float = Field(1.0, ge=0)
    seed: int = 0

    @model_validator(mode="after")
    def _of_its_rule(self) -> Self:
        from eo_contrast.catalog.split_rule import idle_options

        for name in idle_options(self.by, self.files):
            # Of a file that has every option written out, defaults are no wish.
            if getattr(self, name) != type(self).model_fields[name].default:
                rule = "files" if self.files else f"by: {self.by}"
                raise ValueError(f"{name} does nothing with {rule}; leave it out")
        self.rule()
        return self

    def rule(self) -> Rule:
        """Of the options."""
        from eo_contrast.catalog.split_rule import rule_of

        return rule_of(
            by=self.by,
            files=self.files,
            fractions=self.fractions,
            block_km=self.block_km,
            guard_km=self.guard_km,
            seed=self.seed,
        )


class PackConfig(Config):
    """A catalogue's images as aligned arrays."""

    catalogue: Input
    out: Output
    size: int | None = Field(None, ge=8, description="side in pixels; None: the smallest place's")
    dates: int | None = Field(None, ge=1, description="most images of a product; None: all")
    threads: Means[int] = Field(4, ge=1)


def synth(config: SynthConfig, call: Call) -> dict[str, Any]:
    """Write the archive; what was there is replaced."""
    from eo_contrast.progress import progress

    if config.layout == SAT2MAP:
        from eo_contrast.synth.sat2map import write_sat2map

        tiles = _tiles(config)
        with progress("synth", tiles.steps, unit="pictures", quiet=call.quiet) as advance:
            write_sat2map(config.out, tiles, advance, overwrite=True)
        return {"train": tiles.pairs, "test": tiles.test_pairs}
    from eo_contrast.synth.archives import image_count, write_archive

    plan = _archive(config)
    total = image_count(config.layout, plan)
    with progress("synth", total, unit="images", quiet=call.quiet) as advance:
        images = write_archive(config.out, config.layout, plan, advance, overwrite=True)
    return {"layout": config.layout, "images": images}


def ingest(config: IngestConfig, call: Call) -> dict[str, Any]:
    """List the archive's images; what is skipped, and what pixels warn of, is told."""
    from eo_contrast.catalog.ingest import ingest as ingest_archive
    from eo_contrast.catalog.layouts.folder import EVERY_FILE, FolderRules

    rules = None
    if config.pattern or config.product or config.bands or config.unit:
        pattern = config.pattern or EVERY_FILE
        rules = FolderRules(pattern, config.product, config.bands, config.unit)
    told = ingest_archive(
        config.root,
        config.out,
        layout=config.layout,
        rules=rules,
        scheduler=config.scheduler,
        overwrite=True,
    )
    for one in told["skipped"]:
        call.say(f"{one['path']}: skipped: {one['reason']}")
    for warning in told["warnings"]:
        call.say(f"warning: {warning}")
    return told


def split(config: SplitConfig, call: Call) -> dict[str, Any]:
    """Split the catalogue; names in lists that it lacks are told."""
    from eo_contrast.catalog.splitting import split_catalogue

    return split_catalogue(config.catalogue, config.out, config.rule(), call.say)


def pack(config: PackConfig, call: Call) -> dict[str, Any]:
    """Pack the catalogue's images."""
    from eo_contrast.catalog.pack import plan_pack, write_pack
    from eo_contrast.progress import progress

    plan = plan_pack(config.catalogue, size=config.size, dates=config.dates)
    with progress("pack", len(plan.patches), unit="squares", quiet=call.quiet) as advance:
        return write_pack(plan, config.out, threads=config.threads, overwrite=True, advance=advance)


def _tiles(config: SynthConfig) -> Sat2mapPlan:
    from eo_contrast.synth.sat2map import Sat2mapPlan

    return Sat2mapPlan(
        config.pairs, config.size or 256, config.seed, config.scene_size, config.ground_resolution
    )


def _archive(config: SynthConfig) -> ArchivePlan:
    from eo_contrast.synth.archives import ARCHIVES
    from eo_contrast.synth.archives.images import ArchivePlan

    if config.layout not in ARCHIVES:
        near = nearest(config.layout, ARCHIVES)
        raise InputError(
            f"layout {config.layout}: no such layout{near}; known are {SAT2MAP} "
            f"{' '.join(ARCHIVES)}"
        )
    return ArchivePlan(config.places, config.dates, config.size or 128, config.seed)
