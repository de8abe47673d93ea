"""The peak that a command reports is its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from eo_contrast.training.log import peak_rss_mib

TELL = "from eo_contrast.training.log import peak_rss_mib; print(peak_rss_mib())"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only getrusage tells")
def test_a_process_s_peak_does_not_begin_with_its_parent_s():
    parent = np.ones(900 << 17)  # 900 MiB, so more than the libraries take
    before = peak_rss_mib()
    child = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True)
    assert parent.sum() > 0
    assert before > 900
    assert 100 < float(child.stdout) < 900
