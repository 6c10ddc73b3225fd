"""The demo page: what is written into it, and the page itself in Chromium."""

import json
import re

import numpy as np
import pytest

from music_vae import TrainedModel
from music_vae.commands import export
from music_vae.common.errors import UserError
from music_vae.export import demo
from music_vae.music import notes_io
from music_vae.weights import config_file, shipped
from support import fitted_priors, latent_constraints

EVEN = "z_size=8,enc_rnn_size=[16],dec_rnn_size=[12,12]"
STEP_S = 0.125  # a sixteenth note at 120 quarter notes a minute
SHIPPED = ("cat-mel_2bar_mini", "cat-drums_2bar_mini_hikl")
# The player knows the published grooves, and those that ship are others.
GROOVES = tuple(
    f"groovae_2bar_{kind}" for kind in ("humanize", "tap_fixed_velocity", "add_closed_hh")
)
NAMES = SHIPPED + GROOVES
SAMPLED = (*SHIPPED, GROOVES[0])
SMALL = ("hier-trio_16bar", "hier-multiperf_vel_1bar_med", "hierdec-mel_16bar")
TOLERANCE = 1e-5


@pytest.fixture
def player(tmp_path):
    """A file that is not the player, where the player would be."""
    file = tmp_path / "node_modules" / "@magenta" / "music" / "dist" / "magentamusic.js"
    file.parent.mkdir(parents=True)
    file.write_text("window.mm = {};")
    return file


def page_of(tmp_path, *flags, config="cat-mel_2bar_mini"):
    arguments = [f"--config={config}", "--demo", f"--output_dir={tmp_path / 'page'}", *flags]
    assert export.main(arguments) == 0
    return (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def told(page):
    return json.loads(re.search(r'id="model">(.*?)</script>', page)[1])


def test_the_page_loads_one_version_of_the_player_and_knows_its_content(tmp_path):
    page = page_of(tmp_path)
    (script,) = re.findall(r"<script src=.*>", page)
    assert "https://cdn.jsdelivr.net/npm/@magenta/music@1.23.1/dist/magentamusic.js" in script
    assert f'integrity="{demo.PLAYER_INTEGRITY}" crossorigin="anonymous"' in script
    assert "{{" not in page
    assert not (tmp_path / "page" / "magentamusic.js").exists()


def test_the_page_is_told_what_the_model_is(random_run, tmp_path):
    name = "groovae_2bar_add_closed_hh"
    flags = [f"--run_dir={random_run(name, EVEN)}", "--demo", f"--output_dir={tmp_path}"]
    assert export.main(flags) == 0
    assert told((tmp_path / "index.html").read_text(encoding="utf-8")) == {
        "name": name,
        "encodes": True,
        "leftOut": [2],
        "attributes": False,
        "prior": False,
        "constraint": False,
    }
    assert told(page_of(tmp_path))["attributes"]


@pytest.mark.parametrize("given", ["node_modules", "node_modules/@magenta/music", ".", "file"])
def test_a_copy_of_the_player_is_found_and_put_beside_the_page(player, tmp_path, caplog, given):
    path = player if given == "file" else tmp_path / given
    page = page_of(tmp_path, f"--player={path}")
    assert '<script src="magentamusic.js">' in page
    assert "cdn.jsdelivr.net" not in page
    assert (tmp_path / "page" / "magentamusic.js").read_text() == player.read_text()
    assert "is not dist/magentamusic.js of @magenta/music 1.23.1" in caplog.text


def test_a_folder_without_the_player_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"there is no dist/magentamusic\.js; give the folder of"):
        demo.find_player(str(tmp_path))


def test_a_name_cannot_leave_its_place_in_the_page(random_run, tmp_path):
    run = random_run("cat-mel_2bar_small", EVEN)
    config = config_file.read(run)
    object.__setattr__(config, "name", "</script><b>")  # which no config can be made with
    demo.write(config, tmp_path, None, decode_only=False)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<b>" not in page.partition('<div class="bar">')[0]
    assert told(page)["name"] == "</script><b>"


@pytest.mark.node
def test_the_integrity_is_that_of_the_package(node_modules, caplog):
    found = demo.find_player(str(node_modules))
    assert found == node_modules / "@magenta/music/dist/magentamusic.js"
    assert not caplog.text


# -- In Chromium ----------------------------------------------------------------------------------


