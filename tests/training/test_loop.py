"""What would stop a run after hours stops it before its first update."""

import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.data import degradations, preparation
from dpjax.tasks import restoration
from dpjax.training import loop


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
