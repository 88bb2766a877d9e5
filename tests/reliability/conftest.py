"""Real runs as real processes: what the reliability tests start, stop and compare."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
# A run of seconds that still has everything: EMA, Adam, evaluations, many saves.
_TINY = """
from dpjax.config import Data, Evaluation, Experiment, Model, Optim, Record
from dpjax.data.degradations import GaussianNoise
from dpjax.tasks.restoration import Restoration


def get_config() -> Experiment:
    noise = (GaussianNoise((25.0, 25.0)),)
    return Experiment(
        task=Restoration(degradations=noise, judged=noise),
        model=Model("rednet10", {"widths": 4, "channels": 1}),
        data=Data(("photos:train",), ("photos:test",), crop=(16, 16), batch_size=8),
        optim=Optim(lr=1e-3, schedule="cosine", ema_decay=0.9),
        evaluation=Evaluation("dncnn", every_steps=20, limit=1),
        record=Record(log_every=5, save_every=4, panels=0),
        total_steps=60,
    )
"""


class Runs:
    """Starts `train.py` on a tiny experiment.

    Attributes:
        config: its config file.
    """

    def __init__(self, folder: Path):
        self.config = folder / "tiny.py"
        self.config.write_text(_TINY)
        # Runs see no PyTorch, as on a user's machine: TensorBoard's writer would
        # import it for seconds.
        (folder / "torch.py").write_text('raise ImportError("not installed")')

    def start(
        self, workdir: Path, *options: str, devices: int = 1, limits: str = ""
    ) -> subprocess.Popen:
        environment = {
            **os.environ,
            "JAX_NUM_CPU_DEVICES": str(devices),
            "PYTHONPATH": f"{self.config.parent}:{_ROOT}",
        }
        command = [sys.executable, str(_ROOT / "train.py"), str(self.config)]
        command += ["--workdir", str(workdir), *options]
        if limits:
            command = ["bash", "-c", f'{limits}; exec "$@"', "bash", *command]
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, workdir: Path, *options: str, devices: int = 1, **more) -> str:
        process = self.start(workdir, *options, devices=devices, **more)
        text = process.communicate(timeout=240)[1]
        assert process.returncode == 0, text
        return text


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Starts tiny runs."""
    return Runs(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="session")
def undisturbed(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on one device that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    runs.finish(folder)
    return folder


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