def piece(notes):
    """A sequence of (step, pitch, steps, velocity, program), program None for drums."""
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for step, pitch, steps, velocity, program in notes:
        sequence.notes.add(
            start_time=step * STEP_S,
            end_time=(step + steps) * STEP_S,
            pitch=pitch,
            velocity=velocity,
            program=program or 0,
            is_drum=program is None,
            instrument=9 if program is None else program // 8,
        )
    sequence.total_time = max(note.end_time for note in sequence.notes)
    return sequence


def drums(bars):
    """Steps with and without hits, two pitches of a class, early and late hits, soft and loud."""
    pattern = [(0, 36, 100), (0, 42, 71), (4.25, 38, 90), (5.9, 42, 33), (8, 36, 64), (8, 35, 50)]
    pattern += [(10.1, 46, 77), (12, 38, 111), (12, 40, 20), (13.8, 42, 45), (14, 49, 83)]
    return [
        (16 * bar + step, pitch, 1, velocity + bar % 4, None)
        for bar in range(bars)
        for step, pitch, velocity in pattern
    ]


def line(bars, program, low):
    """A voice with rests, repeated notes, and notes that overlap by a little."""
    pattern = [(0, 0, 4), (4, 4, 2), (6, 4, 1), (8, 7, 3), (12, 5, 1.2), (13, 2, 3)]
    return [
        (16 * bar + step, low + tone + bar % 5, steps, 80 + step, program)
        for bar in range(bars)
        for step, tone, steps in pattern
    ]


def own_music(name):
    if "multiperf" in name:
        return piece(line(1, 0, 60) + line(1, 33, 36) + drums(1))
    if "trio" in name:
        return piece(line(16, 0, 60) + line(16, 33, 36) + drums(16))
    return piece(line(2, 0, 60) if "mel" in name else drums(2))


@pytest.fixture(scope="module")
def visited(chromium, node_modules, random_run, web, tmp_path_factory):
    """What happened on the pages of some models, and where the models are."""
    folder, url = web
    work = tmp_path_factory.mktemp("visits")
    sources = {name: shipped.folder(name) for name in SHIPPED}
    sources |= {name: random_run(name, EVEN) for name in GROOVES + SMALL}
    visits = {}
    for name, source in sources.items():
        flags = [f"--run_dir={source}", "--demo", f"--player={node_modules}"]
        flags += ["--decode_only"] * name.startswith("hierdec")
        assert export.main([*flags, f"--output_dir={folder / 'pages' / name}"]) == 0
        address = f"{url}/pages/{name}"
        visits[name] = {"url": f"{address}/?backend=cpu", "sample": name in SAMPLED}
        if not name.startswith("hierdec"):
            notes_io.write_midi(own_music(name), folder / "pages" / name / "own.mid")
            own = {"midi": f"{address}/own.mid"}
            if name in NAMES:
                own = {"upload": str(folder / "pages" / name / "own.mid")}
            visits[name] |= own
    incomplete = folder / "pages" / "incomplete"
    page = folder / "pages" / NAMES[0] / "index.html"
    incomplete.mkdir()
    (incomplete / "index.html").write_bytes(page.read_bytes())
    (incomplete / "magentamusic.js").write_bytes(page.with_name("magentamusic.js").read_bytes())
    visits["incomplete"] = {"url": f"{url}/pages/incomplete/"}
    visits["from a file"] = {"url": page.as_uri()}
    (work / "visits.json").write_text(json.dumps(visits))
    chromium("in_page.cjs", work / "visits.json", work / "results.json")
    return sources, folder / "pages", json.loads((work / "results.json").read_text())


@pytest.mark.browser
@pytest.mark.parametrize("name", SAMPLED)
def test_a_page_samples_plays_and_saves(visited, name, tmp_path):
    found = visited[2][name]
    assert not found["errors"]
    assert found["sampled"][1] == ""
    assert len(found["cells"]) == 25
    assert sum(len(cell["notes"]) > 3 for cell in found["cells"]) > 12  # by chance
    notes = [note for cell in found["cells"] for note in cell["notes"]]
    assert all(0 <= note["start"] < note["end"] <= 8 for note in notes)
    assert all(0 < note["velocity"] <= 127 for note in notes)
    assert found["selected"] == 12  # the middle, which was clicked
    assert found["rates"] == pytest.approx([120, 90], rel=1e-6)
    assert 0.02 < found["loudness"] < 1
    (tmp_path / "saved.mid").write_bytes(bytes(found["midi"]))
    saved = notes_io.read_music_file(tmp_path / "saved.mid")[0]
    assert notes_io.tempo_of(saved) == pytest.approx(90, abs=0.01)
    # By pitch first: hits that are less than a tick of the file apart may change their order.
    heard = sorted((note.pitch, note.start_time, note.velocity) for note in saved.notes)
    shown = sorted(
        (note["pitch"], note["start"] * 60 / 90, note["velocity"])
        for note in found["cells"][12]["notes"]
    )
    np.testing.assert_allclose(heard, shown, atol=1e-3)
    assert all(note.is_drum == ("mel" not in name) for note in saved.notes)


