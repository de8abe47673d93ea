"""A raster in an object store: a real server on this machine speaks S3."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest
import rasterio

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster

CHECKOUT = Path(__file__).resolve().parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """Address of an empty object store."""
    port = 20_000 + os.getpid() % 20_000
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"127.0.0.1:{port}"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://{address}/moto-api/", timeout=2)
            break
        except OSError:
            time.sleep(0.2)
    yield address
    server.kill()
    server.wait()


def test_a_raster_is_read_from_an_object_store(tmp_path: Path, endpoint: str) -> None:
    values = random_values(3, 300, 200)
    source = write_raster(tmp_path / "a.tif", values, **UTM_10M)
    store = boto3.client(
        "s3",
        endpoint_url=f"http://{endpoint}",
        region_name="us-east-1",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    store.create_bucket(Bucket="archive")
    store.upload_file(str(source), "archive", "2020/a.tif")
    told = {"AWS_S3_ENDPOINT": endpoint, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE", **KEYS}
    command = [sys.executable, "-m", "eo_contrast", "translate", "/vsis3/archive/2020/a.tif"]
    done = subprocess.run(
        [*command, str(tmp_path / "b.tif"), "--model", "identity", "--quiet"],
        env={**os.environ, **told, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert np.array_equal(dataset.read(), values)
        assert dataset.tags()["EO_CONTRAST_SOURCE"] == "a.tif"
