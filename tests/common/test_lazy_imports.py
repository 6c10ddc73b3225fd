"""Heavy packages come without what is never used, and lose nothing for good."""

import subprocess
import sys

import pytest

from music_vae.common import lazy_imports
from music_vae.common.errors import UserError


def run(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip(), result.stderr


def test_note_seq_comes_without_what_makes_sound_and_pictures():
    output, errors = run(
        "import sys; from music_vae.common.lazy_imports import import_note_seq; "
        "ns = import_note_seq(); "
        "print(ns.NoteSequence.__name__, ns.constants.STANDARD_PPQ, ns.Melody.__name__, "
        "[m for m in ('bokeh', 'IPython', 'librosa', 'scipy', 'tensorflow') if m in sys.modules])"
    )
    assert output == "NoteSequence 220 Melody []"
    assert errors == ""


def test_everything_else_of_note_seq_is_there_when_it_is_asked_for():
    output, errors = run(
        "from music_vae.common.lazy_imports import import_note_seq; ns = import_note_seq()\n"
        "before = ns.NoteSequence\n"
        "from note_seq import MelodyInferenceError, infer_melody_for_sequence\n"
        "import note_seq, inspect\n"
        "print(note_seq is ns, note_seq.NoteSequence is before, note_seq.__version__ > '0', "
        "inspect.isclass(MelodyInferenceError), hasattr(ns, 'no_such_name'), "
        "hasattr(ns, '__no_such_name__'))"
    )
    assert output == "True True True True False False"
    assert errors == ""


def test_evaluation_needs_no_tensorflow(tiny_run, tunes):
    flags = [f"--run_dir={tiny_run}", f"--examples_path={tunes}", "--num_samples=3", "--json"]
    output, errors = run(
        "import sys; from music_vae.commands import evaluate\n"
        f"code = evaluate.main({flags})\n"
        "print(code, [m for m in ('tensorflow', 'keras', 'tensorflow_probability', 'bokeh', "
        "'librosa', 'IPython') if m in sys.modules])"
    )
    assert output.splitlines()[-1] == "0 []"
    assert '"accuracy_teacher_forced"' in output
    assert errors == ""


def test_a_note_seq_that_is_imported_already_is_used():
    output, _ = run(
        "import note_seq; from music_vae.common.lazy_imports import import_note_seq; "
        "import pretty_midi; "
        "print(import_note_seq() is note_seq, pretty_midi.pretty_midi.MAX_TICK)"
    )
    assert output == "True 10000000"


def test_note_seqs_notebook_functions_still_reach_the_real_ones():
    output, _ = run(
        "from music_vae.common.lazy_imports import import_note_seq\n"
        "ns = import_note_seq(); import sys\n"
        "try: ns.plot_sequence(None)\n"
        "except AttributeError as e: print('notebook_utils' in str(e.__traceback__.tb_next"
        ".tb_frame.f_code.co_filename), 'bokeh' in sys.modules)"
    )
    assert output == "True True"


def test_note_seq_keeps_pretty_midis_own_limit_on_ticks():
    output, _ = run(
        "from music_vae.common.lazy_imports import import_note_seq\n"
        "import_note_seq().infer_melody_for_sequence\n"
        "import pretty_midi; print(pretty_midi.pretty_midi.MAX_TICK)"
    )
    assert output == "10000000"


def test_without_tensorflow_what_trains_says_what_is_missing_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match="this needs TensorFlow, which is not installed") as error:
        lazy_imports.import_tensorflow()
    assert "pip install tensorflow" in error.value.hint


def test_tensorflow_comes_quietly_and_what_was_hidden_can_be_imported_after():
    output, errors = run(
        "import sys; from music_vae.common.lazy_imports import import_tensorflow; "
        "import_tensorflow(); "
        "print('tensorflow' in sys.modules, 'pandas' in sys.modules); import pandas; "
        "print(pandas.Series([1]).sum())"
    )
    assert output.split() == ["True", "False", "1"]
    assert errors == ""
