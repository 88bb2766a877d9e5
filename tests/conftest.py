"""Every test runs on eight simulated processor devices, alone and offline."""

import os
from pathlib import Path

import numpy as np
import pytest
from absl import flags

# Before anything imports jax.  Eight devices because the promises are about 1, 2, 4
# and 8; without the first line an installed accelerator would be used.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
# Compiled programs outlive the session: a second run of the tests is much faster.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE / "dpjax" / "tests"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
# A test that opens a window would hang where there is no screen.
os.environ.setdefault("MPLBACKEND", "agg")

flags.FLAGS.mark_as_parsed()  # TFDS reads absl flags, which nobody parses here


@pytest.fixture(scope="session", autouse=True)
def _prepared_records(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps prepared data sets of this session out of the user's folder."""
    os.environ["TFDS_DATA_DIR"] = str(tmp_path_factory.mktemp("tfds"))


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A real photograph of odd height, uint8 [300, 451, 3], read-only."""
    from skimage import data

    image = data.chelsea()
    image.setflags(write=False)
    return image


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Local copies of public data sets, or the test is skipped."""
    folder = os.environ.get("DPJAX_DATA")
    if not folder:
        pytest.skip("DPJAX_DATA does not name a folder with copies of public data sets")
    root = Path(folder)
    if not root.is_dir():
        pytest.skip(f"DPJAX_DATA names {root}, which is not a folder")
    return root
