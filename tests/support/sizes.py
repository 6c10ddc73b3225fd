"""Sizes of models in tests, as `--hparams`."""

TINY = "batch_size=8,z_size=4,enc_rnn_size=[6],dec_rnn_size=[6,5],sampling_rate=10"
SMALL = "batch_size=8,z_size=4,enc_rnn_size=[6],dec_rnn_size=[6,5]"
