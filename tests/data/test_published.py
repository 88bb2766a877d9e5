"""Sets that TFDS's own builders prepared are sources too."""

import io
import json

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds

from dpjax import config, errors
from dpjax.data import health, identity, image_files, pipeline, sizes, sources
from dpjax.inference import evaluate
from dpjax.tasks import depth

COUNTS = {"train": 7, "validation": 3}


def pixels(i):
    values = np.random.default_rng(i).integers(0, 256, (4, 5, 3), np.uint8)
    return np.kron(values, np.ones((8, 8, 1), np.uint8))  # JPEG keeps large blocks


class TinyFlowers(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder as TFDS has hundreds: images with labels."""

    VERSION = tfds.core.Version("5.1.0")
    url_infos = {}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=["rose", "tulip", "lily"]),
                    "file_name": tfds.features.Text(),
                }
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {s: self._generate_examples(s, n) for s, n in COUNTS.items()}

    def _generate_examples(self, split, count):
        for i in range(count):
            file = io.BytesIO()
            PIL.Image.fromarray(pixels(i)).save(file, "JPEG", quality=95)
            name = f"{split}_{i}.JPEG"
            example = {"image": file.getvalue(), "label": i % 3, "file_name": name}
            yield i, example


class NyuDepthV2(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The features of TFDS's own builder of 31 GB, at a tenth of the size.

    https://www.tensorflow.org/datasets/catalog/nyu_depth_v2
    """

    VERSION = tfds.core.Version("0.0.1")
    url_infos = {}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(48, 64, 3)),
                    "depth": tfds.features.Tensor(shape=(48, 64), dtype=np.float16),
                }
            ),
            supervised_keys=("image", "depth"),
        )

    def _split_generators(self, dl_manager):
        return {s: self._generate_examples(n) for s, n in COUNTS.items()}

    def _generate_examples(self, count):
        for i in range(count):
            rng = np.random.default_rng(i)
            image = rng.integers(0, 256, (48, 64, 3), np.uint8)
            metres = (1 + image[..., 0] / 64).astype(np.float16)
            metres[:5] = 0
            file = io.BytesIO()
            PIL.Image.fromarray(image).save(file, "PNG")
            yield i, {"image": file.getvalue(), "depth": metres}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    builder = TinyFlowers(data_dir=folder, file_format="array_record")
    builder.download_and_prepare()
    NyuDepthV2(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


def test_depth_is_metres_that_the_depth_task_learns_and_scores(written):
    task = depth.Depth(also=("all_pixels",))
    data = config.Data(("x",), ("y",), crop=(32, 48), batch_size=2)
    source = open_(written, "nyu_depth_v2:validation")
    assert task.with_records([source]) is task
    record = source[0]
    metres = record["depth"]
    assert (metres.dtype, metres.shape) == (np.float32, (48, 64))
    exact = 1 + record["image"][..., 0] / 64
    np.testing.assert_allclose(metres[5:], exact[5:], rtol=1e-3)
    example = task.train_example(record, np.random.default_rng(0), data)
    assert example["has_depth"].any()
    given = task.evaluation_input(record, "", "nyu_full")
    output = np.log(np.maximum(metres, 1))[..., None]
    row = task.score(record, "", given, output, "nyu_full")
    assert row["rel"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(errors.UserError, match="480 x 640"):
        evaluate.open_sources(
            task,
            config.Data((), ("nyu_depth_v2:validation",), directory=str(written)),
            config.Evaluation("nyu_eigen"),
        )


def open_(written, *names):
    return sources.open_sources(names, directory=written)


def test_records_are_images_with_labels_and_names(written):
    source = open_(written, "tiny_flowers:train")
    assert len(source) == 7
    assert source.names == ("tiny_flowers:train",)
    assert source.parts[0].classes == ("rose", "tulip", "lily")
    assert source.ids() == [f"{i:07d}" for i in range(7)]
    for i in range(7):
        record = source[i]
        assert record["id"] == f"{i:07d}"
        assert record["label"] == i % 3
        assert record["file_name"] == f"train_{i}.JPEG"
        assert record["source"] == "tiny_flowers:train"
        assert np.abs(record["image"].astype(int) - pixels(i)).mean() < 12
    assert sources.inspect("tiny_flowers", directory=written).counts == COUNTS
    assert open_(written, "tiny_flowers").names == ("tiny_flowers:train",)


def test_records_can_be_left_out_and_change_the_fingerprint(written):
    whole = open_(written, "tiny_flowers:train")
    part = open_(written, "tiny_flowers:train-0000000,0000003")
    assert [part[i]["file_name"][6] for i in range(5)] == ["1", "2", "4", "5", "6"]
    others = {
        s.fingerprint for s in (whole, part, open_(written, "tiny_flowers:validation"))
    }
    assert len(others) == 3
    with pytest.raises(errors.UserError, match="from 0000000 to 0000006"):
        open_(written, "tiny_flowers:train-000000")


@pytest.mark.parametrize(
    "part", ["[:50%]", "[50%:]", "[:33%]", "[-3:]", "[2:-1]", "[10%:90%]", "[:-30%]"]
)
def test_parts_of_a_split_are_those_of_tfds(written, part):
    builder = TinyFlowers(data_dir=written, file_format="array_record")
    theirs = [r["file_name"].decode() for r in builder.as_data_source(f"train{part}")]
    ours = open_(written, f"tiny_flowers:train{part}")
    assert [ours[i]["file_name"] for i in range(len(ours))] == theirs
    whole = open_(written, "tiny_flowers:train")
    assert ours.fingerprint != whole.fingerprint


def test_training_reads_them_in_worker_processes_too(written):
    source = open_(written, "tiny_flowers:train")
    data = config.Data(("x",), ("y",), batch_size=7, workers=1)
    with pipeline.train_stream(source, _labels, data=data, seed=0) as stream:
        assert sorted(next(stream)["label"]) == [0, 0, 0, 1, 1, 2, 2]


def _labels(record, rng):
    return {"label": np.int32(record["label"])}


def test_what_is_not_known_of_them_is_not_made_up(written):
    train, test = (open_(written, f"tiny_flowers:{s}") for s in COUNTS)
    assert not train.is_indexed
    sizes.check(train, 1000, "trained on")
    found = health.examine(train)
    assert (found.count, found.damaged, found.duplicates) == (7, [], [])
    assert found.sizes == ((32, 40),) * 3
    data = config.Data(
        train.names, test.names, directory=str(written), allow_overlap=()
    )
    with pytest.raises(errors.DataError, match="cannot be told: tiny_flowers:train"):
        identity.check_disjoint(data)
    allowed = config.Data(
        train.names, test.names, directory=str(written), allow_overlap=("tiny_flowers",)
    )
    identity.check_disjoint(allowed)


def test_other_storage_and_other_sets_are_refused(written, tmp_path):
    with pytest.raises(errors.DataError, match="no split 'test'; prepared in"):
        open_(written, "tiny_flowers:test")
    copy = _copy(written, tmp_path)
    _edit(copy / "dataset_info.json", fileFormat="tfrecord")
    with pytest.raises(errors.DataError, match=r"stored as tfrecord.*tfds build tiny"):
        open_(tmp_path, "tiny_flowers")
    _edit(copy / "dataset_info.json", fileFormat="array_record")
    features = json.loads((copy / "features.json").read_text())
    del features["featuresDict"]["features"]["label"]
    (copy / "features.json").write_text(json.dumps(features))
    with pytest.raises(errors.DataError, match="holds file_name, image; sets of TFDS"):
        open_(tmp_path, "tiny_flowers")
    (copy / "dataset_info.json").write_text("{")
    with pytest.raises(errors.DataError, match=r"dataset_info\.json cannot be read"):
        open_(tmp_path, "tiny_flowers")


def test_a_set_that_both_can_prepare_is_read_as_it_was_prepared(written, tmp_path):
    """imagenet2012 is in our table, and TFDS has a builder of that name."""
    copy = _copy(written, tmp_path, "imagenet2012")
    for path in copy.glob("tiny_flowers*"):
        path.rename(path.with_name(path.name.replace("tiny_flowers", "imagenet2012")))
    _edit(
        copy / "dataset_info.json",
        name="imagenet2012",
        moduleName="tensorflow_datasets.datasets.imagenet2012.builder",
    )
    source = open_(tmp_path, "imagenet2012:validation")
    assert [source[i]["label"] for i in range(3)] == [0, 1, 2]
    _edit(copy / "dataset_info.json", moduleName="dpjax.data.builders.imagenet")
    with pytest.raises(errors.DataError, match=r"metadata\.json cannot be read"):
        open_(tmp_path, "imagenet2012:validation")


def test_a_damaged_record_is_named(written, tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "decode", lambda data: None)
    with pytest.raises(
        errors.DataError, match=r"Record '0000002' \(number 2\) of tiny"
    ):
        open_(written, "tiny_flowers:train")[2]


def _copy(written, tmp_path, name="tiny_flowers"):
    copy = tmp_path / name / "5.1.0"
    copy.mkdir(parents=True)
    for path in (written / "tiny_flowers" / "5.1.0").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def _edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
