"""A message about what a flag names begins with that flag, not with another or with none."""

import importlib

import pytest

from music_vae.commands import checkpoints, config_flag
from music_vae.common.errors import NoExtractedExamplesError, UserError, naming
from music_vae.configs import get_config
from music_vae.weights import config_file
from support.commands import ENTRY_POINTS
from support.paths import ROOT

MINI = "--config=cat-mel_2bar_mini"
GROOVES = "--config=groovae_2bar_humanize_mini"
SMALL = "--config=cat-mel_2bar_small"
TUNE = "examples/two_bars/durangs_hornpipe.mid"
GENERATE, TRAIN = "music_vae_generate", "music_vae_train"
EVALUATE, ATTRIBUTES = "music_vae_evaluate", "music_vae_attributes"
CONSTRAIN, PERSONALIZE = "music_vae_constrain", "music_vae_personalize"
PRIOR = "music_vae_prior"
PREPROCESS, CONVERT = "music_vae_preprocess", "convert_dir_to_note_sequences"

# In each, the first flag is wrong; TUNES and OUT stand for good files.
MISTAKES = (
    (GENERATE, "--checkpoint_file=nope"),
    (GENERATE, "--checkpoint_file=examples"),
    (GENERATE, "--checkpoint_file=nope.safetensors"),
    (GENERATE, "--run_dir=nope"),
    (GENERATE, "--config=nope"),
    (GENERATE, "--hparams=max_seq_len=64", MINI),
    (GENERATE, "--hparams=learning_rate=nan", MINI),
    (GENERATE, "--hparams=nope=1", MINI),
    (GENERATE, "--hparams=batch_size", MINI),
    (GENERATE, "--input_midi=nope.mid", MINI, "--mode=similar"),
    (GENERATE, "--input_midi=README.md", MINI, "--mode=similar"),
    (GENERATE, "--input_midi=examples/tunes/maple-leaf-rag.mid", MINI, "--mode=similar"),
    (GENERATE, "--input_midi=nope.mid", GROOVES, "--mode=reconstruct"),
    (GENERATE, "--input_midi_1=nope.mid", f"--input_midi_2={TUNE}", MINI, "--mode=interpolate"),
    (GENERATE, "--input_midi_2=nope.mid", f"--input_midi_1={TUNE}", MINI, "--mode=interpolate"),
    (GENERATE, "--soundfont=nope.sf2", "--render=wav", MINI),
    (GENERATE, "--soundfont=README.md", "--render=wav", MINI),
    (GENERATE, "--personal=nope", MINI),
    (GENERATE, "--constraint=nope", MINI),
    (GENERATE, "--attribute=nope=high", "--constraint=own", MINI),
    (GENERATE, "--attribute=nope=1", "--mode=attribute", MINI),
    (GENERATE, "--attribute=note_density=1e9", "--mode=attribute", MINI),
    (
        *(GENERATE, "--attribute_vectors=nope", "--mode=attribute"),
        *("--attribute=note_density=1", MINI),
    ),
    (EVALUATE, "--examples_path=nope", MINI),
    (EVALUATE, "--examples_path=README.md", "--train_examples_path=TUNES", MINI),
    (EVALUATE, "--train_examples_path=nope", "--examples_path=TUNES", MINI),
    (
        *(EVALUATE, "--train_examples_path=nope", "--examples_path=TUNES"),
        *("--interpolation", MINI),
    ),
    (
        *(EVALUATE, "--train_examples_path=nope", "--examples_path=TUNES"),
        *("--realism", MINI),
    ),
    (
        *(EVALUATE, "--constraint=nope", "--examples_path=TUNES"),
        *("--train_examples_path=TUNES", "--realism", MINI),
    ),
    (EVALUATE, "--prior=nope", "--examples_path=TUNES", MINI),
    (GENERATE, "--prior=nope", MINI),
    (GENERATE, "--prior=nope.safetensors", MINI),
    (PRIOR, "--examples_path=nope", "fit", "--output=OUT.safetensors", MINI),
    (PRIOR, "--output=OUT.txt", "fit", "--examples_path=TUNES", MINI),
    (PRIOR, "--prior=nope.safetensors", "evaluate", "--examples_path=TUNES", MINI),
    (ATTRIBUTES, "--prior=nope", "evaluate", MINI),
    (ATTRIBUTES, "--examples_path=nope", "compute", "--output=OUT.safetensors", MINI),
    (ATTRIBUTES, "--vectors=nope", "evaluate", MINI),
    (ATTRIBUTES, "--picture=x.gif", "evaluate", MINI),
    (CONSTRAIN, "--examples_path=nope", "train", "--output=OUT", MINI),
    (CONSTRAIN, "--constraint=nope", "evaluate", MINI),
    (CONSTRAIN, "--attribute=nope=high", "evaluate", MINI),
    (PERSONALIZE, "--input_midi=nope.mid", "--output=OUT", MINI),
    (PERSONALIZE, "--input_dir=nope", "--output=OUT", MINI),
    (PERSONALIZE, "--input_dir", "--input_dir=docs", "--output=OUT", MINI),
    (PREPROCESS, "--input_tfrecord=nope", "--output_tfrecord=OUT", SMALL),
    (PREPROCESS, "--config=nope", "--input_tfrecord=TUNES", "--output_tfrecord=OUT"),
    (CONVERT, "--input_dir=", f"--input_dir={ROOT}/music_vae/common", "--output_file=OUT"),
    (TRAIN, "--examples_path=nope", SMALL, "--run_dir=OUT"),
    (TRAIN, "--validation_path=nope", "--examples_path=TUNES", SMALL, "--run_dir=OUT"),
    (TRAIN, "--warm_start=nope", "--examples_path=TUNES", "--run_dir=OUT"),
    (TRAIN, "--config=nope", "--examples_path=TUNES", "--run_dir=OUT"),
    (TRAIN, "--hparams=max_seq_len=64", SMALL, "--examples_path=TUNES", "--run_dir=OUT"),
)


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_message_begins_with_its_flag(words, tunes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    out = str(tmp_path / "out")
    program, wrong, *others = (word.replace("OUT", out) for word in words)
    given = [word.replace("TUNES", str(tunes)) for word in others]
    given += [] if any(word.startswith(wrong) for word in others) else [wrong]
    given += [f"--output_dir={out}"] if program == GENERATE else []
    assert importlib.import_module(ENTRY_POINTS[program]).main(given) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"{program}: {wrong}")


