"""dpjax: dense per-pixel prediction in JAX and Flax.

The names below load on first use, so that `import dpjax` stays light and a machine that
only predicts needs neither the data nor the training dependencies.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "create_model": "dpjax.models.zoo",
    "list_models": "dpjax.models.zoo",
    "Predictor": "dpjax.inference.predictor",
}

__all__ = ["Predictor", "__version__", "create_model", "list_models"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dpjax' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
