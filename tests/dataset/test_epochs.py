"""What an epoch draws is what it would be on the notes, whatever keeps the examples."""

import dataclasses

import numpy as np
import pytest

from music_vae import data
from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP
from music_vae.dataset import epochs, loading, tfrecord
from music_vae.dataset.example_store import stack, stack_single
from music_vae.music.augmentation import NoteSequenceAugmenter, transpose
from music_vae.music.converters.groove import GrooveConverter

RANGE = (-5, 4)
CONFIGS = (
    "cat-mel_2bar_small",
    "cat-mel_2bar_med_chords",
    "cat-drums_2bar_small",
    "flat-trio_16bar",
    "groovae_2bar_humanize",
    "hier-multiperf_vel_1bar_med",
    "hier-multiperf_vel_1bar_med_chords",
)


def song(lowest, *, chords=(), bars=17, total_time=None):
    """A tune over a bass line and drums; `lowest` is the tune's lowest pitch."""
    from note_seq.protobuf import music_pb2

    rng = np.random.default_rng(lowest)
    sequence = music_pb2.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for beat in range(4 * bars):
        for pitch, instrument, program in (
            (lowest + int(rng.integers(0, 12)) * (beat > 0), 0, 0),
            (30 + int(rng.integers(0, 12)), 1, 33),
            (int(rng.choice([36, 38, 42])), 9, 0),
        ):
            sequence.notes.add(
                pitch=pitch,
                velocity=int(rng.integers(1, 128)),
                start_time=beat / 2,
                end_time=beat / 2 + float(rng.choice([0.25, 0.5])),
                instrument=instrument,
                program=program,
                is_drum=instrument == 9,
            )
    for bar, symbol in enumerate(chords):
        sequence.text_annotations.add(text=symbol, time=2 * bar, annotation_type=1)
    last = max(note.end_time for note in sequence.notes)
    sequence.total_time = last if total_time is None else total_time
    return sequence


SONGS = {
    "in the middle": lambda: song(60),
    "at the end of the range": lambda: song(97),
    "at the end of MIDI": lambda: song(115),
    "with chords": lambda: song(61, chords=("Am", "G7/B", "N.C.", "Bdim", "C")),
    "with a chord that cannot be read": lambda: song(62, chords=("Am", "Foo", "C")),
    "with a chord that is no triad": lambda: song(63, chords=("Am", "C5", "C")),
    "with silence at the end": lambda: song(64, total_time=60),
    "cut off": lambda: song(65, total_time=20),
}


@pytest.fixture(scope="module")
def songs():
    return {name: make() for name, make in SONGS.items()}


def augmented(name):
    return CONFIG_MAP[name].replace(note_sequence_augmenter=NoteSequenceAugmenter(RANGE))


def plain(examples):
    return [
        [None if array is None else array.tolist() for array in example] for example in examples
    ]


@pytest.mark.parametrize("which", SONGS)
@pytest.mark.parametrize("name", CONFIGS)
def test_every_key_is_that_of_the_transposed_notes(songs, name, which):
    config = augmented(name)
    converter = config.data_converter
    music = data.convert([songs[which]], config, augment=True)
    for semitones in range(RANGE[0], RANGE[1] + 1):
        notes = transpose(songs[which], semitones) if semitones else songs[which]
        expected = plain(converter.extract(notes).examples)
        found = music.piece(0, converter, semitones) if music.store.num_pieces else []
        assert plain(found) == expected, f"{semitones} semitones"


