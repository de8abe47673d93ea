"""``embed``: one vector an image, of whole images, whatever else lies in the catalogue."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import torch
from click.testing import CliRunner
from small_encoders import eats, saved_encoder, small_catalogue
from torch.nn import functional as F

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.cli import main
from eo_contrast.data.sensors import standardised
from eo_contrast.errors import InputError
from eo_contrast.pretrain import image_vectors
from eo_contrast.pretrain.embed import EmbedOptions, embed
from eo_contrast.pretrain.embeddings import KEY, open_embeddings
from eo_contrast.training.encoder_card import load_encoder

QUIET = EmbedOptions(device="cpu", quiet=True)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    """Radar, level 1C and 2A of three places at two dates, 32 pixels a side."""
    return small_catalogue(tmp_path_factory.mktemp("embed"), "ssl4eo-v1")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return saved_encoder(tmp_path_factory.mktemp("s2") / "s2.safetensors", {"s2": eats("s2-l2a")})


@pytest.fixture(scope="module")
def embedded(catalogue, model, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("embedded") / "e.parquet"
    embed(catalogue, model, out, QUIET)
    return out


def vectors_of(path: Path) -> np.ndarray:
    return np.concatenate(list(open_embeddings(path).batches()))


def test_every_image_of_the_encoders_product_has_a_vector_in_the_catalogues_order(
    catalogue, embedded
):
    rows = read_catalogue(catalogue).to_pylist()
    wanted = [row["id"] for row in rows if row["product"] == "s2-l2a"]
    table = pq.read_table(embedded)
    assert table.column("id").to_pylist() == wanted
    assert table.column("embedding_sensor").to_pylist() == ["s2"] * 6
    assert str(table.schema.field("embedding").type).startswith("fixed_size_list")
    assert np.isfinite(vectors_of(embedded)).all()
    assert vectors_of(embedded).shape == (6, 512)


def test_a_vector_is_the_mean_of_the_windows_that_cover_the_image(catalogue, model, embedded):
    net, card = load_encoder(model)
    row = read_catalogue(embedded).to_pylist()[3]
    view = read_view(row, bands=card.sensors["s2"].bands)
    values = torch.from_numpy(view.values)[None]
    seen = standardised(values, torch.from_numpy(view.valid).expand_as(values), card.sensors["s2"])
    corners = [(0, 0), (0, 8), (8, 0), (8, 8)]
    with torch.no_grad():
        each = [net("s2", seen[:, :, top : top + 24, left : left + 24]) for top, left in corners]
    expected = torch.cat(each).mean(0).numpy()
    np.testing.assert_allclose(vectors_of(embedded)[3], expected, rtol=1e-4, atol=1e-6)


def test_an_image_smaller_than_the_encoders_size_is_enlarged(catalogue, tmp_path):
    model = saved_encoder(tmp_path / "m.safetensors", {"s2": eats("s2-l2a")}, size=40)
    embed(catalogue, model, tmp_path / "e.parquet", QUIET)
    net, card = load_encoder(model)
    row = read_catalogue(tmp_path / "e.parquet").to_pylist()[0]
    view = read_view(row, bands=card.sensors["s2"].bands)
    values = torch.from_numpy(view.values)[None]
    seen = standardised(values, torch.from_numpy(view.valid).expand_as(values), card.sensors["s2"])
    with torch.no_grad():
        expected = net("s2", F.interpolate(seen, (40, 40), mode="bilinear"))[0].numpy()
    found = vectors_of(tmp_path / "e.parquet")[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_large_image_read_in_parts_has_the_vector_of_the_whole(
    catalogue, model, embedded, tmp_path, monkeypatch
):
    monkeypatch.setattr(image_vectors, "READ_WHOLE", 100)
    embed(catalogue, model, tmp_path / "e.parquet", QUIET)
    assert (tmp_path / "e.parquet").read_bytes() == embedded.read_bytes()


@pytest.mark.parametrize(("length", "expected"), [(24, [0]), (25, [0, 1]), (48, [0, 24])])
def test_windows_cover_and_end_with_the_image(length, expected):
    assert image_vectors.starts(length, 24) == expected


def test_the_result_is_a_catalogue_and_geoparquet(catalogue, embedded):
    before, after = read_catalogue(catalogue), read_catalogue(embedded)
    assert after.schema.metadata[b"geo"] == before.schema.metadata[b"geo"]
    frame = geopandas.read_parquet(embedded)
    assert frame.geometry.notna().all()
    assert len(frame.embedding.iloc[0]) == 512


def test_the_file_tells_the_model_by_its_content_and_no_path(embedded, model):
    text = pq.read_schema(embedded).metadata[KEY.encode()].decode()
    facts = json.loads(text)
    assert facts["trained"] == {"method": "none", "steps": 0}
    assert facts["sensors"]["s2"]["product"] == "s2-l2a"
    assert len(facts["model_sha256"]) == 64
    assert str(model.parent) not in text


def test_products_of_two_sensors_are_told_apart(catalogue, tmp_path):
    sensors = {"s1": eats("s1-grd"), "s2": eats("s2-l2a")}
    model = saved_encoder(tmp_path / "m.safetensors", sensors)
    told = embed(catalogue, model, tmp_path / "e.parquet", QUIET)
    assert (told["rows"], told["skipped"]) == (12, 6)
    table = pq.read_table(tmp_path / "e.parquet")
    pairs = zip(
        *(table.column(n).to_pylist() for n in ("product", "embedding_sensor")), strict=True
    )
    assert set(pairs) == {("s1-grd", "s1"), ("s2-l2a", "s2")}
    only = EmbedOptions(sensors=("s1",), device="cpu", quiet=True)
    assert embed(catalogue, model, tmp_path / "s1.parquet", only)["rows"] == 6


def test_vectors_of_sensors_that_share_a_product_stand_in_a_row_by_name(catalogue, tmp_path):
    sensors = {"visible": eats("s2-l2a", "B02", "B03", "B04"), "near": eats("s2-l2a", "B08")}
    model = saved_encoder(tmp_path / "m.safetensors", sensors)
    both, one = tmp_path / "both.parquet", tmp_path / "one.parquet"
    assert embed(catalogue, model, both, QUIET)["width"] == 1024
    embed(catalogue, model, one, EmbedOptions(sensors=("near",), device="cpu", quiet=True))
    assert open_embeddings(both).sensors[0] == "near+visible"
    np.testing.assert_array_equal(vectors_of(both)[:, :512], vectors_of(one))


def test_vectors_of_unlike_lengths_are_refused(catalogue, tmp_path):
    sensors = {
        "radar": eats("s1-grd"),
        "visible": eats("s2-l2a", "B02", "B03", "B04"),
        "near": eats("s2-l2a", "B08"),
    }
    model = saved_encoder(tmp_path / "m.safetensors", sensors)
    with pytest.raises(InputError, match=r"s2-l2a by near visible, .*; choose with --sensor"):
        embed(catalogue, model, tmp_path / "e.parquet", QUIET)


def test_another_level_is_refused_by_the_names_of_its_bands(tmp_path):
    catalogue = small_catalogue(tmp_path, "eurosat-ms")
    model = saved_encoder(tmp_path / "m.safetensors", {"s2": eats("s2-l2a")})
    with pytest.raises(InputError, match=r"sensor s2 eats s2-l2a B01 .* here is s2-l1c"):
        embed(catalogue, model, tmp_path / "e.parquet", QUIET)
    assert not (tmp_path / "e.parquet").exists()


def test_a_level_that_another_sensor_eats_is_no_level_gone_wrong(tmp_path):
    catalogue = small_catalogue(tmp_path, "eurosat-ms")
    model = saved_encoder(
        tmp_path / "m.safetensors", {"toa": eats("s2-l1c"), "boa": eats("s2-l2a")}
    )
    assert embed(catalogue, model, tmp_path / "e.parquet", QUIET)["rows"] == 3
    with pytest.raises(InputError, match="sensor boa eats s2-l2a"):
        wanted = EmbedOptions(sensors=("boa",), device="cpu", quiet=True)
        embed(catalogue, model, tmp_path / "f.parquet", wanted)


def test_an_encoder_of_another_kind_of_images_is_refused(catalogue, tmp_path):
    model = saved_encoder(tmp_path / "m.safetensors", {"image": eats("rgb")})
    with pytest.raises(InputError, match=r"sensor image eats rgb red green blue .* here is s1-grd"):
        embed(catalogue, model, tmp_path / "e.parquet", QUIET)


def test_a_sensor_that_the_encoder_has_not_is_named(catalogue, model, tmp_path):
    wanted = EmbedOptions(sensors=("s3",), device="cpu", quiet=True)
    with pytest.raises(InputError, match="no sensor s3 in the encoder, which has s2"):
        embed(catalogue, model, tmp_path / "e.parquet", wanted)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A catalogue of twelve pictures, whose files a test may spoil."""
    return small_catalogue(tmp_path, "eurosat-rgb", places=12)


