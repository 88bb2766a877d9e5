"""Every test runs on eight simulated processor devices, alone and offline."""

import gc
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_go() -> Iterator[None]:
    """Each file leaves the memory of its programs to the next: they add up to GB."""
    yield
    import jax

    jax.clear_caches()
    gc.collect()


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


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes weights of a narrow RED-Net; gives the file. Options: space, seed, ..."""
    import jax

    from dpjax import config
    from dpjax.data import degradations
    from dpjax.models import zoo
    from dpjax.tasks import restoration
    from dpjax.weights import store

    folder = tmp_path_factory.mktemp("weights")

    def make(
        name: str = "tiny",
        *,
        space: str = "gray",
        suffers: tuple = (degradations.GaussianNoise((25.0, 25.0)),),
        seed: int = 0,
        **options: object,
    ) -> Path:
        path = folder / f"{name}.safetensors"
        if path.exists():
            return path
        channels = 3 if space == "rgb" else 1
        options = {"widths": 4, "channels": channels, "last_scale": 0.5, **options}
        _, variables = zoo.create_model("rednet10", seed=seed, **options)
        card = {
            "name": name,
            "model": config.encode(config.Model("rednet10", options)),
            "task": config.encode(
                restoration.Restoration(suffers, suffers, space=space)
            ),
            "config": None,
            "scores": [
                {"source": "set12", "condition": c, "psnr": p, "ssim": 0.5}
                for c, p in (("noise25", 12.345), ("noise50", 9.87654))
            ],
        }
        store.save(path, jax.device_get(variables), card)
        return path

    return make


def _wait(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    while not condition():
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        time.sleep(0.01)


@pytest.fixture(scope="session")
def wait() -> Callable[[Callable[[], bool], subprocess.Popen], None]:
    """Waits until a condition holds; fails with what the process said if it ends."""
    return _wait


@pytest.fixture(scope="session")
def signal_at() -> Callable[..., str]:
    """Sends a signal to a run once its log has a text; returns what the run said."""

    def send(process, workdir, step, number=signal.SIGTERM, text='"step": {}, "gr'):
        log = workdir / "metrics.jsonl"
        _wait(lambda: log.exists() and text.format(step) in log.read_text(), process)
        process.send_signal(number)
        return process.communicate(timeout=120)[1]

    return send
