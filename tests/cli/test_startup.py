"""What commands do before they touch a device."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEPS = """
import resource, sys
import jax, jax.numpy as jnp
from dpjax.cli import startup
if sys.argv[1] == "keep":
    startup.keep_freed_memory()
step = jax.jit(lambda x: x + 1)
x = jnp.ones((4096, 4096))
for _ in range(30):  # as many buffers as are ever alive at once
    step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is GNU's")
def test_steps_use_the_memory_of_earlier_ones_again():
    def faults(how):
        words = [sys.executable, "-c", STEPS, how]
        done = subprocess.run(
            words, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120
        )
        return int(done.stdout)

    usual = faults("usual")
    if usual < 5 * 5000:
        pytest.skip("this C library keeps memory by itself")
    assert faults("keep") < usual / 4
