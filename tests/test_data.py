"""From files to batches: what is random is drawn anew in every epoch, and repeatably."""

import dataclasses
import sys
import types
from collections import Counter

import numpy as np
import pytest

from music_vae import data
from music_vae.common.errors import UserError
from music_vae.dataset import tfrecord
from music_vae.music.augmentation import NoteSequenceAugmenter, transpose
from music_vae.music.converters.base import Example
from support.paths import TUNES


@pytest.fixture(scope="module")
def sequences(tunes):
    return list(data.read_note_sequences(str(tunes)))


@pytest.fixture(scope="module")
def music(sequences, tiny_config):
    return data.convert(sequences, tiny_config, augment=True)


def tokens(batches, count):
    return [next(batches)[0].inputs.argmax(-1) for _ in range(count)]


def test_music_counts_what_it_holds_and_why_the_rest_was_skipped(music):
    assert (music.num_sequences, music.num_examples) == (3, 31)
    assert music.skipped == Counter({"time signature 2/4": 1})
    assert str(music) == "3 sequences gave 31 examples (skipped: time signature 2/4: 1)"


def test_a_record_that_is_no_note_sequence_is_named(tmp_path):
    path = tmp_path / "odd.tfrecord"
    tfrecord.write_records(path, [b"\xff\xff"])
    with pytest.raises(UserError, match=r"record 1 of .*odd\.tfrecord is not a NoteSequence"):
        list(data.read_note_sequences(str(path)))


def lists(examples):
    return [(e.inputs.tolist(), e.outputs.tolist()) for e in examples]


def test_transposed_examples_equal_converting_the_transposed_notes(sequences, tiny_config):
    converter = tiny_config.data_converter
    for sequence in sequences:
        music = data.convert([sequence], tiny_config, augment=True)
        for semitones in range(-5, 6):
            expected = converter.extract(transpose(sequence, semitones)).examples
            actual = music.piece(0, converter, semitones) if music.num_examples else []
            assert lists(actual) == lists(expected)


def test_notes_are_converted_again_where_transposed_examples_would_differ(sequences, tiny_config):
    # Nothing above the tune's highest note: any step up loses notes.
    highest = max(note.pitch for note in sequences[0].notes)
    converter = dataclasses.replace(tiny_config.data_converter, max_pitch=highest)
    config = tiny_config.replace(data_converter=converter)
    music = data.convert(sequences[:1], config, augment=True)
    assert len(set(music.store.packed.groups[0])) > 1
    expected = converter.extract(transpose(sequences[0], 4)).examples
    assert lists(music.piece(0, converter, 4)) == lists(expected)


def test_a_piece_that_only_fits_in_another_key_is_kept(sequences, tiny_config):
    lowest = min(note.pitch for note in sequences[0].notes)
    converter = dataclasses.replace(
        tiny_config.data_converter, min_pitch=lowest - 5, max_pitch=lowest - 1
    )
    config = tiny_config.replace(data_converter=converter)
    music = data.convert(sequences[:1], config, augment=True)
    assert music.num_examples == 0
    expected = converter.extract(transpose(sequences[0], -5)).examples
    assert expected
    assert lists(music.piece(0, converter, -5)) == lists(expected)


def test_a_limit_takes_a_random_subset_or_the_first_ones():
    examples = [Example(np.array([i]), np.array([i]), None, np.int32(1)) for i in range(10)]
    assert data.limit(examples, None) == data.limit(examples, 10) == examples
    assert data.limit(examples, 3) == examples[:3]
    chosen = data.limit(examples, 3, np.random.default_rng(0))
    assert len({int(e.inputs[0]) for e in chosen}) == 3


def test_a_batch_is_dense_and_padded_with_zeros(tiny_config):
    examples = [
        Example(np.array(t, np.int16), np.array(t, np.int16), None, np.array(len(t), np.int32))
        for t in ([2, 0, 1], [5])
    ]
    batch = data.make_batch(examples, tiny_config.data_converter)
    assert batch.inputs.shape == (2, 3, 90)
    assert batch.controls.shape == (2, 3, 0)
    assert batch.lengths.tolist() == [3, 1]
    assert batch.inputs[0].argmax(-1).tolist() == [2, 0, 1]
    assert not batch.inputs[1, 1:].any()


def test_the_same_seed_gives_the_same_batches(music, tiny_config):
    one, two, other = (data.TrainingBatches(music, tiny_config, seed=s) for s in (1, 1, 2))
    first = tokens(one, 6)
    np.testing.assert_array_equal(first, tokens(two, 6))
    assert not np.array_equal(first, tokens(other, 6))


