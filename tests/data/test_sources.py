"""Records by name, by position, from threads; damage is named."""

import concurrent.futures
import pickle
import shutil

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import preparation, sources


@pytest.fixture
def copied(tmp_path):
    """A private copy of the prepared photographs, to be damaged."""
    sources.open_sources(["photos"])
    shutil.copytree(preparation.default_directory() / "photos", tmp_path / "photos")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("photos", ("photos", None, None, ())),
        ("bsds500:val", ("bsds500", None, "val", ())),
        ("image_folder/my-birds.2:test", ("image_folder", "my-birds.2", "test", ())),
        ("bsds500:train-302003,12003", ("bsds500", None, "train", ("302003", "12003"))),
        (
            "image_folder/b:train-x/a-1.png",
            ("image_folder", "b", "train", ("x/a-1.png",)),
        ),
        ("bsds500:train[:90%]", ("bsds500", None, "train[:90%]", ())),
        ("set5:test[-2:]-baby", ("set5", None, "test[-2:]", ("baby",))),
    ],
)
def test_parse_and_write_a_reference(text, parts):
    reference = sources.parse(text)
    got = (reference.name, reference.config, reference.split, reference.without)
    assert got == parts
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    ["", "a b", "set5:", "/x", "set5/a/b:train", "Set5", "set5:test[3]", "set5[:9]"],
)
def test_parse_refuses_what_it_cannot_read(text):
    with pytest.raises(errors.UserError, match="name:split or name/config:split"):
        sources.parse(text)


def test_photos_are_prepared_on_first_use_and_decode_to_the_files(photo):
    test = sources.open_sources(["photos"], role="evaluate")
    assert test.names == ("photos:test",)
    assert test.ids() == ["camera", "chelsea", "coffee"]
    record = test[1]
    assert record["id"] == "chelsea"
    assert record["source"] == "photos:test"
    np.testing.assert_array_equal(record["image"], photo)
    np.testing.assert_array_equal(test.sizes()[1], photo.shape[:2])


def test_every_photo_equals_its_file():
    from skimage import io

    for role in ("train", "evaluate"):
        source = sources.open_sources(["photos"], role=role)
        for i, name in enumerate(source.ids()):
            ending = (
                "jpg" if name in ("hubble_deep_field", "retina", "rocket") else "png"
            )
            import skimage

            truth = io.imread(f"{skimage.__path__[0]}/data/{name}.{ending}")
            if truth.ndim == 2:
                truth = np.repeat(truth[..., None], 3, axis=2)
            difference = np.abs(source[i]["image"].astype(int) - truth)
            assert difference.max() <= (1 if ending == "jpg" else 0), name


def test_positions_run_through_all_parts():
    both = sources.open_sources(["photos:test", "photos:train"])
    assert len(both) == 19
    assert both[2]["id"] == "coffee"
    assert both[3]["source"] == "photos:train"
    assert both[-1]["id"] == both.ids()[18]
    assert both[3]["fingerprint"] == both.fingerprints()[3].tobytes()
    for wrong in (19, -20):
        with pytest.raises(IndexError):
            both[wrong]


def test_a_split_can_be_cut_into_parts_that_share_nothing():
    whole = sources.open_sources(["photos:train"])
    first, rest = (
        sources.open_sources([f"photos:train{part}"]) for part in ("[:75%]", "[75%:]")
    )
    assert first.ids() + rest.ids() == whole.ids()
    assert len(rest) == 4
    assert rest[0]["source"] == "photos:train[75%:]"
    np.testing.assert_array_equal(rest[0]["image"], whole[12]["image"])
    one = sources.open_sources([f"photos:train[-2:]-{whole.ids()[-1]}"])
    assert one.ids() == [whole.ids()[-2]]
    for part, said in (("[50:]", "has no record"), ("[:120%]", "at most 100%")):
        with pytest.raises(errors.UserError, match=said):
            sources.open_sources([f"photos:train{part}"])
    with pytest.raises(errors.UserError, match=r"record of photos:train\[:2\]"):
        sources.open_sources([f"photos:train[:2]-{whole.ids()[-1]}"])


def test_records_can_be_left_out():
    source = sources.open_sources(["photos:test-chelsea"])
    assert source.ids() == ["camera", "coffee"]
    assert source[1]["id"] == "coffee"
    assert source[1]["image"].shape == (400, 600, 3)
    whole = sources.open_sources(["photos:test"])
    assert source.fingerprint != whole.fingerprint
    with pytest.raises(errors.UserError, match="Did you mean chelsea"):
        sources.open_sources(["photos:test-chelse"])


def test_fingerprint_is_that_of_the_records_not_of_the_folder(copied):
    here = sources.open_sources(["photos"]).fingerprint
    assert sources.open_sources(["photos"], directory=copied).fingerprint == here
    assert sources.open_sources(["photos:test"]).fingerprint != here


def test_cache_keeps_to_its_budget_and_returns_the_same_pixels():
    bare = sources.open_sources(["photos:test"])
    sizes = [bare[i]["image"].nbytes for i in range(3)]
    cached = bare.with_cache(sizes[0] + sizes[2])
    for _ in range(2):
        for i in range(3):
            np.testing.assert_array_equal(cached[i]["image"], bare[i]["image"])
    kept = [cached[i]["image"] is cached[i]["image"] for i in range(3)]
    assert kept == [True, True, False]  # first come, first kept; the third is too big
    assert bare[0]["image"] is not bare[0]["image"]
    with pytest.raises(ValueError, match="read-only"):
        cached[0]["image"][0] = 0


