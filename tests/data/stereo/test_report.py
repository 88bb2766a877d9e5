"""The report counts every frame once and shows what there is."""

import json

import numpy as np
import PIL.Image

from dpjax.data.stereo import frames, report


def frame(i, votes=(7, 3)):
    image = np.full((20, 30, 3), (10 + i, 250, 3), np.uint8)
    disparity = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    confidence = np.full((20, 30), 200, np.uint8)
    confidence[:5] = 0
    told = {"rows": 1, "bars": (2, 0), "confident": 0.75, "spread": 9.5}
    told |= {"disparities": (-16, 48), "votes": votes}
    return frames.Frame(f"f{i}", image, disparity, confidence, **told)


def rejection(i, reason, level=None):
    picture = None if level is None else np.full((20, 30, 3), (level, 250, 3), np.uint8)
    return frames.Rejection(f"r{i}", reason, f"r{i}.png: bad", picture)


def test_every_frame_is_counted_with_its_reason(tmp_path):
    made = report.Report(frames.Settings())
    for i in range(5):
        made.add(frame(i))
    for i, reason in enumerate(["constant", "low spread", "low spread"]):
        made.add(rejection(i, reason, 100))
    made.write(tmp_path)
    found = json.loads((tmp_path / report.COUNTS).read_text())
    assert (found["frames"], found["accepted"]) == (8, 5)
    assert found["rejected"] == {"low spread": 2, "constant": 1}
    assert [one["id"] for one in found["rejections"]] == ["r0", "r1", "r2"]
    assert found["rejections"][2]["message"] == "r2.png: bad"
    assert found["accepted_frames"][4] == {
        "id": "f4",
        "confident": 0.75,
        "spread_px": 9.5,
        "disparities": [-16, 48],
        "rows_offset": 1,
        "black_bars": [2, 0],
    }
    assert found["settings"]["width"] == 960
    assert made.summary() == "5 of 8 frames are used; 2 low spread, 1 constant"
    page = np.asarray(PIL.Image.open(tmp_path / report.PAGE))
    np.testing.assert_array_equal(page, made.page())


def test_a_film_whose_views_are_exchanged_is_doubted_by_all_of_its_frames():
    made = report.Report(frames.Settings())
    made.add(frame(0, (20, 80)))  # too few to tell
    assert made.doubt() is None
    for i in range(9):
        made.add(frame(i, (7, 3)))
    assert made.doubt() is None  # 107 of 190
    made.add(frame(0, (10, 10)))
    assert "117 of 210 occlusions" in made.doubt()
    for i in range(9):
        made.add(frame(i, (7, 1)))
    assert made.doubt() is None  # 126 of 282, under 45 %


def levels_of(page):
    """The red levels of the photographs on a page, which have colours of their own."""
    return np.unique(page[..., 0][(page[..., 1:] == (250, 3)).all(-1)])


def test_the_page_has_frames_from_first_to_last_and_one_for_each_reason():
    made = report.Report(frames.Settings())
    for i in range(100):
        made.add(frame(i))
    for i, level in enumerate([150, 160]):
        made.add(rejection(i, "constant", level))
    made.add(rejection(2, "swapped views", 170))
    page = made.page()
    levels = levels_of(page)
    assert list(levels[-2:]) == [150, 170]
    levels = levels[:-2].astype(int) - 10
    assert len(levels) == 8
    assert levels[0] == 0
    assert levels[-1] >= 90
    assert max(np.diff(levels)) <= 2 * min(np.diff(levels))


def test_nothing_to_show_is_no_page(tmp_path):
    made = report.Report(frames.Settings())
    made.add(rejection(0, "damaged"))
    assert made.page() is None
    made.write(tmp_path)
    assert not (tmp_path / report.PAGE).exists()
    assert made.summary() == "0 of 1 frames are used; 1 damaged"