@pytest.fixture(scope="module")
def rgb_model(tmp_path_factory) -> Path:
    return saved_encoder(tmp_path_factory.mktemp("rgb") / "m.safetensors", {"image": eats("rgb")})


def test_a_broken_image_is_listed_and_the_others_are_done(pictures, rgb_model, tmp_path):
    rows = read_catalogue(pictures).to_pylist()
    whole = tmp_path / "whole.parquet"
    embed(pictures, rgb_model, whole, QUIET)
    Path(rows[2]["href"]).write_bytes(b"no picture")
    out = tmp_path / "e.parquet"
    words = ["embed", str(pictures), "--model", str(rgb_model), "--out", str(out), "--json"]
    done = CliRunner().invoke(main, [*words, "--device", "cpu"])
    assert done.exit_code == 1
    assert f"{rows[2]['id']}: not embedded: " in done.stderr
    assert "error: " in done.stderr and "1 of 12 images failed" in done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["skipped"], told["width"]) == (11, 0, 512)
    assert [each["id"] for each in told["failed"]] == [rows[2]["id"]]
    kept = [k for k in range(12) if k != 2]
    np.testing.assert_allclose(vectors_of(out), vectors_of(whole)[kept], rtol=1e-4, atol=1e-6)


def test_nothing_is_written_where_every_image_is_broken(pictures, rgb_model, tmp_path):
    shutil.rmtree(tmp_path / "eurosat-rgb")
    with pytest.raises(InputError, match="no image could be embedded; the first is eurosat"):
        embed(pictures, rgb_model, tmp_path / "e.parquet", QUIET)
    assert [path.name for path in tmp_path.iterdir()] == [pictures.name]


