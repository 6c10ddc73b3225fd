"""Tasks by name need no model, and short names stand for the shipped models."""

import pytest

from music_vae import TrainedModel, generate
from music_vae.commands import tasks
from music_vae.commands.choices import ModelChoice
from music_vae.commands.generate_request import MODES
from music_vae.common.errors import UserError
from music_vae.weights import shipped
from support import exported


@pytest.fixture
def command(tmp_path):
    def run(name, *flags):
        path = exported.write(tmp_path, name)
        given = [f"--input_midi={path}", f"--output_dir={tmp_path / 'out'}", "--seed=1", *flags]
        code = generate.main(given)
        return code, sorted(tmp_path.glob("out/*.mid"))

    return run


def request(*flags):
    values = generate.cli.copy.deepcopy(generate.FLAGS)
    values(["music_vae_generate", *flags])
    return generate.request_of(values)


@pytest.mark.parametrize(
    ("task", "name", "model", "count"),
    [
        ("humanize", "beat", "groovae_2bar_humanize_mini", 1),
        ("tap", "beat", "groovae_2bar_tap_fixed_velocity_mini", 1),
        ("add_hihat", "beat", "groovae_2bar_add_closed_hh_mini", 1),
        ("vary", "loop", "cat-mel_2bar_mini", 5),
        ("vary", "three_tracks", "cat-mel_2bar_mini", 5),
        ("vary", "beat", "cat-drums_2bar_mini_hikl", 5),
        ("vary", "drums_on_channel_1", "cat-drums_2bar_mini_hikl", 5),
        ("vary", "bass_alone", "cat-mel_2bar_mini", 5),
    ],
)
def test_a_task_chooses_the_model(command, caplog, task, name, model, count):
    with caplog.at_level("INFO"):
        code, paths = command(name, f"--mode={task}")
    assert code == 0
    assert f"using the model {model} that comes with music_vae" in caplog.messages
    assert len(paths) == count
    assert all(path.name.startswith(model) for path in paths)


def test_a_task_is_the_same_as_its_mode_and_model(command):
    _, (short,) = command("beat", "--mode=humanize")
    _, paths = command("beat", "--config=groovae_2bar_humanize_mini", "--mode=reconstruct")
    (long,) = set(paths) - {short}
    assert short.read_bytes() == long.read_bytes()


def test_a_task_has_its_own_temperature_unless_another_is_given():
    tap = ["--mode=tap", "--input_midi=a.mid"]
    assert request(*tap).sampling.temperature == 0.8
    assert request(*tap, "--temperature=0.3").sampling.temperature == 0.3
    assert request("--mode=humanize", "--input_midi=a.mid").sampling.temperature == 0.5


def test_a_model_that_is_given_goes_before_that_of_a_task():
    given = request("--mode=humanize", "--config=groovae_4bar_mini", "--input_midi=a.mid")
    assert given.model.config == "groovae_4bar_mini"
    assert request("--mode=vary", "--run_dir=RUN", "--input_midi=a.mid").model.config is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--mode=vary"], "--mode=vary needs one piece as --input_midi, not 0"),
        (["--mode=humanize"], "--mode=humanize needs one piece as --input_midi, not 0"),
        (["--mode=vary", "--input_midi=nowhere.mid"], "--input_midi=nowhere.mid: no such file"),
        (
            ["--mode=humanize", "--config=melody", "--input_midi=a.mid"],
            "--mode=humanize is for models of grooves; cat-mel_2bar_mini is none",
        ),
        (["--mode=dance"], "<sample|interpolate|reconstruct|similar|attribute|humanize|tap|"),
    ],
)
def test_a_mistake_names_the_task(tmp_path, capsys, flags, message):
    assert generate.main([*flags, f"--output_dir={tmp_path}"]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", tasks.TASKS)
def test_models_of_tasks_ship(name):
    task = tasks.TASKS[name]
    assert task.mode in MODES
    assert {task.config, task.drums_config or task.config} <= set(shipped.names())


@pytest.mark.parametrize("name", shipped.ALIASES)
def test_a_short_name_is_a_model_of_two_bars(name):
    model = ModelChoice(config=name)
    config = model.read_config()
    assert config.name == shipped.ALIASES[name]
    assert config.data_converter.window_bars == 2
    assert model.resolve() == shipped.folder(shipped.ALIASES[name])
    assert TrainedModel.shipped(name).config == config


@pytest.mark.parametrize(("name", "meant"), [("melodie", "melody"), ("drum", "drums")])
def test_what_is_nearly_a_short_name_is_asked_about(name, meant):
    message = f"`config={name}`: there is no model '{name}'; did you mean {meant}\\?"
    with pytest.raises(UserError, match=message):
        ModelChoice(config=name)
