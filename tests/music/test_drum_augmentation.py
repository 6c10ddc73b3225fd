"""Windows of drums that are put together from several."""

import itertools

import note_seq
import numpy as np
import pytest

from music_vae import data
from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP
from music_vae.music.converters.base import Example
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.drum_augmentation import DrumAugmenter
from support.cases import with_converter

CONVERTER = DrumsConverter(slice_bars=2)
STEPS, BEAT, DRUMS = 32, 4, 9


def windows(masks):
    masks = np.asarray(masks, np.int64)
    return Example(masks, masks, None, np.full(len(masks), STEPS, np.int32))


def constant(*masks):
    """One window for each mask, the same at all steps."""
    return windows(np.repeat(np.array(masks)[:, None], STEPS, axis=1))


def augmented(augmenter, given, seed=0):
    return augmenter.augment(given, CONVERTER, np.random.default_rng(seed))


def test_without_chances_nothing_changes():
    given = constant(*range(50))
    np.testing.assert_array_equal(augmented(DrumAugmenter(), given).outputs, given.outputs)


def test_what_comes_out_is_input_and_output_alike_and_what_went_in_stays():
    given = constant(*range(200))
    before = given.outputs.copy()
    made = augmented(DrumAugmenter(splice=0.5, mix=0.5, drop=0.2, add=0.2), given)
    assert made.inputs is made.outputs
    assert made.outputs.dtype == np.int64
    assert made.outputs.shape == (200, STEPS)
    assert made.outputs.min() >= 0
    assert made.outputs.max() < 2**DRUMS
    np.testing.assert_array_equal(given.outputs, before)


def test_a_spliced_window_goes_on_as_another_from_a_beat():
    made = augmented(DrumAugmenter(splice=1.0), constant(*range(400))).outputs
    changes = np.diff(made, axis=1) != 0
    assert (changes.sum(axis=1) <= 1).all()
    cuts = set((np.flatnonzero(changes.any(axis=0)) + 1).tolist())
    assert cuts == set(range(BEAT, STEPS, BEAT))
    np.testing.assert_array_equal(made[:, 0], np.arange(400))
    assert (made[:, 0] != made[:, -1]).mean() > 0.98


def test_about_as_many_windows_are_spliced_as_is_asked_for():
    made = augmented(DrumAugmenter(splice=0.3), constant(*range(2000))).outputs
    assert (made[:, 0] != made[:, -1]).mean() == pytest.approx(0.3, abs=0.04)


def test_a_mixed_window_has_whole_drums_of_two():
    rng = np.random.default_rng(1)
    given = windows(rng.integers(0, 2**DRUMS, (300, STEPS)))
    made = augmented(DrumAugmenter(mix=1.0), given).outputs
    rolls = [(masks[..., None] >> np.arange(DRUMS)) & 1 for masks in (given.outputs, made)]
    own = (rolls[0] == rolls[1]).all(axis=1)  # [N, drums]
    assert own.mean() == pytest.approx(0.5, abs=0.05)
    played = {drum.tobytes() for drum in rolls[0].transpose(0, 2, 1).reshape(-1, STEPS)}
    assert all(drum.tobytes() in played for drum in rolls[1].transpose(0, 2, 1).reshape(-1, STEPS))


@pytest.mark.parametrize(("chance", "given"), [("drop", 2**DRUMS - 1), ("add", 0)])
def test_bars_that_are_alike_stay_alike_if_all_bars_change_in_the_same_places(chance, given):
    bar = STEPS // 2
    for every_bar in (True, False):
        augmenter = DrumAugmenter(**{chance: 0.4}, every_bar=every_bar)
        made = augmented(augmenter, constant(*[given] * 100)).outputs
        assert (made != given).any(axis=1).mean() > 0.95
        alike = (made[:, :bar] == made[:, bar:]).all(axis=1).mean()
        assert alike == 1 if every_bar else alike < 0.05


