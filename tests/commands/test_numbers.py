"""Every number that a command or a request takes is finite, and in a range that is named."""

import dataclasses
import importlib
import inspect
import math
import re
import typing
from pathlib import Path

import pytest
from absl import flags

from music_vae.commands import (
    attributes,
    constrain,
    convert_dir_to_note_sequences,
    evaluate,
    evaluating_interpolation,
    evaluating_realism,
    generate_request,
    personalize,
    preprocess,
    prior,
)
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.examples import Examples
from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.common.overrides import apply_overrides
from music_vae.configs import get_config
from music_vae.data import TFRecords
from music_vae.dataset.holdout import Part
from music_vae.dataset.preprocessing import Filters
from music_vae.latent.grooves import Playing
from music_vae.training import constraint_networks, personal_networks, request
from music_vae.training.cluster import Cluster
from support.commands import ENTRY_POINTS

ODD = ("nan", "inf", "-inf", "-1", str(10**20))


def number_flags():
    """All flags of all commands that are numbers, from the registries of the flags."""
    for program, name in sorted(ENTRY_POINTS.items()):
        module = importlib.import_module(name)
        for flag in sorted(module.FLAGS):
            if isinstance(module.FLAGS[flag].parser, flags.FloatParser | flags.IntegerParser):
                yield pytest.param(module, flag, id=f"{program}-{flag}")


def test_there_are_such_flags():
    assert len(list(number_flags())) > 50


@pytest.mark.parametrize("text", [*ODD, "1e400", "three", "", "1" * 5000])
@pytest.mark.parametrize(("module", "flag"), number_flags())
def test_a_number_out_of_range_is_one_line_that_names_its_flag(module, flag, text, capsys):
    assert module.main([f"--{flag}={text}"]) == 2
    error = capsys.readouterr().err
    assert re.search(f"--({flag}|{module.FLAGS[flag].name})={re.escape(text[:20])}", error)
    assert error.count("\n") == 1
    assert len(error) < 250 + len(text)
    assert " from " in error and " to " in error


@pytest.mark.parametrize(("module", "flag"), number_flags())
def test_a_flag_takes_its_default_and_the_ends_of_its_range(module, flag):
    parser, default = module.FLAGS[flag].parser, module.FLAGS[flag].default
    for number in (parser.lower_bound, parser.upper_bound, default):
        assert number is None or parser.parse(str(number)) == number
    assert math.isfinite(parser.lower_bound) and math.isfinite(parser.upper_bound)


MODEL, MUSIC = ModelChoice(config="cat-mel_2bar_mini"), Examples("music.tfrecord")
TUNES = request.Corpus("music.tfrecord")
REQUESTS = (
    Sampling(),
    MUSIC,
    Filters(),
    Playing(),
    attributes.EvaluateRequest(MODEL, Sampling()),
    constrain.TrainRequest(MODEL, MUSIC, Sampling()),
    constrain.EvaluateRequest(MODEL, Sampling()),
    convert_dir_to_note_sequences.Request(Path("songs"), Path("songs.tfrecord")),
    evaluate.Request(MODEL, MUSIC, Sampling()),
    evaluating_interpolation.Request(MODEL, "a", "b", Sampling()),
    evaluating_realism.Request(MODEL, MUSIC, "train.tfrecord", Sampling()),
    generate_request.Request(MODEL, Path("music")),
    generate_request.Request(MODEL, Path("music"), "similar", input_midi=(Path("a.mid"),)),
    generate_request.Request(MODEL, Path("music"), "reconstruct", input_midi=(Path("a.mid"),)),
    personalize.Request(MODEL, Path("mine"), Sampling(), input_dir=Path("songs")),
    prior.EvaluateRequest(MODEL, MUSIC, Sampling()),
    prior.FitRequest(MODEL, MUSIC, Sampling()),
    preprocess.Request("songs.tfrecord", "unique.tfrecord", "cat-mel_2bar_small"),
    TUNES,
    TFRecords("music.tfrecord"),
    Part(TFRecords("music.tfrecord"), 0.1, held_out=True),
    request.CheckpointPolicy(),
    request.Schedule(),
    request.TrainRequest(get_config("cat-mel_2bar_small"), Path("run"), TUNES),
    request.EvaluationRequest(get_config("cat-mel_2bar_small"), Path("run"), TUNES),
    personal_networks.Settings(),
    constraint_networks.Settings(),
)


def number_fields(value):
    """The fields of a frozen value that are numbers, with the kinds that each may have."""
    for field in dataclasses.fields(value):
        kinds = typing.get_args(field.type) or (field.type,)
        if typing.get_origin(field.type) is not tuple and {int, float} & set(kinds):
            yield field.name, kinds


def test_no_request_is_forgotten():
    modules = [importlib.import_module(name) for name in ENTRY_POINTS.values()]
    modules += [evaluating_interpolation, generate_request, request]
    own = {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and dataclasses.is_dataclass(value)
        if value.__module__.startswith("music_vae.") and any(number_fields(value))
    }
    assert own - {type(value) for value in REQUESTS} <= {
        HParams,
        Cluster,
    }  # tested below; made of TF_CONFIG


@pytest.mark.parametrize(
    ("value", "name", "kinds"),
    [
        pytest.param(
            value, *field, id=f"{type(value).__module__}.{type(value).__name__}.{field[0]}"
        )
        for value in REQUESTS
        for field in number_fields(value)
    ],
)
def test_a_field_that_is_no_number_or_out_of_range_is_refused(value, name, kinds):
    odd = [*map(float, ODD), 10**20, -1, "3", True, [1]]
    odd += [] if float in kinds else [1.5]
    odd += [] if type(None) in kinds else [None]
    for number in odd:
        with pytest.raises(UserError, match=f"`{name}[=`]"):
            dataclasses.replace(value, **{name: number})


def test_hyper_parameters_are_finite_and_in_range():
    numbers = [field.name for field in dataclasses.fields(HParams) if field.type in (int, float)]
    assert len(numbers) > 10
    for name in numbers:
        for text in (*ODD, "1e400", str(10**40)):
            with pytest.raises(UserError, match=name):
                apply_overrides(HParams(), f"{name}={text}")
        for number in (float("nan"), float("inf"), -1, 10**20, "3", None, True):
            with pytest.raises(UserError, match=name):
                HParams(**{name: number})
