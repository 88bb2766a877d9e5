"""Files below a folder: links, loops and what is hidden."""

import pytest

from dpjax.data import folders


@pytest.fixture
def folder(tmp_path):
    """A folder with a file, and one elsewhere with two."""
    (tmp_path / "here" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    for name in ("here/a/1.png", "elsewhere/2.png", "elsewhere/deep/3.png"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path / "here"


def below(folder):
    found = [p.relative_to(folder).as_posix() for p in folders.files(folder)]
    assert found == sorted(found)
    return found


def test_links_to_folders_and_files_are_followed(folder):
    (folder / "scene").symlink_to(folder.parent / "elsewhere")
    (folder / "4.png").symlink_to(folder.parent / "elsewhere" / "2.png")
    assert below(folder) == ["4.png", "a/1.png", "scene/2.png", "scene/deep/3.png"]


def test_a_folder_that_is_itself_a_link_is_read(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert below(tmp_path / "link") == ["a/1.png"]


def test_two_links_to_one_folder_are_both_followed(folder):
    for name in ("x", "y"):
        (folder / name).symlink_to(folder.parent / "elsewhere" / "deep")
    assert below(folder) == ["a/1.png", "x/3.png", "y/3.png"]


@pytest.mark.parametrize("target", ["here", "here/a", "."])
def test_a_link_to_a_folder_above_ends(folder, target):
    (folder / "a" / "back").symlink_to(folder.parent / target)
    assert below(folder) == ["a/1.png"]


def test_links_to_each_other_end(folder):
    (folder / "b").mkdir()
    (folder / "a" / "to_b").symlink_to(folder / "b")
    (folder / "b" / "to_a").symlink_to(folder / "a")
    assert below(folder) == ["a/1.png", "b/to_a/1.png"]


def test_what_is_hidden_stays_so(folder):
    (folder / ".cache").mkdir()
    (folder / ".cache" / "5.png").write_bytes(b"")
    (folder / "a" / "._1.png").write_bytes(b"")
    assert below(folder) == ["a/1.png"]


def test_a_link_to_a_file_that_is_gone_is_not_passed_over(folder):
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    assert below(folder) == ["a/1.png", "gone.png"]