def test_a_window_shorter_than_a_bar_is_changed_as_any_other():
    short = Example(*[np.zeros((50, 4), np.int64)] * 2, None, np.full(50, 4, np.int32))
    made = augmented(DrumAugmenter(add=0.5, every_bar=True), short).outputs
    assert made.shape == (50, 4)
    assert made.any(axis=1).mean() > 0.95


def test_hits_are_dropped_and_added_by_shares_of_each_windows_own():
    full, empty = constant(*[2**DRUMS - 1] * 500), constant(*[0] * 500)
    left = augmented(DrumAugmenter(drop=0.4), full).outputs
    added = augmented(DrumAugmenter(add=0.4), empty).outputs
    for missing in (~left & (2**DRUMS - 1), added):
        shares = (((missing[..., None] >> np.arange(DRUMS)) & 1).mean(axis=(1, 2))).tolist()
        assert np.mean(shares) == pytest.approx(0.2, abs=0.02)
        assert min(shares) < 0.05
        assert max(shares) > 0.35
    np.testing.assert_array_equal(augmented(DrumAugmenter(add=0.4), full).outputs, full.outputs)


def test_the_same_seed_makes_the_same_windows_and_another_others():
    given = constant(*range(100))
    augmenter = DrumAugmenter(splice=0.5, mix=0.5, drop=0.1, add=0.01)
    once, again, other = (augmented(augmenter, given, seed).outputs for seed in (3, 3, 4))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_what_is_no_probability_is_refused():
    with pytest.raises(UserError, match=r"mix=1\.5 is not a probability; expected 0 to 1"):
        DrumAugmenter(mix=1.5)


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ("cat-mel_2bar_small", {}),
        ("cat-drums_2bar_small", {"slice_bars": None}),
        ("cat-drums_2bar_small", {"slice_bars": 2, "add_end_token": True}),
    ],
)
def test_a_config_of_other_music_is_refused(config, changes):
    config = with_converter(CONFIG_MAP[config], **changes)
    with pytest.raises(UserError, match="expected a DrumsConverter with slice_bars and without an"):
        config.replace(window_augmenter=DrumAugmenter(splice=0.5))


@pytest.fixture(scope="module")
def beats():
    """20 bars, each with a kick on every beat and drums of its own on the steps between."""
    rng = np.random.default_rng(0)
    sequence = note_seq.NoteSequence(ticks_per_quarter=220, total_time=40.0)
    sequence.tempos.add(qpm=120)
    for step in range(320):
        pitch = 36 if step % 4 == 0 else int(rng.choice([38, 42, 46]))
        start = 0.125 * step
        sequence.notes.add(
            pitch=pitch, velocity=80, start_time=start, end_time=start + 0.1, is_drum=True
        )
    return sequence


def test_training_reads_other_windows_in_every_epoch_and_evaluation_those_that_were_played(beats):
    config = CONFIG_MAP["cat-drums_2bar_small"]
    converter = DrumsConverter(slice_bars=2, max_tensors_per_notesequence=None)
    config = config.replace(data_converter=converter, hparams=config.hparams.replace(batch_size=4))
    varied = config.replace(window_augmenter=DrumAugmenter(drop=0.9))
    music = data.convert([beats], config, augment=True)

    def batches(config, position=None):
        stream = data.TrainingBatches(music, config, seed=1, position=position)
        return [(batch.targets.argmax(-1), after) for batch, after in itertools.islice(stream, 6)]

    plain, changed, again = batches(config), batches(varied), batches(varied)
    for (masks, _), (fewer, _), (same, _) in zip(plain, changed, again, strict=True):
        assert (fewer & ~masks == 0).all()
        assert (fewer != masks).any()
        np.testing.assert_array_equal(fewer, same)
    resumed = batches(varied, changed[2][1])
    np.testing.assert_array_equal(resumed[0][0], changed[3][0])
    evaluated = [next(data.evaluation_batches(music, c)).targets for c in (config, varied)]
    np.testing.assert_array_equal(*evaluated)
