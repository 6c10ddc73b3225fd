"""Parts of a config that do not fit each other are refused, by TensorFlow and NumPy alike."""

import pytest

from music_vae.common.errors import UserError
from music_vae.common.specs import (
    FlatDecoderSpec,
    GrooveHeadSpec,
    HierarchicalEncoderSpec,
    MultiCategoricalHeadSpec,
    SplitDecoderSpec,
)
from music_vae.configs import get_config
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.lstm_models import build_model
from support.cases import SMALL, hierarchical


def with_decoder(spec, name="cat-mel_2bar_small"):
    return get_config(name, SMALL).replace(decoder=spec)


def reencoding(levels, encoder=None):
    return hierarchical(
        autoregressive_levels=(0,), reencoder=HierarchicalEncoderSpec(levels), encoder=encoder
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            hierarchical((4, 5)),
            r"the decoder's level_lengths \(4, 5\) make 20 steps; max_seq_len is 24",
        ),
        (hierarchical(encoder=HierarchicalEncoderSpec((6, 5))), "the encoder's level_lengths"),
        (
            with_decoder(FlatDecoderSpec(MultiCategoricalHeadSpec((3, 4)))),
            r"depths \(3, 4\) do not add up to the output's 90",
        ),
        (
            with_decoder(SplitDecoderSpec((40, 40), (FlatDecoderSpec(), FlatDecoderSpec()))),
            r"depths \(40, 40\) do not add up to the output's 90",
        ),
        (
            with_decoder(FlatDecoderSpec(GrooveHeadSpec()), "cat-drums_2bar_small"),
            "512 is no multiple of 3",
        ),
        (
            with_decoder(FlatDecoderSpec(preprocess_controls=True)),
            "controls can only be preprocessed where there are controls",
        ),
        (
            reencoding((4, 6)),
            r"must be the decoder's \(4, 6\) the other way round, not \(4, 6\)",
        ),
        (
            reencoding((6, 4), encoder=HierarchicalEncoderSpec((4, 6))),
            "must be that encoder",
        ),
        (
            reencoding((6, 4)).replace(
                data_converter=get_config("cat-mel_2bar_med_chords").data_converter
            ),
            "a re-encoder cannot be used with controls",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_anything_is_built(config, message):
    for build in (build_model, lambda config: NumpyEngine(config, {})):
        with pytest.raises(UserError, match=message):
            build(config)
