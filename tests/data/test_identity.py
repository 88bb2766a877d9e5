"""The same picture is recognised, other pictures are not, and leakage is refused."""

import cv2
import numpy as np
import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.data import identity, image_files, preparation, sources, transforms


def code(image):
    return np.frombuffer(identity.fingerprint(image), np.uint8)[None]


def distance(first, second):
    return int(identity.distances(code(first), code(second))[0, 0])


def grey(image):
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def resized(image, factor):
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def jpeg(image, quality):
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def write(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(image).save(
        path, **({} if path.suffix == ".png" else {"quality": 60})
    )


def prepare(folder, directory, name="mine", **options):
    preparation.prepare(
        "image_folder", folder=folder, directory=directory, config=name, **options
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda image: jpeg(image, 10),
        grey,
        lambda image: resized(image, 0.3),
        lambda image: resized(image, 2.3),
        lambda image: np.clip(image * 0.6 + 40, 0, 255).astype(np.uint8),
        lambda image: jpeg(grey(resized(image, 0.4)), 30),
    ],
    ids=["jpeg", "grey", "smaller", "larger", "brightness", "all"],
)
def test_a_changed_copy_is_the_same_picture(photo, change):
    assert distance(photo, change(photo)) <= identity.SAME_BITS // 2


@pytest.mark.parametrize("index", range(8))
def test_flips_and_rotations_are_the_same_picture(photo, index):
    square = photo[:, 75:375]
    assert distance(square, transforms.dihedral(square, index)) <= 4
    assert distance(photo, np.ascontiguousarray(transforms.dihedral(photo, index))) <= 4


def test_distance_counts_differing_bits():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (3, 32), np.uint8)
    other = rng.integers(0, 256, (5, 32), np.uint8)
    bits = np.unpackbits(one, axis=1)[:, None] != np.unpackbits(other, axis=1)[None]
    got = identity.distances(one, other)
    assert (got <= bits.sum(-1)).all()  # the identity is one of the eight
    assert (identity.distances(one, one).diagonal() == 0).all()
    flipped = one.copy()
    flipped[:, 9] ^= 0b101
    assert (identity.distances(one, flipped).diagonal() == 2).all()


def test_unrelated_photographs_are_far_apart():
    source = sources.open_sources(["photos:train", "photos:test"])
    names, codes = source.ids(), source.fingerprints()
    bits = identity.distances(codes, codes)
    related = {"motorcycle_left", "motorcycle_right"}  # one scene, two views
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            if i < j and not {first, second} <= related:
                assert bits[i, j] > identity.SAME_BITS + 20, (first, second)


def test_a_constant_image_has_a_stable_identity():
    flat = np.full((40, 50, 3), 77, np.uint8)
    assert identity.fingerprint(flat) == bytes(32)


def test_chunks_do_not_change_what_is_found(monkeypatch, tmp_path, photo):
    for i in range(5):
        write(photo[:, 60 * i : 60 * i + 150], tmp_path / f"{i}.png")
    write(resized(photo[:, 180:330], 0.7), tmp_path / "copy.jpg")
    prepare(tmp_path, tmp_path / "records", ratio=1.0)
    source = sources.open_sources(
        ["image_folder/mine:train"], directory=tmp_path / "records"
    )
    assert identity.find_duplicates(source) == [("3.png", "copy.jpg")]
    monkeypatch.setattr(identity, "_CHUNK", 2)
    assert identity.find_duplicates(source) == [("3.png", "copy.jpg")]


def test_chains_of_copies_lead_to_the_first_of_them(monkeypatch):
    def changed(bits, at):
        """The fingerprint with so many bits flipped from a place on."""
        flipped = bits.copy()
        flipped[at : at + identity.SAME_BITS] ^= 1
        return flipped

    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 2, (2, 256), np.uint8)
    near = changed(one, 0)
    far = changed(near, identity.SAME_BITS)  # like `near`, no longer like `one`
    codes = np.packbits([far, other, one, near, other], axis=-1)
    assert identity.distances(codes[:1], codes[2:3])[0, 0] > identity.SAME_BITS
    for chunk in (512, 2, 1):
        monkeypatch.setattr(identity, "_CHUNK", chunk)
        assert identity.first_of_each(codes) == [0, 1, 0, 0, 1]
    assert identity.first_of_each(codes[:0]) == []


def test_photos_for_training_and_testing_share_nothing():
    train = sources.open_sources(["photos"], role="train")
    test = sources.open_sources(["photos"], role="evaluate")
    assert identity.find_overlap(train, test) == []
    identity.check_disjoint(config.Data(("photos",), ("photos",)))


