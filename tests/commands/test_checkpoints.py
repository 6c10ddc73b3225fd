"""`music_vae_checkpoints`: list, download, info and export."""

import numpy as np
import pytest
import tensorflow as tf

from music_vae.commands import checkpoints
from music_vae.common.cache import VARIABLE
from music_vae.export import tf1
from music_vae.weights import config_file, published, tf_checkpoints
from support import paths

GOLDEN = paths.GOLDEN / "models" / "cat-mel_2bar_small" / "model.ckpt"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_list_shows_every_id_and_what_is_here(cache, capsys):
    cache.mkdir()
    (cache / "groove_4bar.tar").write_bytes(bytes(1_500_000))
    assert checkpoints.main(["list"]) == 0
    rows = [line.split() for line in lines(capsys)]
    assert [row[0] for row in rows[1:-2]] == list(published.PUBLISHED)
    assert ["groovae_4bar", "groovae_4bar", "groove_4bar.tar", "1.5", "MB"] in rows
    assert ["hierdec-trio_16bar"] * 2 + ["hierdec-trio_16bar.tar", "no"] in rows
    assert rows[-1] == ["cache:", str(cache)]


def test_download_prints_where_the_files_are(cache, capsys, http_server, tiny_run, tmp_path):
    tar = tf1.export(tiny_run, tmp_path / "x.tar").read_bytes()
    ids = ["cat-mel_2bar_big", "nade-drums_2bar_full"]
    http_server.files = {f"{id}.tar": tar for id in ids}
    assert checkpoints.main(["download", *ids, f"--checkpoint_base_url={http_server.url}"]) == 0
    assert lines(capsys) == [str(cache / f"{id}.tar") for id in ids]
    assert checkpoints.main(["download", *ids]) == 0
    assert len(http_server.requests) == 2


def test_download_of_an_unknown_id_downloads_nothing(capsys, http_server):
    flag = f"--checkpoint_base_url={http_server.url}"
    assert checkpoints.main(["download", "groovae_4bar", "groovae_3bar", flag]) == 2
    assert "did you mean groovae_4bar?" in capsys.readouterr().err
    assert not http_server.requests


def test_info_on_a_published_checkpoint(capsys, tmp_path):
    weights = tf_checkpoints.read_weights(GOLDEN)
    weights |= {"encoder/mu/bias/Adam": np.zeros(12, np.float32)}
    tf1.write_variables(tmp_path / "model.ckpt", weights)
    assert checkpoints.main(["info", str(tmp_path / "model.ckpt")]) == 0
    shown = [line.split() for line in lines(capsys)]
    assert ["layout", "published", "(TF1)"] in shown
    assert ["step", "1234"] in shown
    assert ["config", "not", "said"] in shown
    sizes = "--hparams=z_size=12,enc_rnn_size=[24],dec_rnn_size=[20,16]"
    assert ["fits", "--config=cat-mel_2bar_small", sizes] in shown
    count = sum(w.size for name, w in weights.items() if name not in ("encoder/mu/bias/Adam",)) - 1
    assert ["weights", "16,", "with", f"{count:,}", "parameters"] in shown
    assert ["encoder/mu/kernel", "[48,", "12]"] in shown
    ignored = shown[shown.index(["ignored:"]) + 1 :]
    assert ignored == [["encoder/mu/bias/Adam", "[12]"], ["global_step", "[]"]]


def test_info_on_a_run(capsys, tiny_run):
    assert checkpoints.main(["info", str(tiny_run)]) == 0
    shown = [line.split() for line in lines(capsys)]
    assert ["layout", "a", "run", "of", "music_vae"] in shown
    assert ["step", "3"] in shown
    assert ["config", "cat-mel_2bar_small"] in shown
    assert ["ignored", "nothing"] in shown


def test_info_says_where_weights_and_config_disagree(capsys, tmp_path, tiny_config):
    tf1.export(GOLDEN, f"{tmp_path}/", tiny_config)
    assert checkpoints.main(["info", str(tmp_path)]) == 0
    assert "cat-mel_2bar_small, which these weights do not fit" in capsys.readouterr().out


def test_export_writes_and_prints_what_it_wrote(capsys, tiny_run, tmp_path):
    out = tmp_path / "out.tar"
    assert checkpoints.main(["export", "--format=tf1", str(tiny_run), str(out)]) == 0
    assert lines(capsys) == [str(out)]
    assert config_file.read(out) == config_file.read(tiny_run)


def test_an_export_by_id_takes_the_ids_config_along(capsys, http_server, tiny_run, tmp_path):
    tar = tf1.export(tiny_run / "train" / "model.ckpt-3", tmp_path / "x.tar").read_bytes()
    http_server.files["cat-mel_2bar_big.tar"] = tar
    flag, out = f"--checkpoint_base_url={http_server.url}", tmp_path / "out.tar"
    assert checkpoints.main(["export", "cat-mel_2bar_big", str(out), flag]) == 0
    assert config_file.read(out).name == "cat-mel_2bar_big"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give list, download ID, info CHECKPOINT or export CHECKPOINT OUT"),
        (["lists"], "cannot read 'lists'"),
        (["list", "x"], "cannot read 'list x'"),
        (["download"], "cannot read 'download'"),
        (["info"], "cannot read 'info'"),
        (["info", "nowhere"], "there is no checkpoint 'nowhere'"),
        (["export", "nowhere"], "cannot read 'export nowhere'"),
        (["export", "nowhere", "out"], "there is no checkpoint 'nowhere'"),
        (["export", "--format=tf2", "a", "b"], "--format"),
        (["list", "--no_such_flag"], "no_such_flag"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert checkpoints.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_a_home_folder_a_line_names_the_variable(monkeypatch, homeless, capsys):
    monkeypatch.delenv("MUSIC_VAE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert checkpoints.main(["list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "MUSIC_VAE_CACHE" in line


def test_names_in_a_checkpoint_control_no_terminal(capsys, tmp_path):
    prefix = str(tmp_path / "model.ckpt")
    names, value = ["\x1b[31mred\nX", "global_step"], tf.constant(0, tf.int64)
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=["", ""], tensors=[value, value]
    )
    assert checkpoints.main(["info", prefix]) == 0
    output = capsys.readouterr().out
    assert "\\x1b[31mred\\nX" in output
    assert all(line.isprintable() for line in output.splitlines())
