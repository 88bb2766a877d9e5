"""What several files of tests of CRFs ask for by name."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def double_precision() -> Iterator[None]:
    """JAX computes in float64."""
    with jax.enable_x64(True):
        yield