def test_threads_and_copies_read_the_same():
    source = sources.open_sources(["photos:test", "photos:train"], cache_bytes=5 << 20)
    wanted = [source[i]["image"].sum() for i in range(19)]
    fresh = sources.open_sources(["photos:test", "photos:train"], cache_bytes=5 << 20)
    positions = list(np.random.default_rng(0).integers(0, 19, 150))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(lambda i: fresh[int(i)]["image"].sum(), positions))
    assert sums == [wanted[i] for i in positions]
    copy = pickle.loads(pickle.dumps(source))
    assert len(pickle.dumps(source)) < 100_000  # no pixels, no open files
    assert copy[4]["image"].sum() == wanted[4]


def test_missing_sets_name_the_command(tmp_path):
    with pytest.raises(
        errors.DataError, match=r"python -m dpjax prepare set5 --from DIR --dir "
    ):
        sources.open_sources(["set5:test"], directory=tmp_path)
    with pytest.raises(errors.DataError, match=r"image_folder --from DIR --name birds"):
        sources.open_sources(["image_folder/birds"])
    with pytest.raises(errors.UserError, match="Did you mean bsds500"):
        sources.open_sources(["bsd500"])
    with pytest.raises(errors.UserError, match="at least one"):
        sources.open_sources([])


def test_a_set_under_another_name_is_pointed_out(tmp_path, photo):
    PIL.Image.fromarray(photo).save(tmp_path / "a.png")
    preparation.prepare(
        "image_folder", folder=tmp_path, directory=tmp_path, config="cats", ratio=1.0
    )
    with pytest.raises(errors.DataError, match="Prepared there: cats"):
        sources.open_sources(["image_folder/cat"], directory=tmp_path)
    # the only split serves for evaluation, but training wants to be told
    only = sources.open_sources(["image_folder/cats"], directory=tmp_path)
    assert only.names == ("image_folder/cats:train",)
    with pytest.raises(errors.DataError, match="no split 'test'; prepared in"):
        sources.open_sources(["image_folder/cats:test"], directory=tmp_path)


def test_training_does_not_fall_back_to_a_test_split(tmp_path, photo):
    (tmp_path / "i").mkdir()
    PIL.Image.fromarray(photo).save(tmp_path / "i" / "a.png")
    preparation.prepare(
        "image_folder", folder=tmp_path / "i", directory=tmp_path, config="t", ratio=0.0
    )
    evaluated = sources.open_sources(
        ["image_folder/t"], role="evaluate", directory=tmp_path
    )
    assert evaluated.names == ("image_folder/t:test",)
    with pytest.raises(errors.DataError, match="image_folder/t:test"):
        sources.open_sources(["image_folder/t"], role="train", directory=tmp_path)


def test_every_flipped_bit_is_noticed(copied):
    """One bit anywhere in the file: an error that names it, or the very same pixels."""
    file = next(copied.glob("photos/*/photos-test*"))
    data = file.read_bytes()
    good = [sources.open_sources(["photos:test"])[i]["image"] for i in range(3)]
    rng, complaints = np.random.default_rng(5), []
    for at in rng.integers(0, len(data), 25):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        source = sources.open_sources(["photos:test"], directory=copied)
        for i in range(3):
            try:
                np.testing.assert_array_equal(source[i]["image"], good[i])
            except errors.DataError as error:
                complaints.append((source.ids()[i], str(error)))
    assert len(complaints) > 10
    for name, message in complaints:
        assert f"Record {name!r}" in message
        assert str(file) in message


@pytest.mark.parametrize("keep", [0, 100, 600_000])
def test_a_shortened_file_is_noticed(copied, keep):
    file = next(copied.glob("photos/*/photos-test*"))
    file.write_bytes(file.read_bytes()[:keep])
    source = sources.open_sources(["photos:test"], directory=copied)
    with pytest.raises(errors.DataError, match=r"'coffee'.* is damaged.*--replace"):
        source[2]


def test_a_missing_file_and_a_damaged_index_are_noticed(copied):
    next(copied.glob("photos/*/photos-test*")).unlink()
    source = sources.open_sources(["photos:test"], directory=copied)
    with pytest.raises(errors.DataError, match="is damaged"):
        source[0]
    index = next(copied.glob("photos/*/metadata.json"))
    index.write_text(index.read_text()[:-20])
    with pytest.raises(errors.DataError, match=r"list of records .*metadata\.json"):
        sources.open_sources(["photos:test"], directory=copied)


def test_swapped_record_files_are_noticed(copied):
    test = next(copied.glob("photos/*/photos-test*"))
    train = next(copied.glob("photos/*/photos-train*"))
    test.write_bytes(train.read_bytes())
    source = sources.open_sources(["photos:test"], directory=copied)
    with pytest.raises(errors.DataError, match="it holds 'astronaut' instead"):
        source[0]


def test_inspect_tells_what_lies_on_disk(copied):
    prepared = sources.inspect("photos", directory=copied)
    assert prepared.counts == {"train": 16, "test": 3}
    assert prepared.skipped == []
    assert prepared.folder == copied / "photos" / "1.0.0"
