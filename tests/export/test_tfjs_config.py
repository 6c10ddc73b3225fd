"""Which configs @magenta/music can carry and why not; `config.json` of those that it can."""

import dataclasses
import re

import pytest

from music_vae.common.errors import UserError
from music_vae.common.specs import (
    BooleanHeadSpec,
    FlatDecoderSpec,
    GrooveHeadSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    LstmEncoderSpec,
    NadeHeadSpec,
    SplitDecoderSpec,
)
from music_vae.configs import CONFIG_MAP, get_config
from music_vae.export import tfjs_config
from support.cases import with_converter as heard

ENCODER_REFUSED = {
    "hierdec-mel_16bar": ("its encoder has 2 layers", "its encoder is not"),
    "hierdec-trio_16bar": ("its encoder has 2 layers", "its encoder is not"),
    "flat-mel_16bar": ("its encoder has 2 layers",),
}
_MIXTURES = "the outputs of its decoder (mixture groove) are not those of its music"
# The reasons against a decoder, and then those against an encoder.
REFUSED = {
    "flat-trio_16bar": ("melody, bass and drums together", "its encoder has 2 layers"),
    "groovae_4bar_mini": (_MIXTURES,),
    **{
        f"groovae_2bar_{kind}_mini": ("its decoder reads the input, too", _MIXTURES)
        for kind in ("humanize", "add_closed_hh")
    },
}

MELODY = get_config("cat-mel_2bar_small")
CHORDS = get_config("cat-mel_2bar_med_chords")
DRUMS = get_config("cat-drums_2bar_small")
HIER = get_config("hier-mel_16bar")
TRIO = get_config("hier-trio_16bar")
GROOVE = get_config("groovae_4bar")
PERFORMANCE = get_config("hier-multiperf_vel_1bar_med")


def sizes(config, **values):
    return config.replace(hparams=config.hparams.replace(**values))


def levels(config, *lengths):
    """A config whose hierarchies have levels of these lengths, from the top down."""
    return config.replace(
        encoder=dataclasses.replace(config.encoder, level_lengths=lengths[::-1]),
        decoder=dataclasses.replace(config.decoder, level_lengths=lengths),
    )


@pytest.mark.parametrize("name", CONFIG_MAP)
def test_a_config_of_the_registry_is_carried_or_refused_with_its_reasons(name):
    config = CONFIG_MAP[name]
    reasons = ENCODER_REFUSED.get(name, REFUSED.get(name))
    if reasons is None:
        tfjs_config.check(config)
        return
    with pytest.raises(UserError, match=f"@magenta/music cannot carry {name}: ") as error:
        tfjs_config.check(config)
    assert all(reason in str(error.value) for reason in reasons)
    decodes = "`decode_only` exports" in error.value.hint
    assert decodes == (name in ENCODER_REFUSED) == ("format=onnx" not in error.value.hint)


@pytest.mark.parametrize("name", CONFIG_MAP)
def test_a_decoder_that_can_be_carried_needs_no_encoder(name):
    if name in REFUSED:
        with pytest.raises(UserError, match=re.escape(REFUSED[name][0])):
            tfjs_config.check(CONFIG_MAP[name], decode_only=True)
    else:
        tfjs_config.check(CONFIG_MAP[name], decode_only=True)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (sizes(MELODY, z_size=0), "it has no latent space"),
        (sizes(MELODY, dec_rnn_size=(8, 4)), r"layers differ in size \(8, 4\)"),
        (sizes(MELODY, residual_decoder=True), "its decoder has residual layers"),
        (sizes(MELODY, residual_encoder=True), "its encoder has residual layers"),
        (sizes(MELODY, enc_rnn_size=(8, 8)), "its encoder has 2 layers"),
        (MELODY.replace(encoder=LstmEncoderSpec()), "its encoder reads in one direction"),
        (
            MELODY.replace(encoder=HierarchicalEncoderSpec((16, 2))),
            "its encoder is hierarchical and its decoder is not",
        ),
        (
            HIER.replace(encoder=HierarchicalEncoderSpec((16, 16), LstmEncoderSpec())),
            "its encoder reads in one direction",
        ),
        (
            HIER.replace(encoder=HierarchicalEncoderSpec((32, 8))),
            r"its encoder's levels \(32, 8\) are not the decoder's, \(16, 16\)",
        ),
        (HIER.replace(encoder=MELODY.encoder), "its decoder is hierarchical and its encoder is"),
        (
            HIER.replace(decoder=HierarchicalDecoderSpec((4, 4, 16))),
            "it has 2 levels of conductors",
        ),
        (
            HIER.replace(decoder=HierarchicalDecoderSpec((16, 16), autoregressive_levels=(0,))),
            "its conductor reads back",
        ),
        (
            HIER.replace(
                decoder=HierarchicalDecoderSpec(
                    (16, 16), autoregressive_levels=(0,), reencoder=HIER.encoder
                )
            ),
            "its conductor re-encodes",
        ),
        (heard(MELODY, add_end_token=True), "its sequences end with an end token"),
        (heard(DRUMS, add_end_token=True), "its sequences end with an end token"),
        (
            heard(DRUMS, roll_input=False, roll_output=True),
            "drum rolls from drums that are one-hot",
        ),
        (heard(DRUMS, roll_output=True), r"the outputs of its decoder \(categorical\)"),
        (MELODY.replace(decoder=FlatDecoderSpec(NadeHeadSpec())), r"its decoder \(nade\)"),
        (MELODY.replace(decoder=FlatDecoderSpec(BooleanHeadSpec())), r"its decoder \(boolean\)"),
        (
            heard(DRUMS, roll_output=True).replace(decoder=FlatDecoderSpec(GrooveHeadSpec())),
            r"its decoder \(groove\)",
        ),
        (
            MELODY.replace(decoder=SplitDecoderSpec((40, 50), (FlatDecoderSpec(),) * 2)),
            r"its decoder \(several\)",
        ),
        (
            TRIO.replace(decoder=SplitDecoderSpec((180, 512), (FlatDecoderSpec(),) * 2)),
            "not those of a melody, a bass and drums",
        ),
        (heard(GROOVE, num_velocity_bins=8, num_offset_bins=8), "are in bins"),
        (heard(GROOVE, split_instruments=True), "every drum has a step of its own"),
        (heard(GROOVE, tapify=True), "reads the velocities of tapped rhythms"),
        (heard(GROOVE, fixed_velocities=True), "reads offsets without velocities"),
        (levels(heard(PERFORMANCE, hop_size_bars=2), 16, 64), "its pieces are cut into chunks"),
        (heard(PERFORMANCE, quarters_per_bar=3), "72 steps and its longest time shift 96"),
        (
            levels(heard(PERFORMANCE, max_num_instruments=4), 16, 16),
            "its decoder does not conduct 4 instruments of 64 events",
        ),
        (PERFORMANCE.replace(decoder=MELODY.decoder), "does not conduct 8 instruments"),
        (
            sizes(
                CHORDS.replace(decoder=FlatDecoderSpec(preprocess_controls=True)),
                control_preprocessing_rnn_size=(8, 8),
            ),
            "it reads controls with more than one layer",
        ),
    ],
)
def test_what_the_player_does_not_know_is_refused_with_the_reason(config, reason):
    with pytest.raises(UserError, match=reason):
        tfjs_config.check(config)


