"""The tables of representations that other programs know."""

import dataclasses

import pytest

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.export import onnx_manifest, onnx_model, representations, tfjs_config
from music_vae.music.converters.base import Converter
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.melody import OneHotMelodyConverter


@dataclasses.dataclass(frozen=True)
class Flute(OneHotMelodyConverter):
    """Melodies of a researcher's own."""


@dataclasses.dataclass(frozen=True)
class Own(Converter):
    """A representation of a researcher's own."""

    steps_per_quarter: int = 4
    quarters_per_bar: int = 4
    input_depth: int = 90
    output_depth: int = 90

    def extract(self, sequence):
        raise NotImplementedError

    def dense_inputs(self, inputs):
        raise NotImplementedError

    def dense_outputs(self, outputs):
        raise NotImplementedError

    def from_tensors(self, samples, controls=None):
        raise NotImplementedError


def config_of(converter):
    return get_config("cat-mel_2bar_small").replace(data_converter=converter)


def test_a_class_has_its_entry_and_a_derived_class_that_of_the_nearest():
    table = {OneHotMelodyConverter: "melody", DrumsConverter: "drums"}
    assert representations.find(table, DrumsConverter(), "it") == "drums"
    assert representations.find(table, Flute(), "it") == "melody"
    assert representations.find({**table, Flute: "flute"}, Flute(), "it") == "flute"


def test_a_derived_class_is_exported_like_its_base():
    flute, plain = (config_of(kind(slice_bars=2)) for kind in (Flute, OneHotMelodyConverter))
    tfjs_config.check(flute)
    assert tfjs_config.describe(flute) == tfjs_config.describe(plain)
    onnx_model.check(flute)
    made = [onnx_manifest.manifest(config, {}) for config in (flute, plain)]
    for key in ("inputs", "outputs", "controls"):
        assert made[0][key] == made[1][key]


@pytest.mark.parametrize(
    ("check", "program"), [(tfjs_config.check, "@magenta/music"), (onnx_model.check, "ONNX files")]
)
def test_a_class_that_no_table_has_is_refused_with_those_that_can_be_exported(check, program):
    message = (
        rf"{program} cannot carry music of the kind Own; what can be exported is "
        "OneHotMelodyConverter, DrumsConverter, TrioConverter, GrooveConverter, "
        "MultiInstrumentPerformanceConverter"
    )
    with pytest.raises(UserError, match=message):
        check(config_of(Own()))
