"""What depth files store, and how far it is in metres; what cannot be depth is told."""

import pickle

import numpy as np
import PIL.Image
import pytest
import scipy.io

from dpjax import errors
from dpjax.data import depth_files, depth_units

LEVELS = np.arange(1, 25, dtype=np.uint16).reshape(4, 6) * 300
MILLIMETRES = depth_files.Unit(1000)


def save(path, values):
    PIL.Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "pgm", "npy"])
def test_files_of_sixteen_bits_are_read_as_they_are(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, LEVELS)
    else:
        save(path, LEVELS)
    stored = depth_files.read(path)
    np.testing.assert_array_equal(stored, LEVELS)
    assert stored.dtype == np.uint16


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
def test_arrays_are_read_in_any_type(tmp_path, dtype, shape):
    values = (LEVELS / 100).astype(dtype)
    np.save(tmp_path / "a.npy", values.reshape(shape))
    stored = depth_files.read(tmp_path / "a.npy")
    np.testing.assert_array_equal(stored, values)
    assert stored.dtype == dtype


def test_images_of_floats_are_read(tmp_path):
    values = (LEVELS / 1000).astype(np.float32)
    stored = depth_files.read(save(tmp_path / "a.tif", values))
    np.testing.assert_array_equal(stored, values)


def test_make3d_files_hold_the_distance_behind_the_position(tmp_path):
    grid = np.random.default_rng(0).uniform(1, 80, (55, 305, 4))
    path = tmp_path / "depth_sph_corr-1.mat"
    scipy.io.savemat(path, {"Position3DGrid": grid}, do_compression=True)
    np.testing.assert_array_equal(depth_files.read(path), grid[..., 3])
    scipy.io.savemat(path, {"depths": grid})
    with pytest.raises(errors.DataError, match=r"holds depths; wanted Position3DGrid"):
        depth_files.read(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file" + b"\0" * 300)
    with pytest.raises(errors.DataError, match=r"Cannot decode .*7\.3 are HDF5: conv"):
        depth_files.read(path)


def test_a_pickle_is_never_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a file was run",))

    path = tmp_path / "a.npy"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(errors.DataError, match=r"Cannot decode .*a\.npy.*without Pyth"):
        depth_files.read(path)
    np.save(path, np.array([[{"a": 1}]], object))
    with pytest.raises(errors.DataError, match=r"Cannot decode .*a\.npy"):
        depth_files.read(path)


def test_what_cannot_hold_depth_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    for values, message in (
        (np.zeros((2, 4, 6)), r"float64 of shape \(2, 4, 6\); wanted numbers \[h, w\]"),
        (np.zeros((4, 6), bool), r"bool of shape"),
        (np.zeros((0, 6)), r"shape \(0, 6\)"),
    ):
        np.save(path, values)
        with pytest.raises(errors.DataError, match=message):
            depth_files.read(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(errors.DataError, match=r"Cannot decode .*a\.npy"):
        depth_files.read(path)
    with pytest.raises(errors.DataError, match=r"Cannot read .*b\.npy: No such file"):
        depth_files.read(tmp_path / "b.npy")
    path = save(tmp_path / "a.jpg", LEVELS.astype(np.uint8))
    with pytest.raises(errors.DataError, match=r"a\.jpg is compressed with loss"):
        depth_files.read(path)
    shown = np.dstack([LEVELS.astype(np.uint8)] * 3)
    with pytest.raises(errors.DataError, match=r"a\.png has pixels of type RGB.*colo"):
        depth_files.read(save(tmp_path / "a.png", shown))


@pytest.mark.parametrize("per_metre", [1000, 256, 5000])
def test_every_number_of_sixteen_bits_comes_back_exactly(tmp_path, per_metre):
    stored = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    unit = depth_files.Unit(per_metre, ignore=(65535,), max_m=1e3)
    path = save(tmp_path / "a.png", stored)
    depth = unit.decode(depth_files.read(path), path)
    assert depth.dtype == np.float32
    known = stored != 65535
    np.testing.assert_array_equal(np.rint(depth * per_metre)[known], stored[known])
    exact = [np.float32(int(value) / per_metre) for value in stored[known]]
    np.testing.assert_array_equal(depth[known], exact)
    np.testing.assert_array_equal(depth_files.has_depth(depth), known & (stored > 0))


def test_zero_nan_and_ignored_numbers_are_not_measured(tmp_path):
    values = np.array([[0, np.nan, -1, 2.5], [-9, 3, 4, 5]], np.float32)
    depth = depth_files.Unit(1, ignore=(-1, -9)).decode(values, tmp_path)
    np.testing.assert_array_equal(depth, [[0, 0, 0, 2.5], [0, 3, 4, 5]])
    np.testing.assert_array_equal(depth_files.has_depth(depth), depth > 0)
    raw = np.array([0, np.nan, 1, np.inf], np.float32)
    np.testing.assert_array_equal(depth_files.has_depth(raw), [0, 0, 1, 0])


def test_depth_out_of_the_declared_range_is_not_measured(tmp_path):
    values = np.array([[0.2, 0.4, 2.0], [9.9, 10.1, 80.0]])
    depth = depth_files.Unit(1, min_m=0.3, max_m=10).decode(values, tmp_path)
    np.testing.assert_allclose(depth, [[0, 0.4, 2], [9.9, 0, 0]])
    with pytest.raises(
        errors.DataError,
        match=r"x\.npy has no pixel from 0 to 10 m.*in metres its median is 5000 m",
    ):
        depth_files.Unit(1, max_m=10).decode(values * 0 + 5000, tmp_path / "x.npy")


FAULTS = [
    ([[1, -2.0, np.inf]], "1 pixels of infinite depth"),
    ([[1, -2.0, -3.0]], "2 pixels of negative depth"),
    ([[0, 0, np.nan]], "no pixel that was measured"),
    ([[2, 2, 0]], "the same depth, 2 m, in all 2 measured pixels"),
    ([[1500, 2400, 0]], "a median depth of 1950 m, as millimetres or cent"),
    ([[0.002, 0.003, 0]], "a median depth of 0.0025 m, as metres have that were decl"),
]


@pytest.mark.parametrize(("values", "message"), FAULTS)
def test_what_cannot_be_depth_is_named(tmp_path, values, message):
    with pytest.raises(errors.DataError, match=rf"x\.npy has {message}"):
        depth_files.Unit(1).decode(np.array(values), tmp_path / "x.npy")


def test_a_declared_range_settles_how_far_a_scene_may_be(tmp_path):
    far, near = np.array([[300.0, 400.0]]), np.array([[0.01, 0.02]])
    assert depth_files.Unit(1, max_m=500).decode(far, tmp_path).all()
    assert depth_files.Unit(1, min_m=0.001).decode(near, tmp_path).all()


def test_a_single_measured_pixel_is_enough(tmp_path):
    depth = MILLIMETRES.decode(np.array([[0, 1500]], np.uint16), tmp_path)
    np.testing.assert_array_equal(depth, np.array([[0, 1.5]], np.float32))


def test_numbers_of_other_bits_than_declared_are_refused(tmp_path):
    stored = np.array([[1, 250]], np.uint8)
    with pytest.raises(
        errors.DataError,
        match=r"x\.png has 8 bits .* wanted 16: in millimetres it would end at 0\.255",
    ):
        MILLIMETRES.decode(stored, tmp_path / "x.png")
    coarse = depth_files.Unit(25.5, bits=8)
    np.testing.assert_allclose(coarse.decode(stored, tmp_path), stored / 25.5)
    with pytest.raises(errors.DataError, match=r"has 16 bits .* wanted 8"):
        coarse.decode(stored.astype(np.uint16), tmp_path / "x.png")


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16)])
def test_the_largest_number_of_a_type_must_be_declared(tmp_path, dtype, bits):
    largest = np.iinfo(dtype).max
    stored = np.array([[90, largest], [80, largest]], dtype)
    with pytest.raises(
        errors.DataError, match=rf"x\.png holds {largest}, .* in 2 pixels.*--ignore"
    ):
        depth_files.Unit(10, bits=bits).decode(stored, tmp_path / "x.png")
    depth = depth_files.Unit(10, (largest,), bits).decode(stored, tmp_path)
    np.testing.assert_array_equal(depth, [[9, 0], [8, 0]])


