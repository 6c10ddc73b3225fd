"""ABC text that would take its parser gigabytes or hours is refused at once, in one sentence."""

import time

import pytest

from music_vae.music import notes_io
from music_vae.music.readers import abc_structure
from music_vae.music.unreadable import UnreadableMusicError

HEAD = "X:1\nT:a\nL:1/8\nK:C\n"
TUNES = "".join(f"X:{number}\nK:C\nC|\n\n" for number in range(2500))

TOO_MUCH = {
    "titles": ("X:1\n" + "T:a\n" * 20_000 + "K:C\nCDEF|\n", "50 titles of a tune"),
    "long titles": (
        "X:1\n" + f"T:{'a' * 400}\n" * 40 + "K:C\nCDEF|\n",
        "5,000 characters in the ti",
    ),
    "fields": (HEAD + "w:a\n" * 20_000 + "CDEF|\n", "2,000 information fields of a tune"),
    "lines of a file header": ("Z:a\n" * 10_000 + "\n" + TUNES, "100 lines in its file header"),
    "a long file header": (f"Z:{'a' * 40_000}\n\n{TUNES}", "10,000 characters in its file header"),
    "characters": (HEAD + "z" * 3_000_000, "2,000,000 characters of a tune"),
    "bars": (HEAD + "C|" * 40_000, "20,000 bars of a tune"),
    "notes": (HEAD + "C" * 200_000, "100,000 notes of a tune, with its repeats"),
    "repeats": (HEAD + "|" + ":" * 4000 + "C" * 4000 + ":" * 4000 + "|", "100,000 notes of a tune"),
    "double bars of colons": (HEAD + "z::" * 40_000 + "C", "20,000 bars of a tune"),
    "voices": (HEAD + "".join(f"[V:{n}]C|\n" for n in range(5_000)), "200 voices of a tune"),
    "fields in lines": (HEAD + "[M:2/4]z" * 40_000 + "C", "20,000 fields within the lines of a tu"),
    "texts": (HEAD + '""' * 40_000 + "C", "20,000 texts of a tune"),
}
# Each took a parser hours, or more memory than there is.
HARD_TO_READ = {
    "open fields": HEAD + "C [T::" * 9_000,
    "an open chord": HEAD + "[" + "C1" * 700,
    "open chords": HEAD + "[C1" * 20_000,
    "open chords with text": HEAD + '["[' * 10_000 + "C",
    "a chord of wrong accidentals": HEAD + "[" + "^^^C11" * 40 + "]",
    "a tempo": "X:1\nQ:" + "11/11" * 40 + "\nK:C\nC|\n",
    "a tempo of many beats": "X:1\nQ:" + "1/4 " * 4000 + "\nK:C\nC|\n",
    "a tempo of fractions": "X:1\nL:1/4\nK:C\nC\nQ:" + "1/4 " * 300_000,
    "a long voice field": "X:1\nL:1/4\nK:C\nC\nV:1 " + "a=b " * 300_000 + "\nD",
    "many slashes": HEAD + "C" + "/" * 40_000,
    "a long number": HEAD + "C" + "9" * 40_000,
    "a length of 0": HEAD + "C0 D/0 E2|",
    "a long broken rhythm": HEAD + "C" + ">" * 40_000 + "D",
    "a tuplet of 0": HEAD + "(0CDE (999999CDE (3:0:0CDE",
    "open grace notes": HEAD + "{" * 40_000 + "C",
    "open decorations": HEAD + "!a" * 40_000 + "C",
    "octaves": HEAD + "C" + "," * 40_000 + "c" + "'" * 40_000 + "D",
    "bars of rest": HEAD + "Z" + "9" * 40_000 + "|C",
    "endings": HEAD + "|: C |" + "1,2-99999," * 2_000 + " D :|",
    "many endings": HEAD + "|: C |1 D :|2 E |]" * 5_000,
    "overlays": HEAD + "C &" * 20_000 + "D",
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_is_too_much_is_refused_at_once_in_one_sentence(tmp_path, name):
    text, reason = TOO_MUCH[name]
    path = tmp_path / "a.abc"
    path.write_text(text)
    start = time.monotonic()
    with pytest.raises(UnreadableMusicError, match=reason) as error:
        notes_io.read_file(path)
    assert time.monotonic() - start < 5
    assert str(error.value) == f"{path}: {error.value.reason}"


@pytest.mark.parametrize("name", HARD_TO_READ)
def test_what_is_hard_to_read_is_read_at_once(tmp_path, name):
    path = tmp_path / "a.abc"
    path.write_text(HARD_TO_READ[name])
    start = time.monotonic()
    (sequence,) = notes_io.read_music_file(path)
    assert time.monotonic() - start < 5
    assert sequence.notes
    assert sequence.total_time < 24 * 3600


def test_a_tune_that_is_too_much_does_not_take_the_others_with_it(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text("X:1\n" + "T:a\n" * 51 + "K:C\nCDEF|\n\nX:2\nK:C\nCDEF|\n")
    reading = notes_io.read_file(path)
    assert [sequence.reference_number for sequence in reading.sequences] == [2]
    assert reading.skipped == {"ABC with more than 50 titles of a tune": 1}


def test_long_but_sound_tunes_are_let_through():
    abc_structure.check_tune(
        "X:1\n" + "T:title\n" * 50 + "M:C|\nQ:1/4=90\nK:C\n" + "|:C2 D2:|" * 5000
    )
    abc_structure.check_tune(
        HEAD + "[C11E11G11c11e11g11c'11e'11] [K:G] G [1A2B2c2d2e2f2g2| [K:C] [M:3/4] C |2 B"
    )
    abc_structure.check_file_header(["L:1/8", "M:4/4"])
    abc_structure.check_tunes(TUNES)
