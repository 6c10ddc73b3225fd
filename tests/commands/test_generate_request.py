"""A request for music checks itself, in Python as from the command line."""

import dataclasses
from pathlib import Path

import pytest

from music_vae.commands import generate_request
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.generate_request import MODES, Request
from music_vae.commands.tasks import TASKS
from music_vae.common.errors import UserError
from music_vae.generate import FLAGS
from music_vae.latent import grooves

MODEL = ModelChoice(config="cat-mel_2bar_mini")
A, AB, ABCD = (tuple(map(Path, letters)) for letters in ("a", "ab", "abcd"))


def request(mode="sample", **options):
    return Request(MODEL, Path("out"), mode, **options)


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("dance", {}, "`mode=dance` must be one of sample, interpolate"),
        ("sample", {"num_outputs": 0}, "`num_outputs=0` must be at least 1"),
        ("sample", {"qpm": 0}, "`qpm=0` must be at least 3.58"),
        ("sample", {"grid": "2x2"}, "`grid` is for `mode=interpolate`"),
        ("sample", {"input_midi": A}, "`input_midi` is for `mode=interpolate`, `mode=rec"),
        ("similar", {"hits": "input"}, "`hits` is for `mode=reconstruct`"),
        ("sample", {"constraint": "a", "personal": "b"}, "`constraint` or `personal`, one of"),
        ("sample", {"attribute": ("a=high",)}, "`mode=attribute`, or needs `constraint`"),
        ("attribute", {}, "`attribute` is required: as in `attribute=note_density=\\+1.5`"),
        ("similar", {}, "`mode=similar` needs one piece as `input_midi`, not 0"),
        ("similar", {"input_midi": AB}, "needs one piece as `input_midi`, not 2"),
        ("interpolate", {}, "`input_midi_1` is required: Where an interpolation starts."),
        ("interpolate", {"input_midi_1": "a"}, "`input_midi_2` is required: Where an inter"),
        ("interpolate", {"input_midi": A, "input_midi_2": "a"}, "give `input_midi`, or `input_"),
        ("interpolate", {"input_midi": A}, "needs two or more pieces as `input_midi`"),
        ("interpolate", {"input_midi": AB, "num_outputs": 1}, "`num_outputs` of at least 2"),
        ("interpolate", {"input_midi": AB, "grid": "2x2"}, "`grid` needs 4 pieces"),
        ("interpolate", {"input_midi": ABCD, "grid": "1x5"}, "`grid=1x5` is no grid"),
        ("interpolate", {"input_midi": ABCD, "grid": "2x2", "num_outputs": 4}, "leave out `num_"),
        ("sample", {"join": True}, "`join` is for `mode=interpolate`"),
        ("interpolate", {"input_midi": ABCD, "grid": "2x2", "join": True}, "not for `grid`"),
        ("reconstruct", {"input_midi": A, "amount": 4}, "`amount=4` must be at most 3"),
        ("reconstruct", {"input_midi": A, "hits": "none"}, "hits='none' must be one of"),
    ],
)
def test_what_does_not_go_together_is_refused(mode, options, message):
    with pytest.raises(UserError, match=message):
        request(mode, **options)


@pytest.mark.parametrize(
    ("mode", "options", "count", "shape"),
    [
        ("sample", {}, 5, None),
        ("sample", {"num_outputs": 3}, 3, None),
        ("similar", {"input_midi": A}, 5, None),
        ("reconstruct", {"input_midi": A}, 1, None),
        ("reconstruct", {"input_midi": A, "num_outputs": 3}, 3, None),
        ("attribute", {"attribute": ("a=1",)}, 5, None),
        ("attribute", {"attribute": ("a=1",), "input_midi": A}, 1, None),
        ("interpolate", {"input_midi": AB}, 5, (5, 1)),
        ("interpolate", {"input_midi": AB, "join": True}, 5, None),
        ("sample", {"join": False}, 5, None),
        ("interpolate", {"input_midi": ABCD, "grid": "3x4"}, 12, (3, 4)),
    ],
)
def test_how_many_pieces_are_made(mode, options, count, shape):
    found = request(mode, **options)
    assert (found.count, found.shape) == (count, shape)


def test_inputs_are_numbered_in_their_order_and_named_by_their_arguments():
    old = request("interpolate", input_midi_2="b.mid", input_midi_1="a.mid").inputs
    assert old == [
        ("input_midi_1", "input1", Path("a.mid")),
        ("input_midi_2", "input2", Path("b.mid")),
    ]
    new = request("interpolate", input_midi=(Path("~/a.mid"), Path("b.mid"))).inputs
    assert [given.argument for given in new] == ["input_midi", "input_midi"]
    assert new[0].path == Path.home() / "a.mid"


def test_amounts_are_those_of_all_playing_unless_they_have_their_own():
    options = {"input_midi": A, "amount": 0.25, "velocity_amount": 0.5, "hits": "both"}
    playing = request("reconstruct", **options).playing
    assert playing == grooves.Playing(timing=0.25, velocity=0.5, hits="both")
    assert request("reconstruct", input_midi=A).playing == grooves.Playing()
    assert generate_request.HITS == grooves.HITS


def test_a_seed_is_drawn_once():
    drawn = request().with_seed()
    assert drawn.sampling.seed is not None
    assert drawn.with_seed() is drawn


def test_a_page_says_what_was_asked_for():
    given = Request(
        ModelChoice(run_dir="RUN"),
        Path("out"),
        "attribute",
        attribute=("a=1", "b=2"),
        attribute_vectors="vectors",
        chords="C G",
    )
    assert given.facts() == {"run_dir": "RUN", "attribute": "a=1, b=2", "chords": "C G"}


def test_there_is_a_flag_for_every_part_of_a_request():
    parts = {field.name for field in dataclasses.fields(Request)} - {"model", "sampling", "task"}
    parts |= {field.name for kind in (ModelChoice, Sampling) for field in dataclasses.fields(kind)}
    assert set(FLAGS) == parts | {"help", "h", "helpfull", "log"}
    assert tuple(FLAGS["mode"].parser.enum_values) == (*MODES, *TASKS)
