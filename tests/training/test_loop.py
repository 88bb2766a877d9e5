"""What would stop a run after hours stops it before its first update."""

import signal

import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.data import degradations, preparation
from dpjax.tasks import restoration
from dpjax.training import checkpoint, loop, workdir


@pytest.mark.parametrize(
    ("operator", "split", "message"),
    [
        (degradations.GaussianNoise(), "test", r"scored: 'test/small\.png' \(40x10\)"),
        (degradations.Jpeg(), "train", r"trained on: 'train/small\.png' \(40x10\)"),
        (degradations.Jpeg(), "test", r"at least 11x11 pixels are needed"),
        (degradations.Bicubic(4), "test", r"at least 20x20 pixels are needed"),
    ],
)
def test_pictures_too_small_for_the_task_are_named(
    tmp_path, photo, operator, split, message
):
    images = {"train/a.png": photo[:50, :60], "test/b.png": photo[100:150, 200:260]}
    images[f"{split}/small.png"] = photo[200:210, 300:340]
    for name, image in images.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(image).save(path)
    preparation.prepare(
        "image_folder", folder=tmp_path / "images", directory=tmp_path, config="m"
    )
    name = "image_folder/m"
    experiment = config.Experiment(
        task=restoration.Restoration((operator,), (operator,)),
        model=config.Model("rednet10", {"widths": 4}),
        data=config.Data(
            (f"{name}:train",), (f"{name}:test",), batch_size=8, directory=str(tmp_path)
        ),
        optim=config.Optim(),
        evaluation=config.Evaluation("dncnn"),
        total_steps=1,
    )
    with pytest.raises(errors.DataError, match=message):
        loop.train(experiment, tmp_path / "run")
    # Nothing keeps the run from being started again with other pictures.
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_work_folder_that_is_a_file_is_the_users_mistake(tmp_path):
    (tmp_path / "a").write_text("notes")
    with (
        pytest.raises(errors.UserError, match=r"a is a file\. Choose another"),
        workdir.claim(tmp_path / "a"),
    ):
        pass


def test_a_run_that_cannot_begin_gives_the_signals_back(tmp_path):
    noise = degradations.GaussianNoise()
    experiment = config.Experiment(
        task=restoration.Restoration((noise,), (noise,)),
        model=config.Model("rednet10"),
        data=config.Data(("photos",), ("photos",)),
        optim=config.Optim(lr=-1.0),
        evaluation=config.Evaluation("dncnn"),
        total_steps=1,
    )
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(errors.UserError, match=r"optim\.lr"):
        loop.train(experiment, tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("text", ["{}", "[]", '"x"', "{", '{"type": "Optim"}'])
def test_a_config_that_is_none_is_named_with_the_way_out(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(errors.UserError, match=r"config\.json .*Bring back a copy"):
        workdir.read_experiment(tmp_path)


@pytest.mark.parametrize(
    ("made", "message"),
    [("7", "continues from the last"), ("7.tmp", "starts from the beginning")],
)
def test_what_happens_next_is_said_as_it_is(tmp_path, made, message):
    (tmp_path / "checkpoints" / made).mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "checkpoints"):
        error = checkpoint.storage_error(folder, OSError(28, "No space left"))
        assert message in str(error)
