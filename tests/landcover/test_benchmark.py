"""Benchmarks: every cell once, resumable, the same numbers, and refusals before any work."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from sources import coloured, mapped, written
from typed import done

from eo_contrast.data.place_sources import open_places
from eo_contrast.data.sensors import sensor_input
from eo_contrast.errors import InputError
from eo_contrast.landcover.benchmark import BenchmarkOptions, benchmark, read_benchmark
from eo_contrast.landcover.benchmark_config import BenchmarkConfig
from eo_contrast.landcover.benchmark_rows import Cell, ResultRows, read_rows
from eo_contrast.landcover.contenders import Contender, contenders_of
from eo_contrast.landcover.finetune import RunOptions, finetune
from eo_contrast.landcover.frozen import random_net
from eo_contrast.landcover.nets import load_land_cover
from eo_contrast.landcover.start import starting_encoder
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders, save_encoder

QUIET = RunOptions(device="cpu", quiet=True)

TRAINED = {
    "encoder": {"stem": "small"},
    "data": {"batch_size": 8},
    "schedule": {"epochs": 2},
    "optimizer": {"lr_head": 0.01},
    "head": {"hidden": 16, "decoder_width": 32},
}


def config(**changed: Any) -> BenchmarkConfig:
    values: dict[str, Any] = {
        "protocols": ["knn", "linear"],
        "fractions": [0.5, 1.0],
        "seeds": [0, 1],
        "finetune": TRAINED | changed.pop("finetune", {}),
    }
    return BenchmarkConfig.model_validate(values | changed)


def options(**changed: Any) -> BenchmarkOptions:
    return BenchmarkOptions(device="cpu", **changed)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return written(coloured(), tmp_path_factory.mktemp("pictures") / "pack")


def test_every_cell_is_measured_once(pictures, tmp_path):
    encoders = contenders_of("random,statistics,random-convolutions")
    told = benchmark(config(), pictures, encoders, tmp_path / "out", options())
    assert told["cells"] == told["computed"] == 3 * 2 * 2 * 2
    rows = read_rows(tmp_path / "out" / "results.csv")
    assert len(rows) == told["cells"]
    # Colours tell these classes apart, and statistics are colours.
    statistics = [scores for cell, scores in rows.items() if cell.encoder == "statistics"]
    assert [scores["accuracy"] for scores in statistics] == [1.0] * 8
    with (tmp_path / "out" / "results.csv").open() as file:
        names = next(csv.reader(file))
    assert names == ["encoder", "protocol", "label_fraction", "seed", "metric", "value"]


def saved(
    folder: Path,
    *,
    seed: int = 5,
    stem: str = "small",
    product: str = "rgb",
    size: int = 8,
) -> Path:
    """An encoder of 8 pixels of pictures, or of optics, as if it were pretrained."""
    layers = (coloured() if product == "rgb" else mapped()).layers
    card = EncoderCard(
        architecture=EncoderConfig(stem=stem),
        sensors={"image": sensor_input(layers[product], layers[product].bands[:2])},
        size=size,
        trained={"method": "simclr"},
    )
    folder.mkdir()
    save_encoder(SensorEncoders(card, seed=seed), card, folder / "model.safetensors")
    return folder


def test_a_random_encoder_is_of_the_saved_ones_kind(pictures, tmp_path):
    mine = saved(tmp_path / "mine", stem="unpooled")
    asked = config(protocols=["linear", "finetune"], fractions=[1.0], seeds=[3])
    encoders = contenders_of(f"random,{mine},statistics")
    benchmark(asked, pictures, encoders, tmp_path / "out", options())
    (net, card), (_, other) = (
        load_land_cover(tmp_path / "out" / "runs" / f"{name}-finetune-1-3")
        for name in ("random", "mine")
    )
    assert card.encoder.architecture == other.encoder.architecture == EncoderConfig(stem="unpooled")
    assert (card.size, card.encoder.sensors) == (other.size, other.encoder.sensors)
    assert net.encoders.trunk("image").bands == 2
    assert card.encoder.trained["method"] == "random"
    alone = finetune(
        asked.finetune.model_copy(update={"seed": 3}),
        pictures,
        f"random:{mine}",
        tmp_path / "run",
        QUIET,
    )
    again = read_benchmark(tmp_path / "out")[Cell("random", "finetune", 1.0, 3)].scores()
    assert alone["test"] == again


def test_baselines_see_the_sensors_of_the_encoders(tmp_path):
    maps = written(mapped(), tmp_path / "pack")
    mine = saved(tmp_path / "mine", product="s2-l2a")
    given = {"task": "multi-label", "labels": {"scheme": "dfc2020-8"}}
    asked = config(protocols=["linear"], fractions=[1.0], seeds=[0], finetune=given)
    for name, listed in (("all", "statistics"), ("optics", f"{mine},statistics")):
        benchmark(asked, maps, contenders_of(listed), tmp_path / name, options())
    begun = [
        json.loads((tmp_path / name / "begun-with.json").read_text())["encoders"]["statistics"]
        for name in ("all", "optics")
    ]
    kinds = ["statistics s1-grd s2-l2a 16", "statistics s2-l2a 8"]
    assert begun == [{"kind": kind, "weights": {}} for kind in kinds]
    cell = Cell("statistics", "linear", 1.0, 0)
    both, optics = (read_benchmark(tmp_path / name)[cell] for name in ("all", "optics"))
    assert not torch.equal(both.probabilities, optics.probabilities)


def test_rows_that_there_will_not_be_are_told(tmp_path, pictures):
    maps, said = written(mapped(), tmp_path / "pack"), []
    given = {"task": "segmentation", "labels": {"scheme": "dfc2020-8"}}
    asked = config(protocols=["linear"], fractions=[1.0], seeds=[0], finetune=given)
    encoders = contenders_of("random,statistics")
    benchmark(asked, maps, encoders, tmp_path / "out", options(say=said.append))
    assert [line for line in said if line.startswith("statistics: features of places")]
    with pytest.raises(InputError, match=r"statistics .* protocols linear of segmentation"):
        benchmark(asked, maps, contenders_of("statistics"), tmp_path / "none", options())
    assert not (tmp_path / "none").exists()
    said.clear()
    asked = config(protocols=["knn"], fractions=[1.0], seeds=[0])
    benchmark(asked, pictures, contenders_of("random"), tmp_path / "knn", options(say=said.append))
    assert said[0].startswith("--encoders lists no statistics or random-convolutions: ")


def test_baselines_are_not_fine_tuned(pictures, tmp_path):
    encoders = contenders_of("random,statistics")
    small = config(protocols=["finetune"], fractions=[1.0], seeds=[0])
    told = benchmark(small, pictures, encoders, tmp_path / "out", options())
    assert told["cells"] == 1
    assert list(read_benchmark(tmp_path / "out")) == [Cell("random", "finetune", 1.0, 0)]
    assert not list((tmp_path / "out" / "runs").glob("*/last.ckpt"))


def test_the_same_benchmark_gives_the_same_numbers(pictures, tmp_path):
    for name in ("one", "two"):
        benchmark(config(), pictures, contenders_of("random"), tmp_path / name, options())
    one, two = ((tmp_path / name / "results.csv").read_bytes() for name in ("one", "two"))
    assert one == two


def test_more_encoders_and_seeds_are_added_to_what_is_there(pictures, tmp_path):
    out = tmp_path / "out"
    benchmark(config(seeds=[0]), pictures, contenders_of("statistics"), out, options())
    before = (out / "results.csv").read_text()
    encoders = contenders_of("statistics,random")
    told = benchmark(config(), pictures, encoders, out, options(resume=True))
    assert (told["cells"], told["computed"]) == (16, 12)
    after = (out / "results.csv").read_text()
    assert set(before.splitlines()) < set(after.splitlines())


def test_more_seeds_of_an_encoder_that_each_has_its_own_of_are_added(pictures, tmp_path):
    for seed in range(3):
        saved(tmp_path / f"mine-{seed}", seed=seed)
    out, mine = tmp_path / "out", contenders_of(f"{tmp_path}/mine-{{seed}}")
    benchmark(config(protocols=["knn"], seeds=[0, 1]), pictures, mine, out, options())
    more = config(protocols=["knn"], seeds=[1, 2])
    told = benchmark(more, pictures, mine, out, options(resume=True))
    assert (told["cells"], told["computed"]) == (4, 2)
    begun = json.loads((out / "begun-with.json").read_text())
    assert list(begun["encoders"]["mine"]["weights"]) == ["0", "1", "2"]
    shutil.copy(tmp_path / "mine-2" / "model.safetensors", tmp_path / "mine-1")
    with pytest.raises(InputError, match="its mine had other weights"):
        benchmark(more, pictures, mine, out, options(resume=True))


def test_seeds_of_two_kinds_are_no_row(pictures, tmp_path):
    for seed, stem in enumerate(("small", "small", "unpooled")):
        saved(tmp_path / f"mine-{seed}", seed=seed, stem=stem)
    out, mine = tmp_path / "out", contenders_of(f"{tmp_path}/mine-{{seed}}")
    asked = config(protocols=["knn"], fractions=[1.0], seeds=[0, 2])
    with pytest.raises(InputError, match=r"mine-2: is of another architecture, .*mine-0;"):
        benchmark(asked, pictures, mine, out, options())
    assert not out.exists()
    benchmark(asked.model_copy(update={"seeds": (0, 1)}), pictures, mine, out, options())
    with pytest.raises(InputError, match="its mine had other weights"):
        benchmark(
            asked.model_copy(update={"seeds": (2,)}), pictures, mine, out, options(resume=True)
        )
    random = contenders_of(f"random:{tmp_path}/nowhere-{{seed}}")
    with pytest.raises(InputError, match="nowhere-0"):
        benchmark(asked, pictures, random, tmp_path / "other", options())


def test_names_that_no_files_name_tells_apart_are_refused_later_too(pictures, tmp_path):
    one, two = saved(tmp_path / "one"), saved(tmp_path / "two", seed=6)
    out, asked = tmp_path / "out", config(protocols=["knn"], fractions=[1.0], seeds=[0])
    benchmark(asked, pictures, contenders_of(f"SeCo 1M={one}"), out, options())
    with pytest.raises(InputError, match="SeCo 1M and SeCo_1M differ in what no file's name keeps"):
        benchmark(asked, pictures, contenders_of(f"SeCo_1M={two}"), out, options(resume=True))


def test_encoders_may_join_baselines_that_are_there(pictures, tmp_path):
    out, mine = tmp_path / "out", saved(tmp_path / "mine", product="rgb")
    asked = config(protocols=["knn"], fractions=[1.0], seeds=[0], finetune={"data": {"size": 8}})
    benchmark(asked, pictures, contenders_of("statistics"), out, options())
    told = benchmark(
        asked, pictures, contenders_of(f"{mine},statistics"), out, options(resume=True)
    )
    assert (told["cells"], told["computed"]) == (2, 1)


def test_another_random_encoder_is_not_gone_on_with(pictures, tmp_path):
    out, mine = tmp_path / "out", saved(tmp_path / "mine", stem="unpooled")
    asked = config(protocols=["knn"], fractions=[1.0], seeds=[0])
    benchmark(asked, pictures, contenders_of("random"), out, options())
    with pytest.raises(InputError, match="its random was like another model; list first the model"):
        benchmark(asked, pictures, contenders_of(f"random,{mine}"), out, options(resume=True))


def test_labels_of_middles_of_two_sizes_are_not_compared(tmp_path):
    maps = written(mapped(), tmp_path / "pack")
    small = saved(tmp_path / "small", product="s2-l2a")
    given = {"task": "multi-label", "labels": {"scheme": "dfc2020-8"}}
    asked = config(protocols=["knn"], fractions=[1.0], seeds=[0], finetune=given)
    large = saved(tmp_path / "large", product="s2-l2a", size=16)
    encoders = contenders_of(f"{small},{large}")
    with pytest.raises(InputError, match=r"small and large see .* give finetune\.data\.size"):
        benchmark(asked, maps, encoders, tmp_path / "out", options())


def test_other_data_are_not_gone_on_with(pictures, tmp_path):
    out, statistics = tmp_path / "out", contenders_of("statistics")
    benchmark(config(), pictures, statistics, out, options())
    fewer = written(coloured(28), tmp_path / "fewer")
    with pytest.raises(InputError, match=r"begun with other places, splits or labels than .*fewer"):
        benchmark(config(), fewer, statistics, out, options(resume=True))
    (out / "begun-with.json").write_text("{")
    with pytest.raises(InputError, match=r"begun-with\.json: does not tell"):
        benchmark(config(), pictures, statistics, out, options(resume=True))


def test_what_a_call_does_not_ask_for_stays(pictures, tmp_path):
    out, statistics = tmp_path / "out", contenders_of("statistics")
    benchmark(config(protocols=["linear"]), pictures, statistics, out, options())
    before = read_rows(out / "results.csv")
    more = config(protocols=["knn"])
    benchmark(more, pictures, contenders_of("random"), out, options(resume=True))
    after = read_rows(out / "results.csv")
    assert list(after)[: len(before)] == list(before)
    assert all(after[cell] == scores for cell, scores in before.items())
    assert len(after) > len(before)


def test_killed_while_a_net_is_trained_and_resumed_it_ends_with_the_same_rows(pictures, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    file = tmp_path / "small.yaml"
    file.write_text(
        "{protocols: [knn, finetune], fractions: [1], seeds: [0, 1], finetune: "
        "{encoder: {stem: unpooled}, data: {batch_size: 8}, schedule: {epochs: 3}}}"
    )

    def command(out: Path, *more: str) -> list[str]:
        given = ["benchmark", str(file), "--data", str(pictures), "--encoders", "random"]
        return [*given, "--out", str(out), "--quiet", *more]

    done(command(straight))
    process = subprocess.Popen(
        [sys.executable, "-m", "eo_contrast", *command(killed)], stdout=subprocess.DEVNULL
    )
    while not list(killed.glob("runs/*/last.ckpt")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(read_rows(killed / "results.csv")) < 4
    done(command(killed, "--resume"))
    assert (killed / "results.csv").read_bytes() == (straight / "results.csv").read_bytes()
    assert (killed / "table.md").read_bytes() == (straight / "table.md").read_bytes()


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_torn_tail_is_cut_and_written_again(pictures, tmp_path, cut):
    out = tmp_path / "out"
    benchmark(config(), pictures, contenders_of("statistics"), out, options())
    whole = (out / "results.csv").read_bytes()
    (out / "results.csv").write_bytes(whole[:-cut])
    told = benchmark(config(), pictures, contenders_of("statistics"), out, options(resume=True))
    assert told["computed"] == 0
    assert (out / "results.csv").read_bytes() == whole


def test_the_last_cell_of_a_file_is_made_again_from_its_predictions(tmp_path):
    file = tmp_path / "results.csv"
    rows = ResultRows(file, {}.get)
    cells = [Cell("a", "knn", 0.1, seed) for seed in range(3)]
    for cell in cells:
        rows.add(cell, {"accuracy": 0.5, "kappa": 0.25})
    whole = file.read_text()
    file.write_text(whole[:-9])
    again = ResultRows(file, {cells[2]: {"accuracy": 0.5, "kappa": 0.25}}.get)
    assert [cell in again for cell in cells] == [True, True, True]
    assert file.read_text() == whole
    without = ResultRows(file, {}.get)
    assert [cell in without for cell in cells] == [True, True, False]


def test_another_table_is_refused(tmp_path):
    file = tmp_path / "results.csv"
    file.write_text("encoder,protocol,label_fraction,seed,metric,value\nmine,knn\n")
    with pytest.raises(InputError, match=r"results\.csv: is not what benchmark writes"):
        ResultRows(file, {}.get)


def test_a_random_encoder_is_the_one_that_fine_tuning_starts_from(pictures, tmp_path):
    given = config().finetune.model_copy(update={"seed": 3})
    start = starting_encoder("random", given, open_places(pictures), where="here")
    frozen = random_net(start, given, ("field", "town"))
    run = tmp_path / "run"
    finetune(given.model_copy(update={"mode": "linear"}), pictures, "random", run, QUIET)
    trained, _ = load_land_cover(run)
    wanted = trained.encoders.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in frozen.state_dict().items())


def test_maps_are_of_frozen_features_alone(pictures, tmp_path):
    head = {"hidden": 16, "maps": [2]}
    asked = config(
        protocols=["linear", "finetune"],
        fractions=[1.0],
        seeds=[0],
        finetune={"head": head, "mode": "full"},
    )
    benchmark(asked, pictures, contenders_of("random"), tmp_path / "out", options())
    net, card = load_land_cover(tmp_path / "out" / "runs" / "random-finetune-1-0")
    assert card.head.maps is None
    assert net.head[0].in_features == net.encoders.width
    start = starting_encoder("random", asked.finetune, open_places(pictures), where="")
    frozen = random_net(start, asked.finetune, ("field", "town"))
    assert frozen.width_of((2,)) == 128


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"encoder": {"name": "swin_tiny", "size": 32}, "data": {"size": 64}},
            r"^finetune\.data\.size is 64, and the encoder's swin_tiny is built for 32 pixels "
            r"a side; give finetune\.data\.size=32, or leave it out",
        ),
        (
            {"encoder": {"name": "convnext_tiny"}, "data": {"size": 16}},
            r"data\.size is 16, and the encoder's convnext_tiny needs at least 32 pixels a side",
        ),
        (
            {"encoder": {"stem": "small"}, "head": {"maps": [3, 5]}},
            r"^finetune\.head\.maps has 5, and the encoder has 4 maps; give 1 to 4",
        ),
    ],
)
def test_what_an_encoder_cannot_see_or_give_is_refused_before_any_work(
    pictures, tmp_path, changed, line
):
    with pytest.raises(InputError, match=line):
        benchmark(
            config(finetune=changed),
            pictures,
            contenders_of("statistics,random"),
            tmp_path / "out",
            options(),
        )
    assert not (tmp_path / "out").exists()


def test_pixels_are_benchmarked_by_a_linear_layer_and_by_fine_tuning(tmp_path):
    maps = written(mapped(), tmp_path / "pack")
    given = {"task": "segmentation", "labels": {"scheme": "dfc2020-8"}}
    small = config(protocols=["linear", "finetune"], fractions=[1.0], seeds=[0], finetune=given)
    told = benchmark(small, maps, contenders_of("random"), tmp_path / "out", options())
    assert told["cells"] == 2
    for scores in read_rows(tmp_path / "out" / "results.csv").values():
        assert 0 <= scores["mean_iou"] <= 1


def test_contenders_are_named_by_the_last_part_of_their_path():
    found = contenders_of("runs/simclr-{seed}, best=a/b/model.safetensors,random,statistics")
    assert [each.name for each in found] == ["simclr", "best", "random", "statistics"]
    assert found[0].encoder(2) == "runs/simclr-2"
    assert [each.varies for each in found] == [True, False, True, False]
    (random,) = contenders_of("random:runs/simclr-{seed}")
    assert (random.name, random.varies) == ("random", True)
    assert random.encoder(2) == "random:runs/simclr-2"


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ("", "lists none"),
        ("a/x,b/x", "two are called x"),
        ("SeCo 1M=a,SeCo_1M=b", "SeCo 1M and SeCo_1M differ in what no file's name keeps"),
        ("nowhere.safetensors", "nowhere.safetensors"),
        ("imagenet-lite0-typo", "imagenet-lite0-typo"),
    ],
)
def test_contenders_that_cannot_be_are_refused(pictures, tmp_path, listed, says):
    with pytest.raises(InputError, match=says):
        benchmark(config(), pictures, contenders_of(listed), tmp_path / "out", options())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"fractions": [0.5, 0.5]}, "one is there twice"),
        ({"fractions": [0.0]}, "a share is above 0"),
        ({"finetune": {"task": "segmentation"}}, "protocols has knn"),
        ({"finetune": {"data": {"test_without": ["s1"]}}}, "tables have no rows of it"),
    ],
)
def test_configurations_that_mean_nothing_are_refused(values, says):
    with pytest.raises(ValueError, match=says):
        config(**values)


def test_several_processes_are_refused(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="written by one process; start it without torchrun"):
        benchmark(config(), pictures, contenders_of("random"), tmp_path / "out", options())
    assert not (tmp_path / "out").exists()


def test_a_share_that_leaves_a_class_empty_is_refused_before_any_work(pictures, tmp_path):
    with pytest.raises(InputError, match="leaves class"):
        benchmark(
            config(fractions=[0.01]), pictures, contenders_of("random"), tmp_path / "o", options()
        )
    assert not (tmp_path / "o").exists()


def test_another_benchmark_is_not_gone_on_with(pictures, tmp_path):
    out = tmp_path / "out"
    benchmark(config(), pictures, contenders_of("statistics"), out, options())
    with pytest.raises(InputError, match="already exists"):
        benchmark(config(), pictures, contenders_of("statistics"), out, options())
    other = config(finetune={"task": "multi-label"})
    with pytest.raises(InputError, match="another finetune"):
        benchmark(other, pictures, contenders_of("statistics"), out, options(resume=True))
    random = (Contender("statistics", "random"),)
    with pytest.raises(InputError, match="its statistics was like another model"):
        benchmark(config(), pictures, random, out, options(resume=True))