@pytest.mark.parametrize("name", CONFIGS)
def test_stacked_examples_are_transposed_each_by_its_own(songs, name):
    converter = CONFIG_MAP[name].data_converter
    low, high = converter.transposable_range(songs["with chords"])
    examples = converter.extract(songs["with chords"]).examples[:4]
    if not low <= -1 < 2 <= high:
        assert (low, high) == (0, 0)
        return
    semitones = np.array([-1, 0, 2, 1])[: len(examples)]
    single = [converter.transpose(e, int(k)) for e, k in zip(examples, semitones, strict=True)]
    stacked = converter.transpose(stack_single(examples), semitones)
    for found, expected in zip(stacked, stack_single(single), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def source(tmp_path_factory, songs):
    path = tmp_path_factory.mktemp("songs") / "songs.tfrecord"
    tfrecord.write_records(path, [song.SerializeToString() for song in songs.values()])
    return data.TFRecords(str(path))


@pytest.fixture(params=data.CACHES)
def music(request, source, config, tmp_path, monkeypatch):
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path))
    music = data.load(source, config, augment=True, cache=request.param)
    yield music
    music.close()


@pytest.fixture
def config():
    config = augmented("cat-mel_2bar_small")
    return config.replace(hparams=config.hparams.replace(batch_size=16))


def tokens(batches, count):
    return [next(batches)[0].inputs.argmax(-1).tolist() for _ in range(count)]


class TestEveryCache:
    def test_a_seed_gives_the_same_batches_again(self, music, config):
        one, two, other = (data.TrainingBatches(music, config, seed=s) for s in (1, 1, 2))
        first = tokens(one, 8)
        assert first == tokens(two, 8)
        assert first != tokens(other, 8)

    @pytest.mark.parametrize("steps", [1, 3, 7])
    def test_a_position_goes_on_with_the_batch_that_would_have_come(self, music, config, steps):
        batches = data.TrainingBatches(music, config, seed=1)
        for _ in range(steps):
            _, position = next(batches)
        expected = tokens(batches, 5)
        resumed = data.TrainingBatches(music, config, seed=1, position=position)
        assert tokens(resumed, 5) == expected

    def test_an_epoch_has_a_fresh_key_and_fresh_windows_for_each_piece(self, music, config, songs):
        converter = config.data_converter
        most = converter.max_tensors_per_notesequence
        possible = []
        for sequence in songs.values():
            keys = [transpose(sequence, k) for k in range(RANGE[0], RANGE[1] + 1)]
            possible.append(
                [{e.outputs.tobytes() for e in converter.extract(k).examples} for k in keys]
            )
        drawn = set()
        for number in range(3):
            epoch = music.shuffled(config, 5, number)
            rows = []
            while (part := epoch.take(7)) is not None:
                rows += [row.tobytes() for row in part.outputs]
            drawn |= set(rows)
            assert set(rows) <= set.union(*(key for keys in possible for key in keys))
            for keys in possible:  # every piece is in one key, with as many windows as it may
                assert any(len(key & set(rows)) >= min(most, len(key)) for key in keys)
            assert most * (len(songs) - 1) <= len(rows) <= most * len(songs)
        assert len(drawn) > 2 * most * len(songs)

    def test_evaluation_takes_the_first_examples_in_order(self, music, config, songs):
        converter = config.data_converter
        expected = []
        for sequence in songs.values():
            expected += [e.inputs.tolist() for e in converter.extract(sequence).examples[:5]]
        batches = data.evaluation_batches(music, config)
        assert [row for b in batches for row in b.inputs.argmax(-1).tolist()] == expected
        assert len(list(data.evaluation_batches(music, config, num_batches=2))) == 2

    def test_too_little_music_is_an_error_with_the_counts(self, music, config):
        config = config.replace(hparams=config.hparams.replace(batch_size=500))
        with pytest.raises(UserError, match="do not fill a batch of 500: 8 sequences gave"):
            data.TrainingBatches(music, config, seed=0)


def test_memory_and_disk_give_the_same_batches(source, config, tmp_path, monkeypatch):
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path))
    found = []
    for cache in ("memory", "disk", "disk"):
        music = data.load(source, config, augment=True, cache=cache)
        found.append((str(music), tokens(data.TrainingBatches(music, config, seed=3), 12)))
    assert found[0] == found[1] == found[2]