def args_of(config, kind):
    tfjs_config.check(config)
    described = tfjs_config.describe(config)
    assert described["type"] == "MusicVAE"
    assert described["dataConverter"]["type"] == kind
    return described["dataConverter"]["args"]


def test_the_description_of_melodies():
    pitches = {"minPitch": 21, "maxPitch": 108}
    assert args_of(MELODY, "MelodyConverter") == {"numSteps": 32, **pitches}
    assert args_of(HIER, "MelodyConverter") == {"numSteps": 256, "numSegments": 16, **pitches}


def test_the_description_of_drums_names_the_pitches_of_every_class():
    args = args_of(DRUMS, "DrumsConverter")
    assert args["numSteps"] == 32
    assert args["pitchClasses"][2] == [42, 44, 54, 68, 69, 70, 71, 73, 78, 80, 22]
    assert len(args["pitchClasses"]) == 9
    nade = get_config("nade-drums_2bar_full")
    assert args_of(nade, "DrumRollConverter")["pitchClasses"][:2] == [[36], [35]]
    args_of(heard(DRUMS, roll_input=False), "DrumsOneHotConverter")


def test_the_description_of_independent_drums():
    config = heard(DRUMS, roll_output=True).replace(decoder=FlatDecoderSpec(BooleanHeadSpec()))
    args_of(config, "DrumRollConverter")
    assert tfjs_config.describe(config)["useBooleanDecoder"] is True
    assert "useBooleanDecoder" not in tfjs_config.describe(DRUMS)


def test_the_description_of_trios():
    args = args_of(TRIO, "TrioConverter")
    assert {name: args[name] for name in ("numSteps", "numSegments")} == {
        "numSteps": 256,
        "numSegments": 16,
    }
    assert args["melArgs"] == args["bassArgs"] == {"minPitch": 21, "maxPitch": 108}
    assert len(args["drumsArgs"]["pitchClasses"]) == 9
    flat = sizes(TRIO, enc_rnn_size=(8,)).replace(encoder=MELODY.encoder, decoder=TRIO.decoder.core)
    assert "numSegments" not in args_of(flat, "TrioConverter")


def test_the_description_of_performances():
    assert args_of(PERFORMANCE, "MultitrackConverter") == {
        "numSteps": 512,
        "numSegments": 8,
        "stepsPerQuarter": 24,
        "totalSteps": 96,
        "numVelocityBins": 8,
        "minPitch": 0,
        "maxPitch": 127,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("groovae_4bar", {"numSteps": 64}),
        ("groovae_2bar_humanize", {"numSteps": 32, "humanize": True}),
        ("groovae_2bar_tap_fixed_velocity", {"numSteps": 32, "tapify": True}),
        ("groovae_2bar_add_closed_hh", {"numSteps": 32}),
    ],
)
def test_the_description_of_grooves_has_the_pitches_of_inference(name, expected):
    args = args_of(get_config(name), "GrooveConverter")
    assert args.pop("pitchClasses") == args_of(DRUMS, "DrumsConverter")["pitchClasses"]
    assert args == {"stepsPerQuarter": 4, **expected}


def test_controls_are_described():
    chords = get_config("cat-mel_2bar_med_chords")
    assert tfjs_config.describe(chords)["chordEncoder"] == "TriadChordEncoder"
    keys = tfjs_config.describe(heard(chords, condition_on_key=True))
    assert keys["conditionOnKey"] is True
    hits = tfjs_config.describe(get_config("groovae_2bar_hits_control"))
    assert hits["extraControls"] == [{"name": "hits", "depth": 9}]
    assert set(tfjs_config.describe(MELODY)) == {"type", "dataConverter"}
