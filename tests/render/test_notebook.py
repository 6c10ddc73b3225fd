"""The notebook is kept without outputs and runs; its pictures, players, uploads and beats."""

import base64
import io
import subprocess
import sys
import types

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from music_vae.common.errors import UserError
from music_vae.music.converters.drums import DrumsConverter
from music_vae.render import audio, notebook
from support.paths import ROOT

NOTEBOOK = ROOT / "notebooks" / "music_vae.ipynb"
TUNE = ROOT / "examples" / "tunes" / "soldiers_joy.mid"


# -- The notebook itself ----------------------------------------------------------------------


def test_the_notebook_is_kept_without_outputs():
    content = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(content)
    assert set(content.metadata) == {"kernelspec", "language_info"}
    assert content.metadata.language_info == {"name": "python"}
    for cell in content.cells:
        assert not cell.metadata
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_the_notebook_says_first_how_to_install():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [n for n, cell in enumerate(cells) if cell.cell_type == "code"]
    before = "\n".join(cell.source for cell in cells[: code[0]])
    assert "pip install '.[notebook]'" in before
    assert "Colab" in before
    assert "%pip install" in cells[code[0]].source


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch, record_property):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    content = nbformat.read(NOTEBOOK, as_version=4)
    check = "import sys, time\nprint('tensorflow' in sys.modules, time.process_time())"
    content.cells.append(nbformat.v4.new_code_cell(check))
    client = NotebookClient(
        content, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    outputs = [out for cell in content.cells for out in cell.get("outputs", ())]
    assert not [out for out in outputs if out.get("name") == "stderr"]
    imported, processor_s = outputs[-1]["text"].split()
    record_property("processor time, s", processor_s)
    assert imported == "False"
    assert float(processor_s) < 120
    data = [out["data"] for out in outputs if "data" in out]
    pictures = [each for each in data if "image/svg+xml" in each]
    players = sum(each.get("text/html", "").count("<audio") for each in data)
    assert len(pictures) == 10
    assert players == 39
    assert sum("application/vnd.jupyter.widget-view+json" in each for each in data) == 1
    assert len(list(tmp_path.glob("music/*.mid"))) == 14


def test_sampling_in_python_warns_of_nothing():
    program = (
        "from music_vae import TrainedModel\nTrainedModel.shipped('cat-mel_2bar_mini').sample(1)"
    )
    subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", program], check=True)


# -- Pictures and players ---------------------------------------------------------------------


@pytest.fixture
def displayed(monkeypatch):
    """What was displayed, as text."""
    seen = []
    monkeypatch.setattr("IPython.display.display", lambda shown: seen.append(shown.data))
    return seen


def two_beats():
    return [notebook.beat(bass="x...x...x...x..."), notebook.beat(snare="....x.......x...")]


@pytest.mark.parametrize(
    ("kind", "first"), [("flac", b"fLaC"), ("wav", b"RIFF")], ids=["flac", "wav"]
)
def test_pieces_have_a_picture_and_a_player_each(displayed, monkeypatch, kind, first):
    if kind == "wav":
        monkeypatch.setitem(sys.modules, "soundfile", None)
    notebook.show(two_beats(), ["low & <deep>", "high"], title="Two beats")
    picture, players = displayed
    assert "Two beats" in picture
    assert "Acoustic Snare" in picture
    assert "low &amp; &lt;deep&gt;" in players
    sounds = [part.split('"')[0] for part in players.split(f'src="data:audio/{kind};base64,')[1:]]
    assert len(sounds) == 2
    contents = [base64.b64decode(sound) for sound in sounds]
    assert all(content.startswith(first) for content in contents)
    assert contents[0] != contents[1]


def test_the_player_has_the_sound_of_the_piece(displayed):
    import soundfile

    (piece,) = [notebook.beat(bass="x...............")]
    notebook.show(piece)
    data = displayed[1].split("base64,")[1].split('"')[0]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
    expected = audio.render(piece, audio.open_soundfont(None))
    assert rate == 44100
    # Half a bit by rounding, and up to one as 1.0 is written as 2**15 - 1 and read by 2**15.
    np.testing.assert_allclose(samples, expected, atol=1.5 / 2**15)


@pytest.mark.parametrize(
    ("number", "columns", "found"), [(4, 5, 4), (6, 5, 3), (5, 1, 1), (7, 5, 1)]
)
def test_rows_of_pictures_are_of_one_length(displayed, monkeypatch, number, columns, found):
    drawn = []
    own = notebook.piano_rolls.draw
    monkeypatch.setattr(
        notebook.piano_rolls, "draw", lambda rows, **rest: drawn.append(rows) or own(rows, **rest)
    )
    monkeypatch.setattr(notebook, "_player", lambda *rest: "")
    notebook.show(two_beats()[:1] * number, columns=columns)
    assert [len(row) for row in drawn[0]] == [found] * (number // found)


@pytest.mark.parametrize(("pieces", "labels"), [(0, []), (2, ["one"])])
def test_pieces_and_labels_must_be_as_many(pieces, labels):
    with pytest.raises(UserError, match=f"{pieces} pieces need as many labels, not {len(labels)}"):
        notebook.show(two_beats()[:pieces], labels)


# -- Files of one's own -----------------------------------------------------------------------


def no_colab(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)


def test_a_file_is_chosen_in_jupyter(displayed, monkeypatch):
    no_colab(monkeypatch)
    monkeypatch.setattr("IPython.display.display", lambda shown: None)
    upload = notebook.Upload()
    assert upload.read() is None
    chosen = {"name": TUNE.name, "content": memoryview(TUNE.read_bytes())}
    upload._widget = types.SimpleNamespace(value=(chosen,))
    assert len(upload.read().notes) > 100


def test_a_file_is_chosen_on_colab(monkeypatch):
    files = types.SimpleNamespace(upload=lambda: {"my song.mid": TUNE.read_bytes()})
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(files=files))
    assert len(notebook.Upload().read().notes) > 100
    files.upload = dict  # nothing was chosen
    assert notebook.Upload().read() is None
    files.upload = lambda: {"my song.mid": b"MThd but broken"}
    with pytest.raises(UserError, match="MIDI"):
        notebook.Upload().read()


def test_without_widgets_a_path_is_asked_for(monkeypatch, capsys):
    no_colab(monkeypatch)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert notebook.Upload().read() is None
    assert "pip install ipywidgets; or give a path" in capsys.readouterr().out


# -- Beats ------------------------------------------------------------------------------------


def test_a_beat_is_as_written():
    written = {
        "bass": "x.......x.......",
        "snare": "....x.......x...",
        "closed_hihat": "x.x.x.x.x.x.x.x.",
    }
    sequence = notebook.beat(**written)
    tensors = DrumsConverter(slice_bars=1, roll_input=True).to_tensors(sequence)
    (roll,) = tensors.inputs
    for column, text in enumerate(written.values()):
        assert "".join("x" if hit else "." for hit in roll[:, column]) == text
    assert sequence.total_time == 2.0
    assert sequence.tempos[0].qpm == 120


@pytest.mark.parametrize(
    ("drums", "message"),
    [
        ({}, "a beat needs drums, all of the same number"),
        ({"bass": "x...", "snare": "x.."}, "all of the same number"),
        ({"cowbell": "x..."}, "unknown drum 'cowbell'; known are bass, snare"),
        ({"bass": "x-.."}, "bass: '-' is neither x, a hit, nor ., a rest"),
    ],
)
def test_a_beat_that_is_none_is_refused(drums, message):
    with pytest.raises(UserError, match=message):
        notebook.beat(**drums)