def test_a_resized_jpeg_copy_in_the_test_split_is_refused(tmp_path, photo):
    folder, records = tmp_path / "images", tmp_path / "records"
    write(photo, folder / "train" / "cat.png")
    write(photo[:, ::-1][:150], folder / "train" / "half.png")
    write(grey(resized(photo, 0.5)), folder / "test" / "small.jpg")
    prepare(folder, records)
    data = config.Data(
        ("image_folder/mine",), ("image_folder/mine",), directory=str(records)
    )
    with pytest.raises(errors.DataError) as caught:
        identity.check_disjoint(data)
    message = str(caught.value)
    assert "image_folder/mine:test would be scored" in message
    assert "train/cat.png = test/small.jpg" in message
    assert "--data.allow-overlap image_folder/mine" in message
    assert "'image_folder/mine:train-train/cat.png'" in message
    # each remedy of the message works
    for name in ("image_folder/mine", "image_folder/mine:test", "image_folder"):
        identity.check_disjoint(
            config.Data(
                data.train, data.evaluate, directory=str(records), allow_overlap=(name,)
            )
        )
    identity.check_disjoint(
        config.Data(
            ("image_folder/mine:train-train/cat.png",),
            data.evaluate,
            directory=str(records),
        )
    )


def test_allowing_something_that_is_not_evaluated_is_a_mistake():
    data = config.Data(("photos",), ("photos",), allow_overlap=("phots",))
    with pytest.raises(errors.UserError, match=r"'phots'\. Did you mean photos"):
        identity.check_disjoint(data)


def test_same_records_on_both_sides_are_refused_briefly():
    with pytest.raises(errors.DataError, match="and 12 more") as caught:
        identity.check_disjoint(config.Data(("photos",), ("photos:train",)))
    assert len(str(caught.value)) < 400


def test_public_sets_that_hashes_cannot_compare_are_known(tmp_path, monkeypatch, photo):
    """Stand-ins of two images each, under the names of real sets."""
    from dpjax.data.builders import restoration

    names = {
        "bsds500": ("val", "1", "2"),
        "bsd68": ("test", "a", "b"),
        "train400": ("train", "x", "y"),
        "set12": ("test", "04", "05"),
    }
    for i, (name, (split, *ids)) in enumerate(names.items()):
        kind = getattr(restoration, name.capitalize())
        monkeypatch.setattr(kind, "counts", {split: 2})
        for j, stem in enumerate(ids):
            left = 50 * (2 * i + j)
            write(photo[:, left : left + 80], tmp_path / name / f"{stem}.png")
        preparation.prepare(
            name,
            folder=tmp_path / name,
            directory=tmp_path,
            **({"split": split} if name == "bsds500" else {}),
        )

    def check(train, test):
        identity.check_disjoint(config.Data((train,), (test,), directory=str(tmp_path)))

    with pytest.raises(errors.DataError, match="BSD68 is part of BSDS500 val"):
        check("bsds500:val", "bsd68")
    with pytest.raises(errors.DataError, match="a crop = 04"):
        check("train400", "set12")
    check("bsds500:val", "set12")
    check("train400", "bsd68")
    check("train400", "set12:test-04")


def test_real_sets_share_what_is_published(data_root, tmp_path):
    folders = {
        "bsds500": "bsds500_train",
        "set5": "set5",
        "set12": "set12",
        "set14": "set14",
    }
    for name, folder in folders.items():
        path = data_root / "restoration" / folder
        if not path.is_dir():
            pytest.skip(f"DPJAX_DATA has no restoration/{folder}")
        preparation.prepare(name, folder=path, directory=tmp_path)

    def opened(name):
        return sources.open_sources([name], role="evaluate", directory=tmp_path)

    assert set(identity.find_overlap(opened("set12"), opened("set14"))) == {
        ("03", "pepper"),
        ("08", "lenna"),
        ("11", "man"),
    }
    bsds = opened("bsds500:train")
    assert identity.find_overlap(bsds, opened("set5")) == [("302003", "woman_GT")]
    # The starfish is cut out, pixel by pixel: invisible to whole-image hashes.
    assert identity.find_overlap(bsds, opened("set12")) == []
    starfish = opened("set12")[opened("set12").ids().index("04")]["image"][..., 0]
    whole = bsds[bsds.ids().index("12003")]["image"]
    match = cv2.matchTemplate(
        cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY), starfish, cv2.TM_CCOEFF_NORMED
    )
    assert match.max() > 0.999
    pairs, reasons = identity.shared_pictures(bsds, opened("set12"))
    assert pairs == [("12003", "04")]
    assert "starfish" in reasons[0]


def test_a_picture_file_and_its_record_have_the_same_identity(tmp_path, photo):
    write(photo, tmp_path / "a" / "p.png")
    prepare(tmp_path / "a", tmp_path, ratio=1.0)
    source = sources.open_sources(["image_folder/mine:train"], directory=tmp_path)
    loaded = image_files.load(tmp_path / "a" / "p.png").image
    assert source[0]["fingerprint"] == identity.fingerprint(loaded)