def test_a_checkpoint_that_is_no_flag_is_named_by_itself(capsys):
    assert checkpoints.main(["info", "nope"]) == 2
    assert "music_vae_checkpoints: there is no checkpoint 'nope'" in capsys.readouterr().err


def test_windows_that_do_not_fit_are_said_of_the_file_that_they_are_in(tmp_path):
    text = config_file.to_text(get_config("cat-mel_2bar_small"))
    path = tmp_path / "mine.json"
    path.write_text(text.replace('"max_seq_len": 32', '"max_seq_len": 64'))
    with pytest.raises(UserError) as found:
        config_flag.get_config(str(path))
    assert str(found.value).startswith(f"{path}: ")
    assert "with max_seq_len=64 it makes 64 steps" in str(found.value)
    assert "hparams" not in f"{found.value}{found.value.hint}"


def test_what_is_known_of_an_error_stays():
    with pytest.raises(NoExtractedExamplesError) as found, naming("input_midi", "a.mid"):
        raise NoExtractedExamplesError("a.mid: no melody", hint="take another")
    assert (str(found.value), found.value.hint) == ("`input_midi=a.mid`: no melody", "take another")
    with pytest.raises(UserError, match=r"^`key`: no key$"), naming("input_midi", "a.mid"):
        raise UserError("`key`: no key")
    with pytest.raises(UserError, match=r"^no file$"), naming("input_midi", None):
        raise UserError("no file")
