"""`stereo`: pairs with known disparities, folders of them, and every refusal."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from dpjax import cli, errors
from dpjax.cli import stereo
from dpjax.data.stereo import points
from dpjax.ops.stereo import matching
from tests import random_dots

QUICK = ("--disparities", "20", "--speckle-size", "20")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.squeeze(pixels)).save(path)
    return path


def opened(path):
    with PIL.Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def views(here):
    left, right, truth = random_dots.pair()
    np.save(here / "truth.npy", 4 * truth)
    return [str(save(here / f"{n}.png", v)) for n, v in (("l", left), ("r", right))]


def run(*words):
    return stereo.main([*map(str, words), *QUICK])


def test_a_pair_becomes_a_picture_and_maps(here, views, capsys):
    words = (*views, "-o", "new/out.png", "--focal-px", 100, "--baseline-m", 0.6)
    assert run(*words) == 0
    names = {"out.png", "out-disparity.npy", "out-valid.png", "out-depth.npy"}
    assert {p.name for p in (here / "new").iterdir()} == names
    truth = random_dots.pair()[2]
    disparity = np.load("new/out-disparity.npy")
    assert disparity.dtype == np.float32
    valid = opened("new/out-valid.png")
    assert set(np.unique(valid)) == {0, 255}
    np.testing.assert_array_equal(np.isfinite(disparity), valid == 255)
    known = valid == 255
    assert known.mean() > 0.85
    assert (np.abs(disparity - truth)[known] < 0.5).mean() > 0.99
    depth = np.load("new/out-depth.npy")
    there = known & (disparity > 0)
    assert there.sum() > 0.98 * known.sum()
    np.testing.assert_allclose(depth[there], 60 / disparity[there], rtol=1e-6)
    assert not depth[~there].any()
    picture = opened("new/out.png")
    assert picture.shape[1] >= 192
    assert picture.shape[0] > 128 + 30  # a bar and a legend below it
    said = capsys.readouterr()
    assert f"out.png: 192 x 128, {known.mean():.1%} known" in said.out
    assert "matched by OpenCV's StereoSGBM with 8 paths" in said.out
    assert said.err == ""


def test_our_engine_gives_the_same_and_how_sure_it_is(views, capsys, monkeypatch):
    monkeypatch.setattr(matching, "match", random_dots.quickly_compiled)
    assert run(*views, "--engine", "jax", "--maps", "tif", "-o", "a.png") == 0
    assert "matched by dpjax in" in capsys.readouterr().out
    assert run(*views, "-o", "b.png") == 0
    ours, theirs = opened("a-disparity.tif"), np.load("b-disparity.npy")
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.mean() > 0.85
    assert (np.abs(ours - theirs)[both] < 0.5).mean() > 0.99
    confidence = opened("a-confidence.tif")
    np.testing.assert_array_equal(confidence > 0, opened("a-valid.png") == 255)


def test_truth_scores_the_pixels_that_are_not_hidden(views, capsys):
    assert run(*views, "--truth", "truth.npy", "--scale", 4) == 0
    out, err = capsys.readouterr()
    assert err == ""
    # 4 columns leave the view, and 8 x 50 pixels are behind the square.
    visible = 128 * (192 - 4) - 8 * 50
    assert f"of {visible} non-occluded pixels: bad-0.5 " in out
    shares = [float(part.split("%")[0].split()[-1]) for part in out.split(", ")[-5:-2]]
    assert all(share < 5 for share in shares)
    assert "with an average error of 0.0" in out


def test_truth_of_another_scale_is_told(views, capsys):
    assert run(*views, "--truth", "truth.npy") == 0
    said = capsys.readouterr()
    assert "bad-2.0 100.00%" in said.out
    assert "nearly everywhere it is 4 times what was matched (median)" in said.err
    # So large that no pixel is seen twice, which cannot be scored.
    with pytest.raises(errors.UserError, match="none with any"):
        run(*views, "--truth", "truth.npy", "--scale", 1 / 64)
    assert "it is 256 times what was matched" in capsys.readouterr().err


def test_without_an_output_new_files_are_written_here(here, views, capsys):
    assert run(*views) == 0
    (here / "l-stereo-2-valid.png").write_bytes(b"")
    assert run(*views) == 0
    out = capsys.readouterr().out
    assert "l-stereo.png: " in out
    assert "l-stereo-3.png: " in out
    assert (here / "l-stereo-2-valid.png").read_bytes() == b""


def test_without_arguments_the_real_pair_is_matched_and_scored(here, capsys):
    assert cli.main(["stereo"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("motorcycle-stereo.png: 741 x 500")
    bad = float(out.split("bad-2.0 ")[1].split("%")[0])
    assert bad < 10
    depth = np.load(here / "motorcycle-stereo-depth.npy")
    # The scene is a garage.
    assert 2 < np.median(depth[depth > 0]) < 5


def test_our_engine_matches_by_census_unless_told():
    def settings(*words):
        return stereo._parse(["a", "b", *words]).settings

    assert settings() == settings("--engine", "opencv") == matching.ABSOLUTE
    assert settings("--engine", "jax") == matching.CENSUS
    # OpenCV cannot fill, so this is ours too.
    assert settings("--fill", "guided").cost == "census"
    told = settings("--engine", "jax", "--cost", "absolute", "--box", "5")
    assert told == dataclasses.replace(matching.ABSOLUTE, box=5)


def test_census_brings_its_own_penalties_and_box():
    parsed = stereo._parse(["a", "b", "--cost", "census", "--p2", "90"])
    assert (parsed.settings.p1, parsed.settings.p2, parsed.settings.box) == (10, 90, 1)
    assert stereo._parse(["a", "b"]).settings == matching.ABSOLUTE


def test_grey_pairs_of_16_bits_are_matched(here):
    left, right, _ = random_dots.pair(channels=1)
    names = [
        save(here / f"{n}.png", v[..., 0].astype(np.uint16) * 257)
        for n, v in (("l", left), ("r", right))
    ]
    assert run(*names, "-o", "deep.png") == 0
    for name, view in zip(names, (left, right), strict=True):
        save(name, view)
    assert run(*names, "-o", "flat.png") == 0
    deep, flat = (np.load(f"{n}-disparity.npy") for n in ("deep", "flat"))
    np.testing.assert_array_equal(deep, flat)


def refused(kind, said, left, right, *words):
    names = [save(stereo.Path(f"{n}.png"), v) for n, v in (("l", left), ("r", right))]
    with pytest.raises(kind, match=said):
        run(*names, *words)
    assert not list(stereo.Path().glob("*-stereo*"))
    return names


def test_views_of_different_sizes_are_refused():
    left, right, _ = random_dots.pair()
    refused(errors.DataError, "192 x 128 pixels .* 192 x 120", left, right[:120])


def test_a_monochrome_view_beside_a_coloured_one_is_refused():
    left, right, _ = random_dots.pair()
    said = "The right view is monochrome"
    refused(errors.DataError, said, left, right[..., 0])
    refused(errors.DataError, said, left, np.repeat(right[..., :1], 3, 2))


def test_a_view_that_shows_nothing_is_refused():
    left, _, _ = random_dots.pair()
    flat = np.full_like(left, 17)
    flat[..., 1] = 90
    flat[3, 3] += 1
    said = r"right view shows nothing: .* \[17 90 17\]"
    refused(errors.DataError, said, left, flat)


def test_a_swapped_pair_is_refused_and_forced():
    left, right, _ = random_dots.pair()
    names = refused(errors.UserError, "looks swapped: .*--force", right, left)
    assert run(*names, "--force", "-o", "forced.png") == 0


def test_a_swapped_pair_without_points_is_known_by_its_consistent_pixels(monkeypatch):
    monkeypatch.setattr(points, "match", lambda *_: None)
    left, right, _ = random_dots.pair(behind=9)
    said = "swapped: .*% of the pixels are consistent, and 9"
    refused(errors.UserError, said, right, left)


def test_noise_is_not_the_other_view_of_a_swapped_pair(here, photo, capsys):
    rng = np.random.default_rng(0)
    left = photo[:128, :192]
    noise = rng.integers(0, 256, left.shape).astype(np.uint8)
    names = [save(here / "l.png", left), save(here / "r.png", noise)]
    for pair in (names, names[::-1]):
        assert run(*pair) == 0
        said = capsys.readouterr().err
        assert "do not seem to show the same scene" in said
        assert "swapped" not in said
        assert "Only" not in said  # which would be the same again


def test_the_same_picture_twice_is_a_warning(views, capsys):
    assert run(views[0], views[0]) == 0
    said = capsys.readouterr()
    assert "100.0% known, disparities 0.0 to 0.0 px" in said.out
    assert "warning: Both views are the same picture" in said.err


def test_a_pair_that_is_not_rectified_is_refused_with_its_offset():
    left, right, _ = random_dots.pair()
    moved = np.roll(right, 3, 0)
    said = r"not rectified: .* (3\.0|2\.9) rows above .*median"
    names = refused(errors.DataError, said, left, moved)
    assert run(*names, "--force", "-o", "forced.png") == 0


def test_a_small_offset_is_a_warning(here, capsys):
    left, right, _ = random_dots.pair()
    names = [save(here / "l.png", left), save(here / "r.png", np.roll(right, 1, 0))]
    assert run(*names) == 0
    assert "warning: The pair is not rectified" in capsys.readouterr().err


def test_a_range_that_is_too_small_is_a_warning(views, capsys):
    assert stereo.main([*views, "--disparities", "9"]) == 0
    said = capsys.readouterr().err
    assert "warning: The range 0 to 8 is too small" in said
    assert "Try --disparities 15" in said


def test_an_answer_at_the_end_of_the_range_is_a_warning(views, capsys, monkeypatch):
    monkeypatch.setattr(points, "match", lambda *_: None)
    assert stereo.main([*views, "--disparities", "5"]) == 0
    assert "of the disparities are 4, an end of the range" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("l.png",), "Wanted the right view too, after l.png"),
        (("l.png", "none.png"), "none.png, which does not exist"),
        (("l.png", "."), "l.png is no folder"),
        (("l.png", "r.png", "--scale", "0"), "--scale wants a positive number"),
        (("l.png", "r.png", "--scale", "4"), "none without --truth"),
        (("l.png", "r.png", "--focal-px", "9"), "both --focal-px and --baseline-m"),
        (("l.png", "r.png", "--offset-px", "9"), "which --focal-px and --baseline-m"),
        (("l.png", "r.png", "--truth", "."), "one file of true disparities, and . is"),
        (("l.png", "r.png", "-o", "a.npy"), "Pictures are written as"),
        (("l.png", "r.png", "-o", "l.png"), "l.png is an input"),
        (("--truth", "truth.npy"), "has its own truth"),
        (("l.png", "r.png", "--engine", "opencv", "--is-adaptive"), "is_adaptive=True"),
    ],
)
def test_commands_that_cannot_be_meant_are_refused(views, words, said):
    before = {p: p.stat().st_mtime_ns for p in stereo.Path().iterdir()}
    with pytest.raises(errors.UserError, match=said):
        run(*words)
    assert {p: p.stat().st_mtime_ns for p in stereo.Path().iterdir()} == before


def test_a_map_does_not_overwrite_an_input_either(here, views):
    right = (here / "r.png").rename(here / "a-valid.png")
    before = right.read_bytes()
    with pytest.raises(errors.UserError, match=r"a-valid\.png is an input"):
        run(views[0], right, "-o", "a.png")
    assert right.read_bytes() == before
    assert not (here / "a.png").exists()


def test_truth_of_another_size_is_refused(views):
    np.save("small.npy", np.ones((5, 6)))
    with pytest.raises(errors.DataError, match=r"6 x 5 values for .* 192 x 128"):
        run(*views, "--truth", "small.npy")


@pytest.fixture
def folders(here):
    """Two good pairs, a swapped one, one without a partner on either side."""
    for i, name in enumerate(("a", "deep/b", "swapped")):
        left, right, truth = random_dots.pair(seed=10 * i)
        sides = (right, left) if name == "swapped" else (left, right)
        for side, view in zip(("left", "right"), sides, strict=True):
            save(here / side / f"{name}.png", view)
        (here / "truth" / "deep").mkdir(parents=True, exist_ok=True)
        np.save(here / "truth" / f"{name}.npy", truth)
    save(here / "left" / "only.png", left)
    save(here / "right" / "alone.png", left)
    return here


def test_folders_give_the_files_of_one_by_one_and_tell_the_others(folders, capsys):
    code = run("left", "right", "-o", "out", "--truth", "truth")
    assert code == errors.DataError.exit_code == 3
    said = capsys.readouterr()
    assert said.out.startswith("out: 2 of 3 pairs, ")
    assert "images/s\nmatched by OpenCV's" in said.out
    assert "of 47328 non-occluded pixels" in said.out  # of two pairs
    lines = [x for x in said.err.splitlines() if x.startswith("left out")]
    assert len(lines) == 3
    for line, word in zip(lines, ("only", "alone", "swapped"), strict=True):
        assert word in line
    for name in ("a", "deep/b"):
        pair = [f"{side}/{name}.png" for side in ("left", "right")]
        assert run(*pair, "-o", "one.png") == 0
        for end in (".png", "-disparity.npy", "-valid.png"):
            alone = folders / f"one{end}"
            assert alone.read_bytes() == (folders / f"out/{name}{end}").read_bytes()
    assert len([p for p in (folders / "out").rglob("*") if p.is_file()]) == 6


def test_truths_are_never_overwritten(folders):
    truth = random_dots.pair()[2]
    for path in (folders / "truth").rglob("*.npy"):
        save(path.with_suffix(".png"), truth.astype(np.uint8))
        path.unlink()
    before = {p: p.read_bytes() for p in folders.rglob("*.png")}
    with pytest.raises(errors.UserError, match=r"truth/a\.png is an input"):
        run("left", "right", "--truth", "truth", "-o", "truth")
    assert {p: p.read_bytes() for p in folders.rglob("*.png")} == before


def test_what_is_wrong_with_a_truth_costs_the_score_alone(folders, capsys):
    (folders / "truth" / "a.txt").write_text("of the camera")  # no truth at all
    (folders / "truth" / "deep" / "b.npy").write_bytes(b"broken")
    assert run("left", "right", "-o", "out", "--truth", "truth") == 3
    said = capsys.readouterr()
    assert said.out.startswith("out: 2 of 3 pairs, ")
    assert "not scored, without a truth: 1 of 2" in said.out
    assert "of 23664 non-occluded pixels" in said.out  # of one pair
    assert "warning: left/deep/b.png: not scored: " in said.err
    assert (folders / "out" / "deep" / "b-disparity.npy").is_file()
    save(folders / "truth" / "a.png", random_dots.pair()[0])  # of which one?
    with pytest.raises(errors.UserError, match="differ by their ending alone"):
        run("left", "right", "-o", "other", "--truth", "truth")


def test_truth_of_another_scale_is_told_of_each_pair(folders, capsys):
    assert run("left", "right", "--truth", "truth", "--scale", 4) == 3
    lines = [x for x in capsys.readouterr().err.splitlines() if "0.25 times" in x]
    assert [x.split(": ")[1] for x in lines] == ["left/a.png", "left/deep/b.png"]


def test_folders_without_an_output_get_a_new_one(folders, capsys):
    assert run("left", "right") == 3
    assert (folders / "left-stereo" / "deep" / "b.png").is_file()
    with pytest.raises(errors.UserError, match="left-stereo exists already"):
        run("left", "right")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("left", "left"), "both looked for in left"),
        (("left", "none"), "none is no folder"),
        (("left", "right", "-o", "left/out"), "taken for views of left"),
        (("left", "right", "-o", "out.png"), "must be a folder too"),
        (("left", "right", "--truth", "none"), "a folder of true disparities"),
    ],
)
def test_folders_that_cannot_be_meant_are_refused(folders, words, said):
    with pytest.raises(errors.UserError, match=said):
        run(*words)


def test_names_that_would_be_confused_are_refused(folders):
    for side in ("left", "right"):
        save(folders / side / "a-valid.png", random_dots.pair()[0])
    with pytest.raises(errors.UserError, match=r"a-valid\.png would hold results of"):
        run("left", "right")
    save(folders / "left" / "a.bmp", random_dots.pair()[0])
    with pytest.raises(errors.UserError, match="differ by their ending"):
        run("left", "right")


def test_folders_without_common_names_are_refused(here):
    for side in ("left", "right"):
        save(here / side / f"{side}.png", random_dots.pair()[0])
    with pytest.raises(errors.DataError, match="has a namesake"):
        run("left", "right")
