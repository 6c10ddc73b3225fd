"""A run on disk."""

from music_vae.configs import get_config
from music_vae.training.run import Run

SIZES = "z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"


def test_what_a_killed_run_left_is_removed_at_its_next_start(tmp_path):
    run = Run(get_config("cat-mel_2bar_small", SIZES), tmp_path)
    first = run.save()
    train = tmp_path / "train"
    (train / "model.ckpt-7_temp").mkdir()
    (train / "model.ckpt-7_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    names = {".weights.x7_ab.safetensors", ".config.x7_ab.json", "checkpoint.tmp12ab"}
    for name in names:
        (train / name).write_bytes(b"half")
    (train / "mine").mkdir()
    before = {path.name for path in train.iterdir()}
    again = Run(run.config, tmp_path)
    assert again.restored == first
    assert before - {path.name for path in train.iterdir()} == {*names, "model.ckpt-7_temp"}
