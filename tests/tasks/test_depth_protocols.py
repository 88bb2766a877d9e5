"""Protocols of depth: which pixels count, against evaluators that loop over them."""

import csv
import json
import math

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import depth as metrics
from dpjax.metrics import depth_calibration, depth_edges
from dpjax.tasks import depth_protocols

# Name: least and most true depth, limits of predictions, window of 375 x 1242 pixels.
GARG, EIGEN, KB = (153, 371, 44, 1197), (124, 342, 44, 1197), (23, 375, 13, 1229)
WHOLE = (0, 460, 0, 345)
KITTI = {
    f"kitti_eigen_{truth}_{cap}_{crop}": (least, cap, (least, cap), window)
    for truth in ("raw", "improved")
    for cap, least in ((80, 0.001), (50, 1))
    for crop, window in (("garg", GARG), ("eigen", EIGEN), ("kb", KB))
}
EXPECTED = {
    "nyu_eigen": (0.001, 10, (0.001, 10), (45, 471, 41, 601)),
    "nyu_full": (0, math.inf, None, (0, 480, 0, 640)),
    **KITTI,
    "make3d_C1": (0, 70, (0.001, 70), WHOLE),
    "make3d_C2": (0, math.inf, (0.001, 80), WHOLE),
}
OUTDOOR = list(KITTI)
LASER = ["make3d_C1", "make3d_C2"]


def looped(prediction, truth, name):
    """Sums and counts of the metrics, one valid pixel after the other."""
    least, most, limits, (top, bottom, left, right) = EXPECTED[name]
    pairs = []
    for y, x in np.argwhere(truth > 0).tolist():
        d, g = float(prediction[y, x]), float(truth[y, x])
        if not (top <= y < bottom and left <= x < right and least < g < most):
            continue
        if limits is not None:
            d = limits[0] if math.isnan(d) else min(max(d, limits[0]), limits[1])
        pairs.append((d, g))
    logs = [math.log(d / g) for d, g in pairs]
    count = len(pairs)

    def mean(numbers):
        return math.fsum(numbers) / count

    return count, {
        **{
            f"delta{k}": mean(max(d / g, g / d) < 1.25**k for d, g in pairs)
            for k in (1, 2, 3)
        },
        "rel": mean(abs(d - g) / g for d, g in pairs),
        "sqrel": mean((d - g) ** 2 / g for d, g in pairs),
        "sqrel_vnl": mean((d - g) ** 2 / g**2 for d, g in pairs),
        "rms": math.sqrt(mean((d - g) ** 2 for d, g in pairs)),
        "rmslog": math.sqrt(mean(e * e for e in logs)),
        "log10": mean(abs(e) / math.log(10) for e in logs),
        "silog": 100 * math.sqrt(mean(e * e for e in logs) - mean(logs) ** 2),
    }


def assert_scored_as_looped(prediction, truth, names):
    found = depth_protocols.rows(prediction, truth, names)
    assert list(found) == list(names)
    for name in names:
        count, wanted = looped(prediction, truth, name)
        row = found[name]["depth"]
        assert row[metrics.SUMS.index("pixels")] == count > 100
        values = metrics.values(row)
        assert set(values) == set(wanted)
        for metric, value in wanted.items():
            # The spread of logarithms is a difference of nearly equal numbers here.
            assert values[metric] == pytest.approx(value, rel=1e-8), (name, metric)


def sparse(seed, size, far, share=0.01):
    """Truth at few pixels, some of it beyond the caps, and a prediction everywhere."""
    rng = np.random.default_rng(seed)
    truth = np.exp(rng.uniform(math.log(0.4), math.log(far), size))
    prediction = truth * np.exp(rng.normal(0.1, 0.5, size))
    return prediction, np.where(rng.random(size) < share, truth, 0)


def test_every_protocol_is_known():
    assert {*EXPECTED, "all_pixels"} == set(depth_protocols.PROTOCOLS)
    images = {name: p.images for name, p in depth_protocols.PROTOCOLS.items()}
    assert images["nyu_eigen"] == images["nyu_full"] == 654
    assert images["kitti_eigen_raw_50_kb"] == 697
    assert images["kitti_eigen_improved_80_garg"] == 652
    assert images["make3d_C1"] == images["make3d_C2"] == 134


@pytest.mark.parametrize("seed", range(2))
def test_outdoor_protocols_score_random_maps_as_loops_do(seed):
    prediction, truth = sparse(seed, (375, 1242), 95)
    assert_scored_as_looped(prediction, truth, OUTDOOR)


