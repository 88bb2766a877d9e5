"""Depth of real sets under every protocol that they allow, against plain loops.

The evaluator below is written from the published formulas: rows of pixels, one after
the other, in float64.  What stands in for a network is the depth of the next image.
"""

import csv
import math

import numpy as np
import pytest

from dpjax.metrics import depth as metrics
from dpjax.tasks import depth_protocols

KITTI = {
    f"kitti_eigen_{truth}_{cap}_{crop}": (least, cap, (least, cap), crop)
    for truth in ("raw", "improved")
    for cap, least in ((80, 0.001), (50, 1.0))
    for crop in ("garg", "eigen", "kb")
}
ROADS = {
    **KITTI,
    "make3d_C1": (0, 70, (0.001, 70), "none"),
    "make3d_C2": (0, math.inf, (0.001, 80), "none"),
    "all_pixels": (0, math.inf, None, "none"),
}
ROOMS = {
    "nyu_eigen": (0.001, 10, (0.001, 10), "nyu"),
    "nyu_full": (0, math.inf, None, "none"),
    "all_pixels": (0, math.inf, None, "none"),
}
SETS = {
    "nyu/val": ROOMS,
    "seven_scenes": ROOMS,
    "kitti/dense": ROADS,
    "kitti/sparse": ROADS,
}
LASER = (460, 345)  # rows and columns that Make3D's protocols bring the truth to
SHARES = {"garg": (0.40810811, 0.99189189), "eigen": (0.3324324, 0.91351351)}


def read(root, name, most=4):
    """Depth maps of a set in metres, float64, 0 where nothing was measured."""
    import cv2

    folder = root / name
    paths = sorted((folder / "depth").glob("*.png"))
    if not paths:
        pytest.skip(f"DPJAX_DATA has no {name}")
    largest = {}
    if name.startswith("nyu"):
        with (folder / "depth_max.csv").open() as file:
            largest = {r["name"]: float(r["depth_max_m"]) for r in csv.DictReader(file)}
    maps = []
    for path in paths[:: math.ceil(len(paths) / most)]:
        levels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float64)
        if largest:
            levels = np.minimum(levels + 0.5, 255) / 255 * largest[path.stem]
        elif name == "seven_scenes":
            levels = np.where(levels == 65535, 0, levels) / 1000
        else:
            levels = levels / 256
        maps.append(levels)
    return maps


def corners(crop, h, w):
    """First and last row and column of a crop."""
    if crop == "none":
        return 0, h, 0, w
    if crop == "nyu":
        return 45, 471, 41, 601
    if crop == "kb":
        left = (w - 1216) // 2
        return h - 352, h, left, left + 1216
    top, bottom = SHARES[crop]
    return int(top * h), int(bottom * h), int(0.03594771 * w), int(0.96405229 * w)


def compared(prediction, truth, protocol):
    """Prediction and truth on the grid of a protocol: nearest pixels for the truth."""
    if not protocol.startswith("make3d"):
        return prediction, truth
    rows, columns = (
        [math.floor((i + 0.5) * n / m) for i in range(m)]
        for n, m in zip(truth.shape, LASER, strict=True)
    )
    return between_centres(prediction, LASER), truth[rows][:, columns]


def between_centres(values, size):
    """Bilinear, the edge repeated; what gets a share of NaN or infinity becomes it."""
    sides = []
    for n, m in zip(values.shape, size, strict=True):
        places = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
        low = np.floor(places).astype(int)
        share = places - low
        sides.append(((low, 1 - share), (np.minimum(low + 1, n - 1), share)))
    total = np.zeros(size)
    kinds = {kind: np.zeros(size, bool) for kind in (math.nan, math.inf, -math.inf)}
    for rows, of_rows in sides[0]:
        for columns, of_columns in sides[1]:
            share = np.outer(of_rows, of_columns)
            corner = np.where(share > 0, values[rows][:, columns], 0)
            for kind in kinds:
                same = np.isnan(corner) if math.isnan(kind) else corner == kind
                kinds[kind] = kinds[kind] | same
            total += share * np.where(np.isfinite(corner), corner, 0)
    return np.select(list(kinds.values()), list(kinds), total)


def pairs(prediction, truth, rules):
    """Predicted and true depth of the pixels that count, row after row."""
    least, most, limits, crop = rules
    top, bottom, left, right = corners(crop, *truth.shape)
    told, true = [], []
    for y in range(top, bottom):
        g, d = truth[y, left:right], prediction[y, left:right]
        counts = (g > 0) & (g > least) & (g < most)
        g, d = g[counts], d[counts]
        if limits is not None:
            d = np.where(np.isnan(d), limits[0], d)
            d = np.minimum(np.maximum(d, limits[0]), limits[1])
        told.append(d)
        true.append(g)
    return np.concatenate(told), np.concatenate(true)


