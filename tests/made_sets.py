"""Sets of pictures with labels or depth that tests make, and what becomes of them."""

import numpy as np
import PIL.Image
import scipy.io

from dpjax.data import depth_files, preparation, sources

SIZE = (12, 16)


def picture(path, seed=0, size=SIZE):
    """Writes a photograph of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def numbers(path, values, seed=0, size=SIZE):
    """Writes a label file of some of the values; returns what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.random.default_rng(seed).choice(np.array(values), size)
    if path.suffix == ".mat":
        scipy.io.savemat(path, {"LabelMap": stored.astype(np.uint16)})
    else:
        PIL.Image.fromarray(stored.astype(np.uint8)).save(path)
    return stored


def levels(path, seed=0, size=SIZE, low=500, high=9000, dtype=np.uint16, holes=0.3):
    """Writes a map of whole numbers with holes; returns what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    stored = rng.integers(low, high, size).astype(dtype)
    stored[rng.random(size) < holes] = 0
    PIL.Image.fromarray(stored).save(path)
    return stored


def text(path, *lines):
    """Writes lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def prepared(name, folder, tmp_path, **options):
    """Prepares a set; returns the records of each split by id."""
    preparation.prepare(
        name, folder=folder, directory=tmp_path / "records", replace=True, **options
    )
    name = "/".join(filter(None, (name, options.get("config"))))
    counts = sources.inspect(name, directory=tmp_path / "records").counts
    return {split: opened(f"{name}:{split}", tmp_path) for split in counts}


def opened(reference, tmp_path):
    """Returns the records of a source by id."""
    source = sources.open_sources([reference], directory=tmp_path / "records")
    return {record["id"]: record for record in source}


def notes(name, tmp_path):
    """Returns what is noted of a prepared set."""
    return sources.inspect(name, directory=tmp_path / "records").notes


def check_labels(records, name, stored, meaning):
    """The record has the classes that the numbers of its file mean."""
    labels = records[name]["labels"]
    assert labels.dtype == np.uint8
    wanted = np.vectorize(lambda number: meaning.get(int(number), 255))(stored)
    np.testing.assert_array_equal(labels, wanted)


def check_depth(record, stored, per_metre):
    """The record has the depth that the numbers of its file mean, exactly."""
    wanted = np.array([int(n) / per_metre for n in stored.ravel()], np.float32)
    np.testing.assert_array_equal(record["depth"], wanted.reshape(stored.shape))
    known = depth_files.has_depth(record["depth"])
    np.testing.assert_array_equal(known, stored > 0)
