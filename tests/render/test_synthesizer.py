"""Soundfonts and the synthesizer, on a soundfont whose one sample is a sine; broken files."""

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.render import soundfont as sf
from music_vae.render import synthesizer
from music_vae.render.soundfont import SoundFont
from support.soundfonts import RATE, soundfont

LOOP = [(sf.LOOP_MODE, 1)]
WRONG_BAG = (b"ibag\x08\0\0\0\0\0", b"ibag\x08\0\0\0\xff\0")


@pytest.fixture
def play(tmp_path):
    """Samples of notes (pitch, start, end) through a soundfont of some generators."""

    def render(notes, generators=LOOP, *, velocity=127, is_drum=False, loop_s=None, **font):
        path = tmp_path / "font.sf2"
        path.write_bytes(soundfont(generators, **{"loop": (1000, 41000), **font}))
        sequence = import_note_seq().NoteSequence()
        for pitch, start, end in notes:
            sequence.notes.add(
                pitch=pitch, start_time=start, end_time=end, velocity=velocity, is_drum=is_drum
            )
        if loop_s is not None:
            return synthesizer.render_loop(sequence, SoundFont(path), loop_s)
        return synthesizer.render(sequence, SoundFont(path))

    return render


def pitch_hz(samples):
    """The frequency of the highest peak, to a tenth of a hertz."""
    windowed = samples * np.hanning(len(samples))
    size = 1 << 20
    return np.argmax(np.abs(np.fft.rfft(windowed, size))) * RATE / size


def loudness(samples, second):
    """The root mean square of a tenth of a second."""
    part = samples[round(second * RATE) : round((second + 0.1) * RATE)]
    return float(np.sqrt(np.mean(part.astype(np.float64) ** 2)))


@pytest.mark.parametrize("key", [45, 57, 69, 76, 93])
def test_a_key_has_its_pitch(play, key):
    samples = play([(key, 0, 1)])
    assert pitch_hz(samples[4410:40000, 0]) == pytest.approx(441 * 2 ** ((key - 69) / 12), abs=0.2)


def test_tuning_adds_up(play):
    tuned = [*LOOP, (sf.COARSE_TUNE, 12), (sf.FINE_TUNE, -50), (sf.ROOT_KEY, 70)]
    samples = play([(69, 0, 1)], tuned)
    expected = 441 * 2 ** ((12 - 0.5 - 1) / 12)
    assert pitch_hz(samples[4410:40000, 0]) == pytest.approx(expected, abs=0.2)


def test_a_root_key_sounds_as_it_was_recorded(play):
    samples = play([(69, 0, 1)])
    expected = 16000 / 32768 * np.sqrt(0.5) * np.sin(2 * np.pi * np.arange(RATE) / 100)
    np.testing.assert_allclose(samples[100:RATE, 0], expected[100:RATE], atol=1e-4)
    np.testing.assert_array_equal(samples[:, 0], samples[:, 1])


def test_a_loop_goes_on_and_a_sample_without_one_ends(play):
    looped, once = play([(69, 0, 3)]), play([(69, 0, 3)], [])
    assert loudness(looped, 2.5) == pytest.approx(loudness(looped, 0.5), rel=1e-3)
    assert loudness(once, 0.5) == pytest.approx(loudness(looped, 0.5), rel=1e-3)
    assert loudness(once, 1.5) == 0


def test_a_note_ends_with_its_release(play):
    second = [*LOOP, (sf.VOLUME_ENVELOPE + 5, 0)]  # 0 timecents: 100 dB in a second
    samples = play([(69, 0, 1)], second)
    held = loudness(samples, 0.8)
    # A tenth of a second falls by 10 dB, so its mean power is that of 5 dB and a bit.
    fall_db = 20 * np.log10(loudness(samples, 1.4) / loudness(samples, 1.2))
    assert fall_db == pytest.approx(-20, abs=0.1)
    assert 0 < loudness(samples, 1.2) < held / 5
    assert loudness(samples, 2.2) == 0
    assert loudness(play([(69, 0, 1)]), 1.1) == 0