def test_laser_maps_are_compared_on_the_grid_of_the_papers():
    prediction, truth = sparse(4, (460, 345), 95)
    assert_scored_as_looped(prediction, truth, LASER)
    _, laser = sparse(4, (55, 305), 95, share=0.5)
    # The nearest ray of each pixel's centre, in rational numbers: none is between two.
    rows = [(2 * i + 1) * 55 // (2 * 460) for i in range(460)]
    columns = [(2 * j + 1) * 305 // (2 * 345) for j in range(345)]
    enlarged = laser[rows][:, columns]
    for name in LASER:
        np.testing.assert_array_equal(
            depth_protocols.rows(prediction, laser, [name])[name]["depth"],
            depth_protocols.rows(prediction, enlarged, [name])[name]["depth"],
        )


def test_indoor_protocols_score_random_maps_as_loops_do():
    prediction, truth = sparse(2, (480, 640), 12)
    assert_scored_as_looped(prediction, truth, ["nyu_eigen", "nyu_full"])


def test_predictions_that_are_no_depth_become_the_limits():
    prediction, truth = sparse(3, (375, 1242), 95, share=0.02)
    rng = np.random.default_rng(0)
    for value in (math.inf, -math.inf, math.nan, 0, -3, 1e9):
        prediction = np.where(rng.random(truth.shape) < 0.1, value, prediction)
    assert_scored_as_looped(prediction, truth, OUTDOOR)


@pytest.mark.parametrize(
    ("name", "size", "wanted"),
    [
        ("nyu_eigen", (480, 640), (45, 471, 41, 601)),
        ("kitti_eigen_raw_80_garg", (370, 1224), (151, 366, 43, 1180)),
        ("kitti_eigen_raw_80_garg", (375, 1242), GARG),
        ("kitti_eigen_improved_80_eigen", (375, 1242), EIGEN),
        ("kitti_eigen_raw_50_kb", (375, 1242), KB),
        ("kitti_eigen_raw_80_kb", (370, 1225), (18, 370, 4, 1220)),
        ("make3d_C1", (460, 345), (0, 460, 0, 345)),
    ],
)
def test_crops_are_whole_numbers_cut_down(name, size, wanted):
    rows, columns = depth_protocols.PROTOCOLS[name].window(size)
    assert (rows.start, rows.stop, columns.start, columns.stop) == wanted
    valid = depth_protocols.PROTOCOLS[name].valid(np.full(size, 5.0))
    assert valid.sum() == (wanted[1] - wanted[0]) * (wanted[3] - wanted[2])
    assert valid[rows, columns].all()
    if name == "nyu_eigen":
        assert valid[rows, columns].shape == (426, 560)


def test_true_depth_counts_strictly_within_the_range():
    truth = np.array([[0, 1e-3, 2e-3, 1, 49.9, 50, 69.9, 70, 79.9, 80, 81]])
    counted = {
        "make3d_C1": truth[0, 1:7],
        "make3d_C2": truth[0, 1:],
    }
    for name, wanted in counted.items():
        valid = depth_protocols.PROTOCOLS[name].valid(truth)
        np.testing.assert_array_equal(truth[valid], wanted)
    tall = np.repeat(truth, 352, 0).repeat(111, 1)  # as large as the crop wants
    for name, wanted in (
        ("kitti_eigen_raw_80_kb", truth[0, 2:9]),
        ("kitti_eigen_raw_50_kb", truth[0, 4:5]),
    ):
        valid = depth_protocols.PROTOCOLS[name].valid(tall)
        np.testing.assert_array_equal(np.unique(tall[valid]), wanted)


def half_pixel(depths, size):
    """Bilinear sampling between centres of pixels, one pixel after the other."""
    found = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            corners = []
            for at, length, wanted in zip((y, x), depths.shape, size, strict=True):
                place = (at + 0.5) * length / wanted - 0.5
                low = math.floor(place)
                ends = [min(max(i, 0), length - 1) for i in (low, low + 1)]
                corners.append(
                    list(zip(ends, (1 - place + low, place - low), strict=True))
                )
            found[y, x] = sum(
                v * u * depths[i, j] for i, v in corners[0] for j, u in corners[1]
            )
    return found


@pytest.mark.parametrize("size", [(20, 31), (9, 40), (6, 7), (11, 13)])
def test_predictions_are_enlarged_between_the_centres_of_pixels(size):
    import cv2

    depths = np.random.default_rng(0).uniform(1, 9, (11, 13))
    found = depth_protocols.resized(depths, size)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, half_pixel(depths, size), rtol=1e-12)
    peer = cv2.resize(depths, size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(found, peer, rtol=1e-5)  # its weights are float32


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_depth_reaches_the_pixels_that_it_has_a_share_of(value):
    depths = np.ones((5, 5))
    depths[2, 2] = value
    found = depth_protocols.resized(depths, (15, 15))
    assert (np.isfinite(found) == (found == 1)).all()
    # Every third centre is one of the old ones, so 5 x 5 pixels have a share.
    wanted = np.zeros((15, 15), bool)
    wanted[5:10, 5:10] = True
    np.testing.assert_array_equal(~np.isfinite(found), wanted)
    np.testing.assert_array_equal(found[wanted], np.full(25, value))


def test_a_small_prediction_is_scored_at_the_size_of_the_truth():
    prediction, truth = sparse(4, (48, 64), 9, share=1.0)
    truth = np.kron(truth, np.ones((10, 10)))
    names = ["nyu_eigen", "nyu_full"]
    small = depth_protocols.rows(prediction, truth, names)
    large = depth_protocols.rows(
        depth_protocols.resized(prediction, truth.shape), truth, names
    )
    for name in names:
        np.testing.assert_array_equal(small[name]["depth"], large[name]["depth"])


def test_a_prediction_of_the_benchmark_s_window_is_pasted():
    prediction, truth = sparse(5, (375, 1242), 95)
    rows, columns = depth_protocols.kb_window(truth.shape)
    whole = depth_protocols.pasted(prediction[rows, columns], truth.shape)
    np.testing.assert_array_equal(whole[rows, columns], prediction[rows, columns])
    assert np.isnan(whole).sum() == truth.size - 352 * 1216
    # The other crops lie inside; without a crop, what is outside is the least depth.
    names = [name for name in OUTDOOR if name.startswith("kitti")]
    one = depth_protocols.rows(whole, truth, names)
    two = depth_protocols.rows(prediction, truth, names)
    for name in names:
        np.testing.assert_array_equal(one[name]["depth"], two[name]["depth"])
    rules = depth_protocols.PROTOCOLS["kitti_eigen_raw_80_kb"]
    np.testing.assert_array_equal(rules.seen(truth), truth[rows, columns])
    small = prediction[rows, columns][::2, ::2]
    np.testing.assert_array_equal(
        rules.placed(small, truth.shape)[rows, columns],
        depth_protocols.resized(small, (352, 1216)),
    )


def test_a_mask_leaves_pixels_out():
    prediction, truth = sparse(6, (375, 1242), 60)
    valid = np.random.default_rng(0).random(truth.shape) < 0.5
    name = "kitti_eigen_raw_80_garg"
    masked = depth_protocols.rows(prediction, truth, [name], valid=valid)
    zeroed = depth_protocols.rows(prediction, np.where(valid, truth, 0), [name])
    np.testing.assert_array_equal(masked[name]["depth"], zeroed[name]["depth"])


def test_deviations_and_edges_are_scored_beside_the_depth():
    rng = np.random.default_rng(7)
    truth = np.kron(rng.uniform(1, 12, (6, 8)), np.ones((80, 80)))
    prediction = truth * np.exp(rng.normal(0, 0.1, truth.shape))
    deviation = rng.uniform(0.05, 0.2, truth.shape)
    found = depth_protocols.rows(
        prediction, truth, ["nyu_eigen"], deviation=deviation, has_edges=True
    )["nyu_eigen"]
    valid = np.zeros(truth.shape, bool)
    valid[45:471, 41:601] = True
    valid &= truth < 10
    told = np.clip(prediction, 1e-3, 10)
    np.testing.assert_array_equal(
        found["calibration"],
        depth_calibration.sums(np.log(told), np.log(truth), deviation, valid),
    )
    both = (depth_edges.edges(x, valid) for x in (told, truth))
    np.testing.assert_array_equal(found["edges"], depth_edges.sums(*both))
    assert found["edges"][0] > 100


def test_a_set_is_summarised_under_every_protocol():
    images, names = [], ["make3d_C1", "make3d_C2"]
    for seed in range(5):
        prediction, truth = sparse(seed, (3, 4), 95, share=1)
        prediction, truth = (np.kron(x, np.ones((15, 15))) for x in (prediction, truth))
        deviation = np.full(truth.shape, 0.5)
        images.append(
            depth_protocols.rows(
                prediction, truth, names, deviation=deviation, has_edges=True
            )
        )
    scores = depth_protocols.summary(images, source="make3d:test")
    bounds = depth_protocols.intervals(images)
    assert list(scores) == list(bounds) == names
    for name in names:
        stacked = np.stack([image[name]["depth"] for image in images])
        wanted = metrics.summary(stacked)
        assert {key: scores[name][key] for key in wanted} == wanted
        assert scores[name]["images_expected"] == 134
        assert {"nll_pooled", "edge_accuracy_image"} <= scores[name].keys()
        for key, (low, high) in bounds[name].items():
            assert low <= scores[name][key] <= high
    assert scores["make3d_C1"]["rms_pooled"] < scores["make3d_C2"]["rms_pooled"]
    # As receipts keep them.
    plain = [
        {n: {k: row.tolist() for k, row in kinds.items()} for n, kinds in image.items()}
        for image in images
    ]
    plain = json.loads(json.dumps(plain))
    assert depth_protocols.summary(plain, source="make3d:test") == scores


def test_wrong_requests_are_refused():
    ones = np.ones((480, 640))
    with pytest.raises(errors.UserError, match=r"nyu_eigan.*Did you mean nyu_eigen"):
        depth_protocols.rows(ones, ones, ["nyu_eigan"])
    with pytest.raises(errors.UserError, match=r"480 x 640 pixels, .* has 240 x 320"):
        depth_protocols.rows(ones, ones[::2, ::2], ["nyu_eigen"])
    with pytest.raises(errors.UserError, match=r"352 x 1216 pixels, got 370 x 1200"):
        depth_protocols.kb_window((370, 1200))
    with pytest.raises(errors.UserError, match=r"got \[480, 640\]. Resize"):
        depth_protocols.pasted(ones, (375, 1242))
    with pytest.raises(errors.UserError, match=r"is \[h, w\], got \[480, 640, 1\]"):
        depth_protocols.rows(ones[..., None], ones, ["nyu_full"])
    with pytest.raises(errors.UserError, match=r"is \[h, w\], got \[480, 640, 1\]"):
        depth_protocols.rows(ones, ones[..., None], ["nyu_full"])
    with pytest.raises(errors.UserError, match="NaN at 480 pixels"):
        depth_protocols.rows(
            ones, np.where(np.arange(640) < 1, np.nan, ones), ["nyu_full"]
        )
    with pytest.raises(errors.UserError, match="predicted depth must be"):
        depth_protocols.rows(0 * ones, ones, ["nyu_full"])
    with pytest.raises(errors.UserError, match="belongs to each predicted pixel"):
        depth_protocols.rows(ones, ones, ["nyu_full"], deviation=ones[:9])
    with pytest.raises(errors.UserError, match="at least one image"):
        depth_protocols.summary([depth_protocols.rows(ones, 0 * ones, ["nyu_full"])])


def test_indoor_protocols_score_real_maps_as_loops_do(data_root):
    import cv2

    folder = data_root / "nyu" / "val"
    if not folder.is_dir():
        pytest.skip("DPJAX_DATA has no nyu/val")
    with (folder / "depth_max.csv").open() as file:
        largest = {
            row["name"]: float(row["depth_max_m"]) for row in csv.DictReader(file)
        }
    rng = np.random.default_rng(0)
    for name in sorted(largest)[::50]:
        levels = cv2.imread(str(folder / "depth" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        truth = np.minimum(levels + 0.5, 255) / 255 * largest[name]
        prediction = cv2.GaussianBlur(truth, (0, 0), 9) * rng.uniform(0.8, 1.2)
        some = np.where(rng.random(truth.shape) < 0.05, truth, 0)  # loops are slow
        assert_scored_as_looped(prediction, some, ["nyu_eigen", "nyu_full"])


def test_outdoor_protocols_score_real_maps_as_loops_do(data_root):
    import cv2

    folder = data_root / "kitti" / "sparse" / "depth"
    if not folder.is_dir():
        pytest.skip("DPJAX_DATA has no kitti/sparse")
    maps = [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 256.0
        for path in sorted(folder.glob("*.png"))
    ]
    truth = next(m for m in maps if m.shape == (375, 1242))
    far = np.linspace(90, 3, len(truth))[:, None] * np.ones(truth.shape)
    assert_scored_as_looped(far, truth, OUTDOOR[::3])
