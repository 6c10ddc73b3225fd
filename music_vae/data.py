"""Turns files of NoteSequences into batches: reads them, converts once, draws in every epoch.

    music = load(TFRecords("tunes.tfrecord"), config, augment=True, cache="disk")
    for batch, position in TrainingBatches(music, config, seed=0): ...
    for batch in evaluation_batches(music, config): ...

What is random (which windows of a sequence, in which key, in which order) is a function of the seed
and the epoch alone, so that a run that was interrupted goes on with the batch it would have had.
"""

from music_vae.dataset.batching import (
    Position,
    TrainingBatches,
    compact_batch,
    dense_batch,
    evaluation_batches,
    make_batch,
)
from music_vae.dataset.conversion import limit
from music_vae.dataset.epochs import Music, StreamedMusic
from music_vae.dataset.loading import CACHES, DISK, MEMORY, NONE, convert, load
from music_vae.dataset.sources import (
    TensorFlowDataset,
    TFRecords,
    read_note_sequences,
    read_tfds,
)
from music_vae.music.augmentation import NoteSequenceAugmenter
from music_vae.music.converters.base import Converter, Tensors
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.trio import TrioConverter

__all__ = [
    "CACHES",
    "DISK",
    "MEMORY",
    "NONE",
    "Converter",
    "DrumsConverter",
    "GrooveConverter",
    "MultiInstrumentPerformanceConverter",
    "Music",
    "NoteSequenceAugmenter",
    "OneHotMelodyConverter",
    "Position",
    "StreamedMusic",
    "TFRecords",
    "TensorFlowDataset",
    "Tensors",
    "TrainingBatches",
    "TrioConverter",
    "compact_batch",
    "convert",
    "dense_batch",
    "evaluation_batches",
    "limit",
    "load",
    "make_batch",
    "read_note_sequences",
    "read_tfds",
]