def test_attack_decay_and_sustain(play):
    first = sf.VOLUME_ENVELOPE
    shaped = [*LOOP, (first + 1, -1200), (first + 3, 0), (first + 4, 200)]
    samples = play([(69, 0, 3)], shaped)
    full = loudness(play([(69, 0, 3)]), 1)
    assert loudness(samples, 0.2) == pytest.approx(full / 2, rel=0.05)  # half of half a second
    assert loudness(samples, 2) == pytest.approx(full / 10, rel=1e-3)  # 20 dB below


def test_softer_notes_and_attenuation_are_quieter(play):
    full = loudness(play([(69, 0, 1)]), 0.5)
    soft = loudness(play([(69, 0, 1)], velocity=64), 0.5)
    assert soft == pytest.approx(full * (64 / 127) ** 2, rel=1e-3)
    quiet = loudness(play([(69, 0, 1)], [*LOOP, (sf.ATTENUATION, 500)]), 0.5)
    assert quiet == pytest.approx(full / 10, rel=1e-3)


def test_pan_has_sides(play):
    left = play([(69, 0, 1)], [*LOOP, (sf.PAN, -500)])
    assert np.abs(left[:, 0]).max() > 0.4
    assert np.abs(left[:, 1]).max() < 1e-6


def test_the_filter_takes_away_what_lies_above_its_cutoff(play):
    def gain_db(cutoff_hz, q=0):
        cents = round(1200 * np.log2(cutoff_hz / 8.176))
        samples = play([(69, 0, 1)], [*LOOP, (sf.FILTER_CUTOFF, cents), (sf.FILTER_Q, q)])
        return 20 * np.log10(loudness(samples, 0.5) / full)

    full = loudness(play([(69, 0, 1)]), 0.5)
    assert gain_db(10000) == pytest.approx(0, abs=0.1)
    assert gain_db(441) == pytest.approx(-3, abs=0.2)
    assert gain_db(110.25) == pytest.approx(-24, abs=1)  # two octaves at 12 dB each
    assert gain_db(441, q=200) > 3


def test_vibrato_bends_the_pitch_both_ways(play):
    slow = round(1200 * np.log2(2 / 8.176))  # 2 Hz: up for a quarter second, then down
    bent = [*LOOP, (sf.VIBRATO_TO_PITCH, 100), (sf.VIBRATO_FREQUENCY, slow)]
    samples = play([(69, 0, 1)], bent)[:, 0]
    up, down = samples[2205:8820], samples[13230:19845]
    assert pitch_hz(up) > 450
    assert pitch_hz(down) < 432


def test_keys_and_velocities_choose_their_zones(play):
    low = [(sf.KEY_RANGE, 0 | 40 << 8), (sf.LOOP_MODE, 1)]
    assert np.abs(play([(40, 0, 1)], low)).max() > 0.1
    assert np.abs(play([(41, 0, 1)], low)).max() == 0
    soft = [(sf.VELOCITY_RANGE, 1 | 64 << 8), (sf.LOOP_MODE, 1)]
    assert np.abs(play([(69, 0, 1)], soft, velocity=65)).max() == 0


def hi_hat(key, own_class, attenuation):
    """The zone of a drum; with an attenuation of 1440 it can hardly be heard."""
    return [
        (sf.KEY_RANGE, key | key << 8),
        (sf.VOLUME_ENVELOPE + 5, 2400),  # a release of four seconds
        (sf.ATTENUATION, attenuation),
        (sf.LOOP_MODE, 1),
        (sf.EXCLUSIVE_CLASS, own_class),
    ]


@pytest.mark.parametrize(("own_class", "goes_on"), [(0, True), (1, False)])
def test_a_closed_hi_hat_stops_an_open_one(play, own_class, goes_on):
    kit = [hi_hat(46, own_class, 0), hi_hat(42, own_class, 1440)]
    samples = play([(46, 0, 0.5), (42, 0.6, 0.7)], drums=kit, is_drum=True)
    assert loudness(samples, 0.4) > 0.2
    assert (loudness(samples, 0.7) > 0.05) == goes_on


RINGING = [(sf.VOLUME_ENVELOPE + 5, 1200), (sf.LOOP_MODE, 1)]  # a release of two seconds


