"""Files of MATLAB, up to version 7."""

import pathlib
from typing import Any

from dpjax import errors


def load(path: pathlib.Path) -> dict[str, Any]:
    """Returns the arrays of a MATLAB file by name.

    Args:
        path: the file.

    Returns:
        NumPy arrays; structures as SciPy gives them.

    Raises:
        DataError: the file is missing, damaged, or of version 7.3, which is HDF5.
    """
    import scipy.io

    try:
        found = scipy.io.loadmat(path)
    except OSError as error:
        raise errors.DataError(f"Cannot read {path}: {error}.") from error
    except Exception as error:  # damage raises many kinds; the newest format is HDF5
        raise errors.DataError(
            f"Cannot decode {path}: {error}. Wanted a MATLAB file up to version 7; "
            "copy it again, or pass --skip-bad."
        ) from error
    return {name: value for name, value in found.items() if not name.startswith("__")}