def test_music_that_does_not_fit_in_memory_goes_to_files(source, config, tmp_path, monkeypatch):
    monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path))
    kept = data.load(source, config, augment=True)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(loading, "_memory_limit", lambda: 1000)
    spilled = data.load(source, config, augment=True)
    assert isinstance(spilled.store.packed.outputs, np.memmap)
    first, second = (data.TrainingBatches(m, config, seed=3) for m in (kept, spilled))
    assert tokens(first, 12) == tokens(second, 12)
    spilled.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cache", data.CACHES)
def test_processes_change_nothing(source, config, cache, tmp_path, monkeypatch):
    monkeypatch.setattr("music_vae.dataset.conversion.CHUNK_RECORDS", 3)
    found = []
    for alone in (True, False):
        monkeypatch.setenv("MUSIC_VAE_CACHE", str(tmp_path / str(alone)))
        music = data.load(source, config, augment=True, cache=cache, num_processes=2 * (not alone))
        found.append((tokens(data.TrainingBatches(music, config, seed=3), 6), str(music)))
        music.close()
    assert found[0] == found[1]


def test_notes_are_dropped_anew_in_every_batch_but_repeatably(songs):
    name = "groovae_2bar_tap_fixed_velocity_note_dropout"
    config = CONFIG_MAP[name].replace(hparams=CONFIG_MAP[name].hparams.replace(batch_size=8))
    music = data.convert([songs["in the middle"]], config, augment=True)
    batches = data.TrainingBatches(music, config, seed=0)
    taken = [next(batches) for _ in range(6)]
    assert len({batch.inputs.tobytes() for batch, _ in taken}) == 6
    resumed = data.TrainingBatches(music, config, seed=0, position=taken[2][1])
    for batch, _ in taken[3:]:
        np.testing.assert_array_equal(next(resumed)[0].inputs, batch.inputs)


def test_dropped_notes_leave_padding_alone():
    converter = GrooveConverter(
        max_note_dropout_probability=1.0, num_velocity_bins=4, num_offset_bins=4, tapify=True
    )
    music = data.convert([song(60, bars=2), song(61, bars=3)], _config(converter))
    batches = data.TrainingBatches(music, _config(converter), seed=0)
    for _ in range(5):
        batch, _ = next(batches)
        for row, length in zip(batch.inputs, batch.lengths, strict=True):
            assert row[:length].any()
            assert not row[length:].any()


def _config(converter):
    config = CONFIG_MAP["groovae_2bar_humanize"]
    return config.replace(
        data_converter=converter, hparams=config.hparams.replace(batch_size=2), tfds_name=None
    )


def test_stacking_pads_to_the_longest():
    converter = dataclasses.replace(
        CONFIG_MAP["cat-mel_2bar_small"].data_converter, slice_bars=None
    )
    short, long = (converter.extract(song(60, bars=bars)).examples[:1] for bars in (2, 4))
    both = stack([stack_single(short), stack_single(long)])
    assert both.outputs.shape == (2, 64)
    assert both.outputs[0, 32:].tolist() == [-1] * 32
    assert both.length.tolist() == [32, 64]


def test_every_subset_is_as_likely():
    rng = np.random.default_rng(0)
    chosen = np.sort(epochs.subsets(np.full(60_000, 4), 2, rng), axis=1)
    assert (chosen[:, 0] < chosen[:, 1]).all()
    _, counts = np.unique(chosen @ [4, 1], return_counts=True)
    np.testing.assert_allclose(counts / 60_000, np.full(6, 1 / 6), atol=0.01)


def test_the_buffer_shuffles_as_far_as_it_reaches():
    found = list(epochs.shuffled(iter(range(100)), 20, np.random.default_rng(0)))
    assert sorted(found) == list(range(100))
    assert found != sorted(found)
    assert all(number < place + 20 for place, number in enumerate(found))