@pytest.fixture
def shares(tmp_path):
    """All numbers of 8 bits, with their table; the path of the file."""
    (tmp_path / "depth").mkdir()
    path = tmp_path / "depth" / "0003.png"
    save(path, np.arange(256, dtype=np.uint8).reshape(16, 16))
    text = "name,depth_max_m,lower_m,upper_m\n0002,1,0,2\n0003,3.4457,3.44,3.45\n"
    (tmp_path / "depth_max.csv").write_text(text)
    return path


def test_shares_are_those_of_the_largest_depth_of_their_image(shares):
    depth = depth_files.Shares().decode(depth_files.read(shares), shares)
    wanted = [min(p + 0.5, 255) / 255 * 3.4457 for p in range(256)]
    np.testing.assert_array_equal(depth.ravel(), np.array(wanted, np.float32))
    assert depth_files.has_depth(depth).all()
    # What was floor(255 d / d_max) is so again: nothing is lost.
    again = np.floor(255 * depth.astype(np.float64) / 3.4457)
    np.testing.assert_array_equal(again.ravel()[:-1], np.arange(255))


def test_a_table_that_changes_is_read_again(shares):
    stored = depth_files.read(shares)
    first = depth_files.Shares().decode(stored, shares)
    table = shares.parent.parent / "depth_max.csv"
    table.write_text("name,depth_max_m\n0003,6.8914\n")
    second = depth_files.Shares().decode(stored, shares)
    np.testing.assert_allclose(second, 2 * first, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,depth_max_m\n0002,1\n", "does not name 0003"),
        ("file,max\n0003,1\n", "Wanted a CSV file with the columns name and depth_max"),
        ("name,depth_max_m\n0003,far\n", "could not convert"),
        ("name,depth_max_m\n0003\n", "Wanted a CSV"),
        ("name,depth_max_m\n0003,0\n", r"gives 0003 a largest depth of 0\.0 m"),
        (None, "No such file"),
    ],
)
def test_tables_that_do_not_help_are_told(shares, text, message):
    table = shares.parent.parent / "depth_max.csv"
    table.unlink()
    if text is not None:
        table.write_text(text)
    with pytest.raises(errors.DataError, match=rf"depth_max\.csv.*{message}"):
        depth_files.Shares().decode(depth_files.read(shares), shares)


