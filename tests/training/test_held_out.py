"""Runs that keep a share of their music back, and go on without it."""

import logging

import pytest

from music_vae import train
from music_vae.common.errors import UserError
from music_vae.dataset import tfrecord
from music_vae.training import held_out, validation
from support.sizes import TINY


@pytest.fixture(scope="module")
def corpus(tunes, tmp_path_factory):
    """Ten pieces: five of each tune, in other tempos."""
    import note_seq

    records = [note_seq.NoteSequence.FromString(r) for r in tfrecord.read_records(tunes)][:2]
    pieces = []
    for sequence in records:
        for qpm in range(80, 85):
            sequence.tempos[0].qpm = qpm
            pieces.append(
                note_seq.sequences_lib.stretch_note_sequence(sequence, 1).SerializeToString()
            )
    path = tmp_path_factory.mktemp("corpus") / "ten.tfrecord"
    tfrecord.write_records(path, pieces)
    return path


def command(corpus, run_dir, *flags):
    return train.main(
        [
            *("--config=cat-mel_2bar_small", f"--hparams={TINY}", "--seed=3"),
            *(f"--examples_path={corpus}", "--validate_every=2", f"--run_dir={run_dir}", *flags),
        ]
    )


def counts(caplog):
    return [int(m.split()[0]) for m in caplog.messages if " sequences gave " in m]


def test_a_run_is_validated_on_what_it_holds_out(corpus, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert command(corpus, tmp_path, "--num_steps=2", "--holdout=0.2", "--patience=3") == 0
    assert counts(caplog) == [8, 2]
    assert len(validation.read_curve(tmp_path)) == 1
    assert (tmp_path / "best/weights.safetensors").is_file()
    caplog.clear()
    evaluation = ["--mode=eval", "--eval_once"]
    assert train.main([*evaluation, f"--run_dir={tmp_path}", f"--examples_path={corpus}"]) == 0
    assert counts(caplog) == [10]
    caplog.clear()
    evaluation += ["--holdout=0.2"]
    assert train.main([*evaluation, f"--run_dir={tmp_path}", f"--examples_path={corpus}"]) == 0
    assert counts(caplog) == [2]


def test_a_run_goes_on_holding_out_the_same_share(corpus, tmp_path, caplog, capsys):
    caplog.set_level(logging.INFO)
    assert command(corpus, tmp_path, "--num_steps=2", "--holdout=0.2") == 0
    caplog.clear()
    assert command(corpus, tmp_path, "--num_steps=4") == 0
    assert "the run goes on holding out a share of 0.2 of the pieces" in caplog.messages
    assert counts(caplog) == [8, 2]
    assert command(corpus, tmp_path, "--num_steps=6", "--holdout=0.5") == 2
    error = capsys.readouterr().err
    assert "--holdout=0.5: this run was trained on all but a share of 0.2 of the pieces" in error
    assert "start a new run in another folder" in error


def test_a_run_that_held_out_nothing_cannot_begin_to(corpus, tmp_path, capsys):
    assert command(corpus, tmp_path, "--num_steps=2") == 0
    assert command(corpus, tmp_path, "--num_steps=4", "--holdout=0.2") == 2
    assert "--holdout=0.2: this run was trained on all pieces so far" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--holdout=0.2", "--validation_path=a"), "give --validation_path or --holdout, not both"),
        (("--holdout=0",), "--holdout=0: expected a number from 0.001 to 0.9"),
        (
            ("--holdout=0.2", "--examples_path=", "--tfds_name=groove"),
            "--holdout is for --examples",
        ),
    ],
)
def test_wrong_flags_are_said(corpus, tmp_path, capsys, flags, message):
    assert command(corpus, tmp_path / "run", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"share": 2}', '{"share": null}', "\xff"])
def test_a_damaged_share_is_said(tmp_path, content):
    (tmp_path / held_out.FILE).write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match="does not say what share of the pieces is held out"):
        held_out.share_of(tmp_path, None)