def test_a_position_goes_on_with_the_batch_that_would_have_come(music, tiny_config):
    batches = data.TrainingBatches(music, tiny_config, seed=1)
    for _ in range(5):
        _, position = next(batches)
    expected = tokens(batches, 4)
    resumed = data.TrainingBatches(music, tiny_config, seed=1, position=position)
    np.testing.assert_array_equal(tokens(resumed, 4), expected)


def test_processes_make_their_rows_of_one_batch(music, tiny_config):
    size = tiny_config.hparams.batch_size
    batches = [
        data.TrainingBatches(music, tiny_config, seed=1, share=share)
        for share in ((0, 1), (0, 2), (1, 2))
    ]
    for _ in range(3):
        (whole, position), *parts = (next(each) for each in batches)
        assert all(each == position for _, each in parts)
        assert [len(part.lengths) for part, _ in parts] == [size // 2, size // 2]
        for field, array in whole._asdict().items():
            halves = [getattr(part, field) for part, _ in parts]
            np.testing.assert_array_equal(np.concatenate(halves), array)


def test_every_epoch_is_in_other_keys(music, tiny_config):
    """The original cached augmented examples, so that each piece kept one key for a whole run."""
    batches = data.TrainingBatches(music, tiny_config, seed=3)
    lowest = Counter()
    for _ in range(60):
        batch, _ = next(batches)
        pitched = batch.inputs.argmax(-1)
        lowest.update(pitched[pitched >= 2].tolist())
    # The two tunes hold 13 pitches at most between them; eleven keys make far more.
    converter = tiny_config.data_converter
    untransposed = {t for e in music.piece(0, converter) for t in e.inputs.tolist()}
    assert len(lowest) > len(untransposed) + 5


def test_an_epoch_takes_a_fresh_subset_of_each_piece(music, tiny_config):
    config = tiny_config.replace(note_sequence_augmenter=NoteSequenceAugmenter())
    most = config.data_converter.max_tensors_per_notesequence
    seen = set()
    for number in range(12):
        epoch = music.shuffled(config, 0, number)
        chosen = epoch.take(1000).inputs
        assert len(chosen) == len({row.tobytes() for row in chosen}) == 2 * most
        assert epoch.take(1) is None
        seen |= {row.tobytes() for row in chosen}
    assert len(seen) > 4 * most


def test_evaluation_takes_the_first_examples_of_each_piece_in_order(music, tiny_config):
    batches = list(data.evaluation_batches(music, tiny_config))
    assert [len(batch.lengths) for batch in batches] == [8, 2]
    converter = tiny_config.data_converter
    expected = [e.inputs for piece in range(2) for e in music.piece(piece, converter)[:5]]
    np.testing.assert_array_equal(
        np.concatenate([batch.inputs.argmax(-1) for batch in batches]), expected
    )
    assert len(list(data.evaluation_batches(music, tiny_config, num_batches=1))) == 1


def test_too_little_music_for_a_batch_is_an_error_with_the_counts(music, tiny_config):
    config = tiny_config.replace(hparams=tiny_config.hparams.replace(batch_size=50))
    with pytest.raises(
        UserError, match=r"10 training examples .* do not fill a batch of 50: 3 seq"
    ):
        data.TrainingBatches(music, config, seed=0)


class FakeDatasets(types.ModuleType):
    """What `read_tfds` uses of tensorflow_datasets."""

    class core:
        class registered:
            class DatasetNotFoundError(Exception):
                pass

    def load(self, name, split):
        if name != "groove/2bar-midionly":
            raise self.core.registered.DatasetNotFoundError(name)
        return [{"midi": (TUNES / "soldiers_joy.mid").read_bytes(), "split": split}]

    def as_numpy(self, dataset):
        return dataset


def test_a_tensorflow_dataset_gives_its_midi(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", FakeDatasets("tensorflow_datasets"))
    (sequence,) = data.read_tfds("groove/2bar-midionly", "train")
    assert len(sequence.notes) > 50
    with pytest.raises(UserError, match=r"'grove' \(train\) cannot be loaded"):
        list(data.read_tfds("grove", "train"))


def test_without_tensorflow_datasets_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match=r"pip install 'music_vae\[tfds\]'"):
        list(data.read_tfds("groove/2bar-midionly", "train"))