@pytest.mark.browser
@pytest.mark.parametrize("name", [*NAMES, *SMALL[:2]])
def test_a_page_encodes_a_midi_file_as_we_do(visited, name):
    sources, folder, results = visited
    config = config_file.read(sources[name])
    music = notes_io.read_music_file(folder / name / "own.mid")[0]
    _, mu, _ = TrainedModel(config, 1, sources[name]).encode([music])
    assert not results[name]["errors"]
    assert results[name].get("uploaded", ["", ""])[1] == ""
    np.testing.assert_allclose(results[name]["point"], mu[0], atol=TOLERANCE)


@pytest.mark.browser
def test_a_page_draws_from_the_fitted_prior(chromium, node_modules, random_run, web, tmp_path):
    folder, url = web
    run = random_run("cat-mel_2bar_small", EVEN)
    fitted, mu = fitted_priors.of_two(run)
    flags = [f"--run_dir={run}", "--demo", f"--player={node_modules}"]
    assert export.main([*flags, f"--output_dir={folder / 'fitted'}"]) == 0
    visits = {"fitted": {"url": f"{url}/fitted/?backend=cpu", "drawn": 2000}}
    (tmp_path / "visits.json").write_text(json.dumps(visits))
    chromium("in_page.cjs", tmp_path / "visits.json", tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text())["fitted"]
    assert not found["errors"]
    drawn, prior = np.array(found["drawn"]), fitted.prior()
    ours = prior.points(np.random.default_rng(1).standard_normal((2000, prior.size)))
    for side in (-1, 1):
        page, own = (z[np.sign(z[:, 0]) == side] for z in (drawn, ours))
        assert len(page) / 2000 == pytest.approx((np.sign(mu[:, 0]) == side).mean(), abs=0.05)
        np.testing.assert_allclose(page.mean(axis=0), own.mean(axis=0), atol=0.08)
        np.testing.assert_allclose(page.std(axis=0), own.std(axis=0), atol=0.05)


@pytest.mark.browser
def test_a_page_asks_the_constraint_for_what_is_chosen(
    chromium, node_modules, random_run, web, tmp_path
):
    folder, url = web
    run = random_run("cat-mel_2bar_small", EVEN)
    fitted_priors.narrow(run)
    constraint = latent_constraints.beside(run)
    flags = [f"--run_dir={run}", "--demo", f"--player={node_modules}"]
    assert export.main([*flags, f"--output_dir={folder / 'constrained'}"]) == 0
    noise = np.random.default_rng(1).standard_normal((4, 8))
    choices = {"note_density": "high", "average_interval": "low"}
    visit = {"url": f"{url}/constrained/?backend=cpu", "noise": noise.tolist(), "choices": choices}
    (tmp_path / "visits.json").write_text(json.dumps({"constrained": visit}))
    chromium("in_page.cjs", tmp_path / "visits.json", tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text())["constrained"]
    assert not found["errors"]
    assert found["offered"] == {
        "note density": ["-", "low", "high"],
        "average interval": ["-", "low"],
    }
    for sides, key in (({}, "unasked"), (choices, "asked")):
        ours = constraint.prior(sides, 8).points(noise) if sides else np.full((4, 8), 3.0)
        np.testing.assert_allclose(found[key], ours, atol=TOLERANCE if sides else 0.1)


@pytest.mark.browser
def test_a_page_without_an_encoder_opens_no_midi_files(visited):
    results = visited[2]
    assert results["hierdec-mel_16bar"]["hidden"] == 4
    assert results["hierdec-mel_16bar"]["loaded"][0] == "Ready: 16 bars. Press Sample."
    assert results[NAMES[0]]["hidden"] == 0


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("incomplete", "The model could not be loaded"),
        ("from a file", 'Serve this folder, for example with "python -m http.server"'),
    ],
)
def test_a_page_says_what_is_wrong(visited, name, message):
    text, style = visited[2][name]["loaded"]
    assert message in text
    assert style == "error"
