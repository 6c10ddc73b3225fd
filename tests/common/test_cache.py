"""There is one cache, wherever the environment or the platform puts it."""

import sys

import pytest

from music_vae.common.cache import cache_dir
from music_vae.common.errors import UserError


def test_the_variable_may_begin_with_the_home_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MUSIC_VAE_CACHE", "~/mine")
    assert cache_dir() == tmp_path / "mine"


def test_the_variable_may_be_relative_and_the_answer_is_not(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSIC_VAE_CACHE", "relative")
    assert cache_dir() == tmp_path / "relative"


def test_without_it_the_platform_decides(monkeypatch):
    monkeypatch.delenv("MUSIC_VAE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert "music_vae" in cache_dir().parts


@pytest.mark.skipif(sys.platform != "linux", reason="XDG names directories of Linux")
def test_on_linux_the_directory_of_caches_can_be_named(monkeypatch, tmp_path):
    monkeypatch.delenv("MUSIC_VAE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "music_vae"


def test_without_a_home_folder_the_variable_is_named(monkeypatch, homeless, tmp_path):
    monkeypatch.delenv("MUSIC_VAE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(UserError, match="no home folder") as raised:
        cache_dir()
    assert "MUSIC_VAE_CACHE" in raised.value.hint
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
