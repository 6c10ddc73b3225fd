"""Trained models as other programs read them. Needs no TensorFlow."""