def test_an_image_without_data_is_skipped(tmp_path, rgb_model):
    folder = tmp_path / "tiles"
    folder.mkdir()
    for name, count in (("full", 100), ("empty", 0)):
        profile = {"driver": "GTiff", "width": 30, "height": 30, "count": 3, "dtype": "uint8"}
        place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
        with rasterio.open(folder / f"{name}.tif", "w", nodata=0, **profile, **place) as dataset:
            dataset.write(np.full((3, 30, 30), count, np.uint8))
    (folder / "index.csv").write_text("file,product\nfull.tif,rgb\nempty.tif,rgb\n")
    ingest(folder, tmp_path / "c.parquet", layout="folder")
    told = embed(tmp_path / "c.parquet", rgb_model, tmp_path / "e.parquet", QUIET)
    assert (told["rows"], told["skipped"], told["failed"]) == (1, 1, [])


def test_an_output_that_exists_or_is_the_catalogue_is_left_alone(pictures, rgb_model, tmp_path):
    before = pictures.read_bytes()
    with pytest.raises(InputError, match="--overwrite"):
        embed(pictures, rgb_model, pictures, QUIET)
    again = EmbedOptions(device="cpu", overwrite=True, quiet=True)
    with pytest.raises(InputError, match="is the catalogue itself"):
        embed(pictures, rgb_model, pictures, again)
    assert pictures.read_bytes() == before


def test_the_command_tells_what_the_contract_names(pictures, rgb_model, tmp_path):
    out = tmp_path / "e.parquet"
    words = ["embed", str(pictures), "--model", str(rgb_model), "--out", str(out)]
    done = CliRunner().invoke(main, [*words, "--device", "cpu", "--json"])
    assert done.exit_code == 0, done.output
    assert {"output", "rows", "skipped", "width", "seconds"} <= json.loads(done.stdout).keys()
    first = out.read_bytes()
    done = CliRunner().invoke(main, [*words, "--device", "cpu", "--overwrite", "--quiet"])
    assert done.stdout.startswith(f"{out}: 12 images as vectors of 512 numbers")
    assert out.read_bytes() == first
