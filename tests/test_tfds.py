"""Grooves from a TensorFlow Dataset, with the real package: a tiny one with the real features."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tensorflow_datasets", reason="the extra 'tfds' is not installed")

KICK, SNARE, HAT = 36, 38, 42

# The data set's own code, but for what it would download.
BUILD = """
import sys
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.groove import groove_dataset_builder as groove

def splits(self, _):
    rows = {}
    for split, name in (("train", "a"), ("train", "b"), ("validation", "c")):
        rows.setdefault(split, []).append(
            {"id": name, "drummer": "drummer1", "style": "rock/folk", "bpm": "120",
             "beat_type": "beat", "time_signature": "4-4", "midi_filename": name + ".mid"}
        )
    return [
        tfds.core.SplitGenerator(name=split, gen_kwargs={"rows": found, "data_dir": sys.argv[1]})
        for split, found in rows.items()
    ]

groove.Builder._split_generators = splits
tfds.builder("groove/2bar-midionly").download_and_prepare()
"""


def groove(seed, bars=6):
    from note_seq.protobuf import music_pb2

    rng = np.random.default_rng(seed)
    sequence = music_pb2.NoteSequence(ticks_per_quarter=480)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for step in range(8 * bars):
        pitch = (KICK, HAT, SNARE, HAT)[step % 4]
        start = step * 0.25 + float(rng.uniform(0, 0.03))
        sequence.notes.add(
            pitch=pitch,
            velocity=int(rng.integers(40, 127)),
            start_time=start,
            end_time=start + 0.1,
            is_drum=True,
            instrument=9,
        )
    sequence.total_time = 2.0 * bars
    return sequence


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Where the tiny data set is the groove data set."""
    from music_vae.music import notes_io

    folder = tmp_path_factory.mktemp("grooves")
    for seed, name in enumerate("abc"):
        notes_io.write_midi(groove(seed), folder / f"{name}.mid")
    environment = os.environ | {
        "TFDS_DATA_DIR": str(folder / "tfds"),
        "MUSIC_VAE_CACHE": str(folder / "cache"),
        "CUDA_VISIBLE_DEVICES": "",
    }
    run(BUILD, folder, environment=environment)
    return environment


def run(code, *arguments, environment, expected_code=0):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == expected_code, done.stderr
    return done


def test_every_split_has_its_own_sequences(environment):
    code = (
        "from music_vae import data\n"
        "for split in ('train', 'validation'):\n"
        "    found = list(data.read_tfds('groove/2bar-midionly', split))\n"
        "    print(len(found), all(n.is_drum for s in found for n in s.notes))\n"
    )
    assert run(code, environment=environment).stdout.split() == ["10", "True", "5", "True"]


def test_a_groove_config_trains_and_is_evaluated_on_its_own_data_set(environment, tmp_path):
    code = "import sys; from music_vae import train; sys.exit(train.main(sys.argv[1:]))"
    sizes = "batch_size=8,z_size=4,enc_rnn_size=[6],dec_rnn_size=[6]"
    flags = [f"--run_dir={tmp_path}", f"--hparams={sizes}"]
    training = ["--config=groovae_2bar_humanize", "--cache_dataset=disk", "--num_steps=3"]
    done = run(code, *flags, *training, environment=environment)
    assert (tmp_path / "train" / "model.ckpt-3.index").exists()
    assert "10 sequences gave 10 examples" in done.stderr
    evaluation = ["--mode=eval", "--eval_once", "--cache_dataset=none"]
    done = run(code, *flags, *evaluation, environment=environment)
    assert done.stdout.splitlines()[0] == "step 3"
    assert "\n  loss  " in done.stdout
    assert "5 sequences gave 5 examples" in done.stderr


def test_a_data_set_that_does_not_exist_is_one_line(environment, tmp_path):
    code = "import sys; from music_vae import train; sys.exit(train.main(sys.argv[1:]))"
    flags = ["--config=groovae_2bar_humanize", f"--run_dir={tmp_path}", "--tfds_name=no_such_set"]
    done = run(code, *flags, environment=environment, expected_code=2)
    last = done.stderr.splitlines()[-1]
    assert "the TensorFlow Dataset 'no_such_set' (train) cannot be loaded" in last
    assert "Traceback" not in done.stderr
