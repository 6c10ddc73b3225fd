"""`--hparams` as people write it."""

import pytest

from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.common.overrides import apply_overrides


def test_values_get_the_type_of_their_hyper_parameter():
    hparams = apply_overrides(
        HParams(), "batch_size=32, learning_rate=5e-4,conditional=false,clip_mode=value"
    )
    assert hparams == HParams(
        batch_size=32, learning_rate=0.0005, conditional=False, clip_mode="value"
    )


def test_a_list_is_written_in_brackets_and_one_number_stands_for_a_list_of_one():
    hparams = apply_overrides(HParams(), "enc_rnn_size=[256,512],dec_rnn_size=64")
    assert (hparams.enc_rnn_size, hparams.dec_rnn_size) == ((256, 512), (64,))


def test_a_fraction_is_taken_where_the_default_is_written_as_a_whole_number():
    hparams = HParams(sampling_rate=0, free_bits=48)
    changed = apply_overrides(hparams, "sampling_rate=0.5,free_bits=0.5")
    assert (changed.sampling_rate, changed.free_bits) == (0.5, 0.5)


def test_no_text_changes_nothing():
    assert apply_overrides(HParams(), "") == HParams()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize=3", "unknown hyper-parameter 'batchsize'; did you mean batch_size"),
        ("qqq=3", "unknown hyper-parameter 'qqq'; known are max_seq_len"),
        ("batch_size=many", "batch_size='many' cannot be read; expected a whole number"),
        ("batch_size=2.5", "expected a whole number"),
        ("conditional=maybe", "expected true or false"),
        ("enc_rnn_size=[1,x]", r"expected \[256,512\]"),
        ("batch_size", "cannot read 'batch_size'"),
        ("batch_size=1,batch_size=2", "given twice"),
        ("batch_size=0", "batch_size=0 is out of range; expected at least 1"),
        ("sampling_schedule=sometimes", "expected constant, inverse_sigmoid, exponential"),
        ("enc_rnn_size=[]", "enc_rnn_size"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(text, message):
    with pytest.raises(UserError, match=message):
        apply_overrides(HParams(), text)
