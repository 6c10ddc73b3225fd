"""Outputs appear whole or not at all."""

import errno
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

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


def test_a_new_file_replaces_none_even_one_that_came_meanwhile(tmp_path):
    target = tmp_path / "a.txt"
    with (
        pytest.raises(UserError, match=r"a\.txt: there is a file of that name already") as found,
        files.new_path(target) as temporary,
    ):
        temporary.write_text("mine")
        target.write_text("another's")
    assert (target.read_text(), found.value.hint) == ("another's", "give another name")
    with pytest.raises(UserError, match="already"), files.new_path(target):
        raise AssertionError("is not begun")
    link = tmp_path / "b.txt"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="already"), files.new_path(link):
        raise AssertionError("is not begun")
    assert sorted(tmp_path.iterdir()) == [target, link]


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


def test_a_new_text_replaces_none(tmp_path):
    (tmp_path / "index.html").write_text("old")
    paths = [files.write_new_text(tmp_path / "index.html", text) for text in ("one", "two")]
    assert [path.name for path in paths] == ["index-2.html", "index-3.html"]
    assert [path.read_text() for path in paths] == ["one", "two"]
    assert (tmp_path / "index.html").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3
    assert paths[0].stat().st_mode == (tmp_path / "index.html").stat().st_mode


def test_a_new_text_replaces_none_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    test_a_new_text_replaces_none(tmp_path)


def test_names_that_are_taken_at_once_are_all_different(tmp_path):
    def write(number):
        with files.free_name(tmp_path / "new", "tune") as name:
            files.write_text(tmp_path / "new" / f"{name}-0.txt", str(number))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(24)))
    texts = {path.read_text() for path in (tmp_path / "new").iterdir()}
    assert texts == {str(number) for number in range(24)}


@pytest.mark.parametrize("file", ["tune.png", "tune-000-of-003.mid"])
def test_a_name_that_any_file_begins_with_is_taken(tmp_path, file):
    (tmp_path / file).touch()
    (tmp_path / "tunes.mid").touch()
    for name, free in (("tune", "tune-2"), ("tun", "tun")):
        with files.free_name(tmp_path, name) as found:
            assert found == free
    assert sorted(os.listdir(tmp_path)) == sorted([file, "tunes.mid"])


def test_a_drive_that_refuses_permissions_is_written_to(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)
    files.write_text(tmp_path / "a.txt", "text")
    files.write_new_text(tmp_path / "b.txt", "text")
    for make in (files.cached_directory, lambda path: files.atomic_directory(path, "output_dir")):
        with make(tmp_path / "folder") as temporary:
            (temporary / "c.txt").write_text("text")
        shutil.rmtree(tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("name", ["~draft.mid", "~/tune.mid", "~"])
def test_without_a_home_folder_a_name_stays_as_it_is(name, homeless, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(files.expand(name)) == name


def test_a_file_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write_text("~draft.txt", "text")
    assert (tmp_path / "~draft.txt").read_text() == "text"


def test_a_name_that_is_not_utf_8_is_escaped_in_a_text(tmp_path):
    files.write_text(tmp_path / "a.txt", "caf\udce9")
    files.write_new_text(tmp_path / "b.txt", "caf\udce9")
    assert [path.read_text() for path in tmp_path.iterdir()] == [r"caf\udce9"] * 2