def textbook(d, g):
    """Every metric of one set of pixels."""
    e = np.log(d) - np.log(g)
    ratio = np.maximum(d / g, g / d)
    return {
        **{f"delta{k}": np.mean(ratio < 1.25**k) for k in (1, 2, 3)},
        "rel": np.mean(abs(d - g) / g),
        "sqrel": np.mean((d - g) ** 2 / g),
        "sqrel_vnl": np.mean((d - g) ** 2 / g**2),
        "rms": math.sqrt(np.mean((d - g) ** 2)),
        "rmslog": math.sqrt(np.mean(e**2)),
        "log10": np.mean(abs(np.log10(d) - np.log10(g))),
        "silog": 100 * math.sqrt(np.mean(e**2) - np.mean(e) ** 2),
    }


def next_ones(maps, holes):
    """For each map the next of the set at its size, with values where it has none."""
    found = []
    for i, truth in enumerate(maps):
        other = maps[(i + 1) % len(maps)]
        h, w = truth.shape
        other = np.pad(other, ((0, h), (0, w)), mode="edge")[:h, :w]
        found.append(np.where(other > 0, other, holes))
    return found


@pytest.mark.parametrize("name", SETS)
def test_every_protocol_scores_real_sets_as_loops_do(data_root, name):
    protocols, maps = SETS[name], read(data_root, name)
    images, every = [], {protocol: [] for protocol in protocols}
    # What no protocol may clamp has to be depth; others get what is none as well.
    tame, wild = next_ones(maps, 3.0), next_ones(maps, math.inf)
    for i, truth in enumerate(maps):
        wild[i][::5, ::3] = math.nan
        wild[i][::7, ::2] = -math.inf
        found = {}
        for protocol, rules in protocols.items():
            prediction = (tame if rules[2] is None else wild)[i]
            found |= depth_protocols.rows(prediction, truth, [protocol])
            d, g = pairs(*compared(prediction, truth, protocol), rules)
            every[protocol].append((d, g))
            row = found[protocol]["depth"]
            assert row[metrics.SUMS.index("pixels")] == len(g) > 1000
            values, wanted = metrics.values(row), textbook(d, g)
            assert values.keys() == wanted.keys()
            for metric, value in wanted.items():
                assert values[metric] == pytest.approx(value, rel=1e-9), metric
        images.append(found)
    scores = depth_protocols.summary(images)
    for protocol, sets in every.items():
        each = [textbook(*pair) for pair in sets]
        pooled = textbook(*(np.concatenate(x) for x in zip(*sets, strict=True)))
        for metric, value in pooled.items():
            found = scores[protocol]
            mean = np.mean([image[metric] for image in each])
            assert found[f"{metric}_image"] == pytest.approx(mean, rel=1e-9)
            assert found[f"{metric}_pooled"] == pytest.approx(value, rel=1e-9)
        assert scores[protocol]["pixels"] == sum(len(g) for _, g in sets)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("c", [0.5, 1.25, 1.25**2, 3.0])
def test_a_common_factor_of_real_depth_has_known_scores(data_root, name, c):
    truth = np.round(read(data_root, name, most=1)[0] * 256) / 256
    # A multiple of 1 / 256 times c is exact, so that a ratio can be at a threshold.
    row = depth_protocols.rows(c * truth + (truth == 0), truth, ["all_pixels"])
    found = metrics.values(row["all_pixels"]["depth"])
    assert found["rel"] == pytest.approx(abs(c - 1), rel=1e-12)
    assert found["log10"] == pytest.approx(abs(math.log10(c)), rel=1e-12)
    assert found["rmslog"] == pytest.approx(abs(math.log(c)), rel=1e-12)
    assert found["silog"] == pytest.approx(0, abs=1e-10)
    for k in (1, 2, 3):
        assert found[f"delta{k}"] == (max(c, 1 / c) < 1.25**k)


@pytest.mark.parametrize("name", SETS)
def test_real_depth_has_no_errors_against_itself(data_root, name):
    for truth in read(data_root, name, most=3):
        row = depth_protocols.rows(truth + (truth == 0), truth, ["all_pixels"])
        found = metrics.values(row["all_pixels"]["depth"])
        for metric, value in found.items():
            assert value == (1 if metric.startswith("delta") else 0)


def test_crops_of_real_sizes_are_the_published_whole_numbers(data_root):
    sizes = {truth.shape for truth in read(data_root, "kitti/dense")}
    sizes |= {truth.shape for truth in read(data_root, "kitti/sparse")}
    published = {  # rows and columns of 375 x 1242 and 370 x 1224
        ("garg", 375, 1242): (153, 371, 44, 1197),
        ("eigen", 375, 1242): (124, 342, 44, 1197),
        ("garg", 370, 1224): (151, 366, 43, 1180),
    }
    assert (375, 1242) in sizes
    for crop in ("garg", "eigen", "kb"):
        protocol = depth_protocols.PROTOCOLS[f"kitti_eigen_raw_80_{crop}"]
        for size in sizes:
            rows, columns = protocol.window(size)
            found = (rows.start, rows.stop, columns.start, columns.stop)
            assert found == published.get((crop, *size), corners(crop, *size))
    (room,) = read(data_root, "nyu/val", most=1)
    inner = room[depth_protocols.PROTOCOLS["nyu_eigen"].window(room.shape)]
    assert inner.shape == (426, 560)
