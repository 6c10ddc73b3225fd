"""How many windows corpora give, and how many leak."""

import windows

from music_vae.configs import get_config
from music_vae.dataset import tfrecord

SCALE = [(60 + n, 0.5) for n in range(16)]
ARPEGGIO = [(60 + 4 * (n % 4), 0.5) for n in range(16)]


def write(folder, **parts):
    for split in ("train", "validation", "test"):
        records = [tune.SerializeToString() for tune in parts.get(split, [])]
        tfrecord.write_records(folder / f"{split}.tfrecord", records)


def test_windows_and_leaks_are_counted_in_any_key(make_tune, tmp_path, capsys):
    higher = [(pitch + 3, length) for pitch, length in SCALE]
    one, other = tmp_path / "one", tmp_path / "other"
    write(one, train=[make_tune(SCALE), make_tune([(60, 1)] * 3)])
    write(other, train=[make_tune(higher)], test=[make_tune(higher), make_tune(ARPEGGIO)])
    counts = windows.counts(get_config("cat-mel_2bar_small"), [one, other])
    assert counts["train"] == (3, 2, 2, 1, 1.0)
    assert counts["validation"] == (0, 0, 0, 0, 0.0)
    assert counts["test"] == (2, 2, 2, 2, 0.5)
    assert windows.main(["--config=cat-mel_2bar_small", f"--corpora={one},{other}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "cat-mel_2bar_small test: 2 sequences, 2 used, 2 windows, 2 different, 50.0% of them also "
        "in training"
    )
