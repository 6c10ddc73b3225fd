"""Published checkpoints by id: from a server once, from the cache after, with their config."""

import shutil
import tarfile
from pathlib import Path

import pytest

from music_vae import generate
from music_vae.common import cache
from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP
from music_vae.export import tf1
from music_vae.weights import config_file, downloads, locate, published
from support.sizes import TINY

BIG = "cat-mel_2bar_big"


@pytest.fixture(scope="module")
def tiny_tar(tiny_run, tmp_path_factory):
    """The bytes of a tar with the tiny run's checkpoint and nothing else, as the published are."""
    return tf1.export(
        tiny_run / "train" / "model.ckpt-3", tmp_path_factory.mktemp("tar") / "x.tar"
    ).read_bytes()


@pytest.fixture
def server(http_server, tiny_tar, monkeypatch, tmp_path):
    """Serves the tiny tar as a published one, to an empty cache; this is no one's directory."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv(published.BASE_URL_VARIABLE, f"{http_server.url}/")
    monkeypatch.setattr(downloads, "RETRY_DELAYS_S", (0.0, 0.0))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    http_server.files[f"{BIG}.tar"] = tiny_tar
    return http_server


def test_every_id_has_a_config_and_a_file():
    assert len(published.PUBLISHED) == 11
    for id, entry in published.PUBLISHED.items():
        assert entry.id == id
        assert entry.config in CONFIG_MAP
        assert entry.files[0] == f"{id}.tar"
    assert published.PUBLISHED["cat-drums_2bar_small.hikl"].config == "cat-drums_2bar_small"
    assert published.PUBLISHED["groovae_4bar"].files == ("groovae_4bar.tar", "groove_4bar.tar")


def test_the_second_use_needs_no_server(server, tmp_path, tiny_tar):
    path = published.resolve(BIG)
    assert path == tmp_path / "cache" / f"{BIG}.tar"
    assert path.read_bytes() == tiny_tar
    server.close()
    assert published.resolve(BIG) == path
    assert server.names() == [f"{BIG}.tar"]


def test_a_file_that_was_put_into_the_cache_by_hand_serves(server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "groove_4bar.tar").write_bytes(b"x")
    assert published.resolve("groovae_4bar").name == "groove_4bar.tar"
    assert not server.requests


def test_the_other_name_of_a_file_is_tried(server, tiny_tar):
    server.files["groove_4bar.tar"] = tiny_tar
    assert published.resolve("groovae_4bar").name == "groove_4bar.tar"
    assert server.names() == ["groovae_4bar.tar", "groove_4bar.tar"]


def test_a_file_that_no_name_finds_is_one_line(server):
    with pytest.raises(UserError, match=r"has no groovae_4bar.tar and no groove_4bar.tar"):
        published.resolve("groovae_4bar")


def test_the_argument_goes_before_the_environment(server, monkeypatch):
    monkeypatch.setenv(published.BASE_URL_VARIABLE, "http://127.0.0.1:9/nowhere")
    published.resolve(BIG, server.url)
    assert server.names() == [f"{BIG}.tar"]


def test_a_page_that_is_no_archive_never_gets_into_the_cache(server, tmp_path):
    server.files[f"{BIG}.tar"] = b"<html>Please log in to this network</html>" * 100
    with pytest.raises(UserError, match=r"is of no use: .* cannot be read as a tar archive"):
        published.resolve(BIG)
    assert published.cached(published.get(BIG)) is None


def test_an_archive_that_is_cut_off_on_the_server_never_gets_into_the_cache(server, tiny_tar):
    server.files[f"{BIG}.tar"] = tiny_tar[:3000]
    with pytest.raises(UserError, match="is of no use"):
        published.resolve(BIG)
    assert published.cached(published.get(BIG)) is None


def test_a_checkpoint_of_that_name_goes_before_the_id(server, caplog):
    folder = Path(BIG) / "train"
    folder.mkdir(parents=True)
    (folder / "model.ckpt-1.index").write_bytes(b"")
    with caplog.at_level("INFO", "music_vae"):
        assert published.resolve(BIG) == Path(BIG)
    assert "goes before the published one" in caplog.text
    shutil.rmtree(BIG)
    Path(f"{BIG}.index").write_bytes(b"")
    assert published.find(BIG) is None
    assert not server.requests


def test_a_folder_of_music_with_that_name_does_not(server):
    Path(BIG).mkdir()
    (Path(BIG) / "sample.mid").write_bytes(b"")
    assert published.find(BIG) is not None
    locate.check_there(BIG)


def test_an_id_names_its_config_without_a_download(server):
    assert config_file.read("cat-drums_2bar_small.lokl") == CONFIG_MAP["cat-drums_2bar_small"]
    locate.check_there("cat-drums_2bar_small.lokl")
    assert not server.requests


def test_an_unknown_id_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=f"did you mean {BIG}?"):
        published.get("cat-mel_2bar_bigg")


# -- On the command line --------------------------------------------------------------------------


def run_generate(*flags):
    return generate.main(
        [f"--hparams={TINY}", "--num_outputs=1", "--seed=1", "--output_dir=music", *flags]
    )


def test_music_is_made_by_id_and_again_without_a_server(server, capsys):
    assert run_generate(f"--checkpoint_file={BIG}") == 0
    server.close()
    assert run_generate(f"--checkpoint_file={BIG}", "--output_dir=again") == 0
    one, two = (next(Path(name).iterdir()) for name in ("music", "again"))
    assert one.name.startswith(f"{BIG}_sample_")
    assert one.read_bytes() == two.read_bytes()
    assert len(server.requests) == 1


def test_another_address_can_be_given(server, monkeypatch):
    monkeypatch.delenv(published.BASE_URL_VARIABLE)
    flags = [f"--checkpoint_file={BIG}", f"--checkpoint_base_url={server.url}"]
    assert run_generate(*flags) == 0
    assert len(server.requests) == 1


def test_a_config_that_contradicts_the_id_is_refused_before_a_download(server, capsys):
    flags = [f"--checkpoint_file={BIG}", "--config=cat-drums_2bar_small"]
    assert run_generate(*flags) == 2
    assert f"{BIG} was trained with the config {BIG}, not --config" in capsys.readouterr().err
    assert not server.requests


def test_a_config_that_says_the_same_is_no_contradiction(server):
    assert run_generate(f"--checkpoint_file={BIG}", f"--config={BIG}") == 0


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda server: server.files.clear(), f"has no {BIG}.tar"),
        (lambda server: server.close(), "no connection to the server"),
        (lambda server: setattr(server, "status", 500), "status 500"),
        (lambda server: server.break_after.extend([9] * 99), "the connection was lost"),
    ],
)
def test_a_download_that_fails_is_one_line_and_exit_code_2(server, capsys, break_it, message):
    break_it(server)
    assert run_generate(f"--checkpoint_file={BIG}", "--log=WARN") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("music").exists()


def test_a_published_archive_holds_no_more_than_a_checkpoint(tiny_tar, tmp_path):
    (tmp_path / "a.tar").write_bytes(tiny_tar)
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert all(member.isreg() for member in tar)
