"""`predict` of videos: every frame as a picture, one scale, whole files or none."""

import gc
import os
import re
import weakref

import cv2
import numpy as np
import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.cli import predict
from dpjax.data import degradations, video_files
from dpjax.inference import predictor
from dpjax.tasks import classification, relative_depth, segmentation
from tests import depth_weights, film_files

FRAMES = 9


@pytest.fixture(scope="module")
def frames(photo):
    """Parts of a photograph that grow darker, uint8 [9, 120, 160, 3]."""
    parts = [photo[60:180, 20 * i : 20 * i + 160] for i in range(FRAMES)]
    return np.stack([part // (1 + i // 3) for i, part in enumerate(parts)])


@pytest.fixture
def film(tmp_path, frames):
    return film_files.write(tmp_path / "street.avi", frames, "MJPG", rate=12.5)


@pytest.fixture(scope="module")
def depth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return str(depth_weights.write(folder / "depth.safetensors"))


def wanted(weights, film, **options):
    """What the predictor makes of each frame by itself."""
    run = predictor.Predictor(weights)
    return [run(frame, **options) for _, frame in video_files.read(film)]


def check_frames(path, images):
    """Each frame is that image, but for the encoding, and no other one is as near."""
    found, rate = film_files.decoded(path)
    assert rate == 12.5
    assert len(found) == len(images)
    height, width = images[0].shape[:2]
    assert found.shape[1:3] == (height + height % 2, width + width % 2)
    for frame, image in zip(found, images, strict=True):
        assert np.abs(frame[:height, :width].astype(int) - image).mean() < 8


def test_depth_of_a_video_has_one_scale_that_of_its_first_frame(
    tmp_path, film, depth, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert predict.main([depth, "street.avi"]) == 0
    assert sorted(os.listdir()) == ["street-depth.mp4", "street.avi"]
    low, high = wanted(depth, film)[0].scale
    factor = (high / low) ** 0.1
    low, high = low / factor, high * factor
    results = wanted(depth, film, range=(low, high))
    check_frames("street-depth.mp4", [result.image for result in results])
    width, height = 320, results[0].image.shape[0]
    height += height % 2
    assert capsys.readouterr().out == (
        f"street-depth.mp4: {width} x {height}, 9 frames at 12.5 a second, colours "
        f"from {low:.3g} to {high:.3g} m\n"
    )
    own = [result.image for result in wanted(depth, film)]
    apart = [
        np.abs(a.image.astype(int) - b).mean()
        for a, b in zip(results, own, strict=True)
    ]
    assert max(apart) > 12  # a scale of each frame would be seen
    assert predict.main([depth, "street.avi"]) == 0
    assert "street-depth-2.mp4" in os.listdir()


def test_a_range_is_the_scale_of_every_frame(tmp_path, film, depth, capsys):
    target = tmp_path / "new" / "o.mp4"
    words = [depth, str(film), "-o", str(target), "--range", "0.3", "3"]
    assert predict.main(words) == 0
    results = wanted(depth, film, range=(0.3, 3.0))
    check_frames(target, [result.image for result in results])
    assert "colours from 0.3 to 3 m\n" in capsys.readouterr().out


def test_relative_depth_of_a_video_has_one_scale_too(tmp_path, film, capsys):
    task = relative_depth.RelativeDepth(size=(96, 128))
    weights = str(depth_weights.write(tmp_path / "order.safetensors", task=task))
    words = [weights, str(film), "-o", str(tmp_path / "o.mp4")]
    assert predict.main(words) == 0
    own = wanted(weights, film)
    low, high = own[0].scale
    low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
    results = wanted(weights, film, range=(low, high))
    check_frames(tmp_path / "o.mp4", [result.image for result in results])
    said = f"9 frames at 12.5 a second, colours from {low:.3g} to {high:.3g}\n"
    assert said in capsys.readouterr().out
    apart = [
        np.abs(a.image.astype(int) - b.image).mean()
        for a, b in zip(results, own, strict=True)
    ]
    assert max(apart) > 12  # a scale of each frame would be seen
    low, high = low - 1, high + 1
    assert predict.main([*words, "--range", str(low), str(high)]) == 0
    results = wanted(weights, film, range=(low, high))
    check_frames(tmp_path / "o.mp4", [result.image for result in results])


def test_videos_are_restored_and_enlarged(tmp_path, frames, tiny_weights, capsys):
    film = film_files.write(tmp_path / "a.mp4", frames[:, :50, :70], rate=12.5)
    (tmp_path / "out").mkdir()
    weights = str(tiny_weights())
    assert predict.main([weights, str(film), "-o", str(tmp_path / "out")]) == 0
    target = tmp_path / "out" / "a.mp4"
    check_frames(target, [result.image for result in wanted(weights, film)])
    assert capsys.readouterr().out == f"{target}: 70 x 50, 9 frames at 12.5 a second\n"
    weights = str(tiny_weights("sr2", space="y", suffers=(degradations.Bicubic(2),)))
    words = [weights, str(film), "-o", str(target), "--scale", "2", "--ensemble"]
    assert predict.main(words) == 0
    run = predictor.Predictor(weights, ensemble=True)
    images = [run(frame, scale=2).image for _, frame in video_files.read(film)]
    assert images[0].shape == (100, 140, 3)
    check_frames(target, images)


def test_labels_of_a_video_have_no_legend_which_would_change(tmp_path, film):
    weights = str(
        depth_weights.write(
            tmp_path / "labels.safetensors",
            depth_weights.LABELS,
            segmentation.Segmentation(),
        )
    )
    assert predict.main([weights, str(film), "-o", str(tmp_path / "o.mp4")]) == 0
    check_frames(tmp_path / "o.mp4", [r.image[:120] for r in wanted(weights, film)])


def test_of_a_video_that_is_cut_off_the_frames_before_that_are_kept(
    tmp_path, film, tiny_weights, capsys
):
    film.write_bytes(film.read_bytes()[: int(0.6 * film.stat().st_size)])
    target = tmp_path / "o.mp4"
    weights = str(tiny_weights())
    words = [weights, str(film), "-o", str(target)]
    assert predict.main(words) == errors.DataError.exit_code == 3
    said = capsys.readouterr()
    found, _ = film_files.decoded(target)
    assert 2 < len(found) < FRAMES
    run = predictor.Predictor(weights)
    reading = video_files.read(film)
    check_frames(target, [run(next(reading)[1]).image for _ in found])
    assert f"{film} ends early: {len(found)} frames of the 9 that it" in said.err
    assert f"{len(found)} frames at 12.5 a second" in said.out
    os.remove(target)
    data = film.read_bytes()
    film.write_bytes(data[: data.index(b"movi") + 3000])  # in the first frame
    with pytest.raises(errors.DataError, match=r"avi ends in frame \d of the 9 that"):
        predict.main(words)
    assert os.listdir(tmp_path) == ["street.avi"]


@pytest.fixture
def calls(monkeypatch):
    """Frames that the predictor was given, weakly; what to do before each of them."""
    found, original = [], predictor.Predictor.__call__

    def call(self, image, **options):
        gc.collect()
        found.append(weakref.ref(image))
        found_alive.append(sum(one() is not None for one in found))
        before(len(found))
        return original(self, image, **options)

    found_alive, before = [], lambda number: None

    class Calls:
        alive = found_alive

        def before(self, function):
            nonlocal before
            before = function

    monkeypatch.setattr(predictor.Predictor, "__call__", call)
    return Calls()


def test_an_interrupted_video_leaves_nothing(tmp_path, film, tiny_weights, calls):
    seen = []

    def interrupt(number):
        if number == 4:
            seen.extend(os.listdir(tmp_path))
            raise KeyboardInterrupt

    calls.before(interrupt)
    (tmp_path / "o.mp4").write_bytes(b"older")
    words = [str(tiny_weights()), str(film), "-o", str(tmp_path / "o.mp4")]
    with pytest.raises(KeyboardInterrupt):
        predict.main(words)
    assert len(seen) == 3  # one was being written
    assert sorted(os.listdir(tmp_path)) == ["o.mp4", "street.avi"]
    assert (tmp_path / "o.mp4").read_bytes() == b"older"


def test_a_video_takes_the_memory_of_a_few_frames(tmp_path, film, tiny_weights, calls):
    words = [str(tiny_weights()), str(film), "-o", str(tmp_path / "o.mp4")]
    assert predict.main(words) == 0
    assert len(calls.alive) == FRAMES
    assert max(calls.alive) <= 3


@pytest.mark.parametrize(
    ("source", "words", "message"),
    [
        ("absent.mp4", ["-o", "o.mp4"], r"absent\.mp4 does not exist"),
        ("bad.mp4", ["-o", "o.mp4"], r"Cannot decode .*bad\.mp4"),
        ("street.avi", ["-o", "o.png"], r"written as \.mp4, got .*o\.png"),
        ("street.avi", ["-o", "o.json"], r"written as \.mp4, got .*o\.json"),
        ("same.mp4", ["-o", "same.mp4"], "is the input; it would be overwritten"),
        ("street.avi", ["--map", "depth"], "of pictures, not of videos"),
        ("street.avi", ["--maps"], "of pictures, not of videos"),
    ],
)
def test_impossible_wishes_fail_before_weights_load(
    tmp_path, film, frames, source, words, message, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.mp4").write_bytes(b"no film at all")
    film_files.write(tmp_path / "same.mp4", frames)
    before = sorted(os.listdir())
    with pytest.raises(errors.DpjaxError, match=message):
        predict.main(["no-such-weights", source, *words])
    assert sorted(os.listdir()) == before


def test_weights_that_answer_in_words_and_videos_of_nothing_are_refused(
    tmp_path, film, tiny_weights, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model = config.Model("wide_resnet_16", {"num_classes": 2, "width": 1 / 16})
    words = depth_weights.write(
        tmp_path / "words.safetensors", model, classification.Classification()
    )
    with pytest.raises(errors.UserError, match="answers in words, of which a video"):
        predict.main([str(words), "street.avi"])
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    cv2.VideoWriter("none.avi", codec, 25, (160, 120)).release()
    before = sorted(os.listdir())
    with pytest.raises(errors.DataError, match=r"none\.avi has no frames"):
        predict.main([str(tiny_weights()), "none.avi"])
    assert sorted(os.listdir()) == before


def test_videos_in_a_folder_of_pictures_are_left_alone(
    tmp_path, film, frames, tiny_weights, capsys
):
    PIL.Image.fromarray(frames[0]).save(tmp_path / "a.png")
    output = tmp_path / "out"
    assert predict.main([str(tiny_weights()), str(tmp_path), "-o", str(output)]) == 0
    assert os.listdir(output) == ["a.png"]
    assert re.search("1 of 1 pictures", capsys.readouterr().out)
