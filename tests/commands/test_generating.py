"""Music is made of a request, by whoever has one: no flag is seen."""

import dataclasses

import pretty_midi
import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae import generate
from music_vae.commands import generating
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.generate_request import Request
from music_vae.commands.inputs import SeveralWindowsError
from music_vae.commands.material import gather
from music_vae.common.errors import UserError
from support.paths import TUNES


@pytest.fixture(scope="module")
def model(random_run):
    return ModelChoice(run_dir=str(random_run("cat-mel_2bar_small")))


def test_a_request_makes_what_the_command_makes(model, tmp_path):
    sampling = Sampling(seed=3, temperature=0.5, max_batch_size=8)
    request = Request(
        model, tmp_path / "ours", num_outputs=2, sampling=sampling, render=("svg", "html")
    )
    paths = list(generating.generate(request))
    assert [path.suffix for path in paths] == [".mid", ".mid", ".svg", ".svg", ".html"]
    flags = ["--num_outputs=2", "--seed=3", f"--output_dir={tmp_path / 'theirs'}"]
    assert generate.main([f"--run_dir={model.run_dir}", *flags]) == 0
    theirs = sorted((tmp_path / "theirs").iterdir())
    assert [path.read_bytes() for path in paths[:2]] == [path.read_bytes() for path in theirs]


def test_the_parts_of_the_pipeline_can_be_used_by_themselves(model, tmp_path, windows):
    request = Request(
        model, tmp_path, "similar", input_midi=(windows[0],), sampling=Sampling(seed=1), qpm=70
    )
    config = model.read_config()
    generating.check(request, config)
    material = gather(request, config, "now")
    assert len(material.pieces) == 1
    pieces = generating.make(generating.open_model(request, config), request, material)
    assert len(pieces) == 5
    made = generating.write(generating.at_tempo(pieces, request, material), request, config, "now")
    assert made.paths[0].name == "cat-mel_2bar_small_similar_now_seed1-000-of-005.mid"
    assert made.facts["tempo"] == "70"
    (qpm,) = pretty_midi.PrettyMIDI(str(made.paths[0])).get_tempo_changes()[1]
    assert qpm == pytest.approx(70, abs=1e-3)


def test_a_request_without_a_seed_has_one_on_its_page_that_repeats_it(model, tmp_path):
    request = Request(model, tmp_path / "one", num_outputs=1, render=("html",)).with_seed()
    first = next(iter(generating.generate(request)))
    again = dataclasses.replace(request, output_dir=tmp_path / "two")
    assert next(iter(generating.generate(again))).read_bytes() == first.read_bytes()


def test_pieces_without_notes_are_counted_in_a_line(model, tmp_path, monkeypatch, caplog):
    def made(*_):
        return [NoteSequence(total_time=4.0), NoteSequence(notes=[{"pitch": 60, "end_time": 1.0}])]

    monkeypatch.setattr(generating, "make", made)
    request = Request(model, tmp_path, num_outputs=2)
    with caplog.at_level("WARNING"):
        assert len(list(generating.generate(request))) == 2
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("1 of 2 pieces have no notes: ")


def test_errors_name_arguments(model, tmp_path):
    request = Request(model, tmp_path, chords="C")
    with pytest.raises(
        UserError, match="`chords`: cat-mel_2bar_small is not conditioned on chords; these"
    ):
        list(generating.generate(request))


def test_runs_within_a_second_replace_nothing(model, tmp_path, windows, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "now")
    request = Request(
        model,
        tmp_path,
        "interpolate",
        num_outputs=3,
        input_midi=windows[:2],
        render=("svg", "html"),
        sampling=Sampling(seed=4),
    )
    paths = []
    for steps in (3, 3, 5):  # of another length, the picture would have the same name
        paths += generating.generate(dataclasses.replace(request, num_outputs=steps))
    assert len(set(paths)) == 3 + 3 + 5 + 3 + 3
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    names = [path.name for path in paths if path.suffix in (".svg", ".html")]
    stem = "cat-mel_2bar_small_interpolate_now_seed4"
    assert names == [
        *(f"{stem}.svg", "index.html"),
        *(f"{stem}-2.svg", "index-2.html"),
        *(f"{stem}-3.svg", "index-3.html"),
    ]
    assert f"{stem}-3-004-of-005.mid" in {path.name for path in paths}


def test_windows_that_are_cut_out_replace_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "now")
    request = Request(model, tmp_path, "similar", input_midi=(TUNES / "soldiers_joy.mid",))
    for times, name in ((1, "now-000"), (2, "now-2-000")):
        with pytest.raises(SeveralWindowsError) as error:
            list(generating.generate(request))
        assert f"extractions_{name}-of-008.mid" in error.value.listing[0]
        assert len(list(tmp_path.iterdir())) == 8 * times