def test_shares_have_eight_bits(shares):
    with pytest.raises(errors.DataError, match=r"type uint16; .* files of 8 bits"):
        depth_files.Shares().decode(LEVELS, shares)


@pytest.mark.parametrize(
    ("said", "per_metre"),
    [
        ("metres", 1),
        ("Meters", 1),
        ("mm", 1000),
        ("centimetres", 100),
        ("1/256", 256),
        ("1 / 5000 m", 5000),
        (0.001, 1000),
        ("0.5", 2),
    ],
)
def test_units_as_people_write_them(said, per_metre):
    assert depth_units.parse(said) == per_metre


@pytest.mark.parametrize("said", ["inch", "", "1/0", "0/2", 0, -1, "nan", True, None])
def test_what_is_no_unit_names_those_that_are(said):
    with pytest.raises(errors.UserError, match="metres, centimetres, millimetres, "):
        depth_units.parse(said)


def described(tmp_path, text, **options):
    (tmp_path / "depth.json").write_text(text)
    return depth_units.read(tmp_path / "depth.json", **options)


def test_a_description_says_all_that_a_unit_has(tmp_path):
    assert described(tmp_path, '{"unit": "millimetres"}') == MILLIMETRES
    text = '{"unit": "1/256", "ignore": 65535, "bits": 8, "min_m": 0.1, "max_m": 80}'
    assert described(tmp_path, text) == depth_files.Unit(256, (65535,), 8, 0.1, 80)
    text = '{"unit": 1, "ignore": [-1, 99.5]}'
    assert described(tmp_path, text, ignore=(7,)).ignore == (-1, 99.5, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("millimetres", "is no JSON"),
        ('"millimetres"', "does not say the unit"),
        ('{"max_m": 10}', "does not say the unit"),
        ('{"unit": "mm", "max": 10}', "says 'max', which is not known"),
        ('{"unit": "inch"}', "got 'inch'"),
        ('{"unit": "mm", "bits": 12}', "says 12 bits, not 8 or 16"),
        ('{"unit": "mm", "max_m": "10"}', "says '10' for max_m, no number above 0"),
        ('{"unit": "mm", "min_m": 0}', "says 0 for min_m"),
        ('{"unit": "mm", "min_m": 2, "max_m": 1}', "nothing between min_m 2 and max_m"),
        ('{"unit": "mm", "ignore": "white"}', r"\['white'\] to ignore, not numbers"),
    ],
)
def test_descriptions_without_a_meaning_are_refused(tmp_path, text, message):
    with pytest.raises(errors.DataError, match=rf"depth\.json.*{message}"):
        described(tmp_path, text)
    with pytest.raises(errors.DataError, match=r"Cannot read .*none\.json"):
        depth_units.read(tmp_path / "none.json")
