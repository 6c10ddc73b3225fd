"""Exports trained models for other programs: web pages, ONNX runtimes, the original MusicVAE."""
