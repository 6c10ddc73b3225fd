"""Outputs appear whole or not at all."""

import stat

import pytest

from music_vae.common import files
from music_vae.common.errors import UserError


def test_a_file_appears_with_its_folder_when_it_is_complete(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with files.atomic_path(target) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_as_readable_as_any_other(tmp_path):
    files.write_text(tmp_path / "a.txt", "text")
    (tmp_path / "b.txt").write_text("text")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")]
    assert modes[0] == modes[1]


def test_a_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "new" / "folder"
    with files.atomic_directory(target, "output_dir") as temporary:
        (temporary / "a.txt").write_text("whole")
        assert not target.exists()
    assert (target / "a.txt").read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]
    (tmp_path / "plain").mkdir()
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_empty_folder_is_filled_and_a_failure_leaves_it_empty(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(RuntimeError), files.atomic_directory(target, "output_dir") as temporary:
        (temporary / "a.txt").write_text("half")
        raise RuntimeError
    assert list(tmp_path.rglob("*")) == [target]
    with files.atomic_directory(target, "output_dir") as temporary:
        (temporary / "a.txt").write_text("whole")
    assert [path.name for path in target.iterdir()] == ["a.txt"]


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    for target, message in ((tmp_path, "is not empty"), (tmp_path / "a.txt", "not a directory")):
        with (
            pytest.raises(UserError, match=message),
            files.atomic_directory(target, "output_dir"),
        ):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_of_two_that_make_the_same_folder_of_a_cache_the_first_stays(tmp_path):
    target = tmp_path / "new" / "folder"
    with files.cached_directory(target) as first, files.cached_directory(target) as second:
        for folder, text in ((first, "second"), (second, "first")):
            (folder / "a.txt").write_text(text)
    assert (target / "a.txt").read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_what_fails_in_a_folder_of_a_cache_is_raised_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="disk full"), files.cached_directory(tmp_path / "folder"):
        raise OSError("disk full")
    assert not list(tmp_path.iterdir())