@pytest.mark.parametrize("length_s", [0.7, 1.0, 3.0])
def test_a_loop_holds_what_rings_on_after_it(play, length_s):
    notes, size = [(69, 0, 0.1), (76, 0.4, 0.6)], round(length_s * RATE)
    loop, once = play(notes, RINGING, loop_s=length_s), play(notes, RINGING)
    folded = np.zeros((size, 2))
    for start in range(0, len(once), size):
        folded[: len(once) - start] += once[start : start + size]
    assert loop.shape == (size, 2)
    # Silence from where the piece played once ends is cut off a little later.
    np.testing.assert_allclose(loop, folded, atol=2e-3)


def test_a_loop_goes_on_without_a_click(play):
    loop = play([(69, 0.5, 0.99)], RINGING, loop_s=1.0)
    twice = np.concatenate([loop, loop])[:, 0]
    steps = np.abs(np.diff(twice))
    assert steps[len(loop) - 20 : len(loop) + 20].max() < 1.1 * steps[: len(loop) - 1].max()
    assert loudness(loop[:, 0], 0.0) > 0.05


@pytest.mark.parametrize(("own_class", "goes_on"), [(0, True), (1, False)])
def test_a_closed_hi_hat_at_the_start_of_a_loop_stops_an_open_one_at_its_end(
    play, own_class, goes_on
):
    kit = [hi_hat(46, own_class, 0), hi_hat(42, own_class, 1440)]
    loop = play([(42, 0, 0.1), (46, 0.5, 0.6)], drums=kit, is_drum=True, loop_s=1.0)
    assert loudness(loop, 0.5) > 0.2
    assert (loudness(loop, 0.1) > 0.05) == goes_on


def test_a_loop_without_notes_or_length_is_silent(play):
    assert not play([], loop_s=0.5).any()
    assert play([], loop_s=0.0).shape == (0, 2)


def test_the_same_notes_give_the_same_samples(play):
    notes = [(69, 0, 1), (72, 0.5, 1)]
    np.testing.assert_array_equal(play(notes), play(notes))


def test_an_empty_piece_is_silent(play):
    samples = play([])
    assert samples.shape == (round(synthesizer.TAIL_S * RATE), 2)
    assert not samples.any()


def with_type(data, kind):
    """The file with another type of its sample."""
    place = data.index(b"Sine" + bytes(16)) + 44
    return data[:place] + bytes([kind, 0]) + data[place + 2 :]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda data: b"", "it is empty"),
        (lambda data: b"MThd" + data[4:], "does not start with RIFF and sfbk"),
        (lambda data: data[: len(data) // 2], "it is cut off"),
        (lambda data: data.replace(b"smpl", b"smpx"), "it has no samples"),
        (lambda data: data.replace(b"shdr", b"shdx"), "its chunk shdr is missing or cut off"),
        (
            lambda data: data.replace(b"ibag\x08\0\0\0\0\0", b"ibag\x08\0\0\0\xff\0"),
            "index of ibag",
        ),
        (lambda data: with_type(data, 0x11), "compressed"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, broken, reason):
    path = tmp_path / "broken.sf2"
    path.write_bytes(broken(soundfont()))
    with pytest.raises(UserError, match=reason) as caught:
        SoundFont(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        SoundFont(tmp_path / "none.sf2")


def test_damage_is_refused_or_played_but_never_a_crash(tmp_path):
    whole = soundfont(LOOP, loop=(1000, 41000), drums=[[(sf.EXCLUSIVE_CLASS, 1)]])
    tables = whole.index(b"pdta")
    sequence = import_note_seq().NoteSequence()
    for is_drum in (False, True):
        sequence.notes.add(pitch=69, start_time=0, end_time=0.2, velocity=90, is_drum=is_drum)
    path, refused = tmp_path / "damaged.sf2", 0
    rng = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(tables, len(data), 3):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            samples = synthesizer.render(sequence, SoundFont(path))
        except UserError:
            refused += 1
        else:
            assert np.isfinite(samples).all()
    assert 0 < refused < 150
