"""Packaging: `pip install .` installs the package and its commands."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (ROOT / "music_vae/__init__.py").read_text()).group(1)

# Where TensorFlow has no wheels, all but training works.
_TRAINS = "; python_version < '3.14' and (sys_platform != 'darwin' or platform_machine != 'x86_64')"

setup(
    name="music_vae",
    version=VERSION,
    description="MusicVAE: sample, interpolate and train a latent space of music",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    packages=find_packages(include=["music_vae", "music_vae.*"]),
    package_data={
        "music_vae": [
            "py.typed",
            "models/*/*",
            "models/*/*/*",
            "render/templates/*",
            "export/*.html",
        ],
    },
    python_requires=">=3.10",
    install_requires=[
        "absl-py>=1.4",
        # note-seq needs pydub, which imports a module that Python 3.13 removed.
        "audioop-lts; python_version >= '3.13'",
        "filelock>=3.12",
        "google-crc32c>=1.5",
        "note-seq>=0.0.5",
        "numpy>=1.26",
        "platformdirs>=3.0",
        "pretty-midi>=0.2.10",
        "protobuf>=4.25",
        "requests>=2.31",
        "safetensors>=0.4",
        f"tensorboard>=2.18{_TRAINS}",
        f"tensorflow>=2.18{_TRAINS}",
        f"tensorflow-probability>=0.25{_TRAINS}",
        f"tf-keras>=2.18{_TRAINS}",
        f"keras>=3.5{_TRAINS}",
        "tqdm>=4.60",
        "urllib3>=1.26",
    ],
    extras_require={
        "beam": ["apache-beam>=2.60"],
        "tfds": ["tensorflow-datasets>=4.9"],
        "plots": ["matplotlib>=3.7"],
        "onnx": ["onnx>=1.14"],
        "audio": ["soundfile>=0.12"],
        "evaluation": ["scikit-learn>=1.3"],
        "notebook": ["ipywidgets>=8", "jupyterlab>=4", "matplotlib>=3.7", "soundfile>=0.12"],
        # Its corpus has the folk tunes that the shipped models were trained on.
        "corpora": ["music21==10.5.1; python_version >= '3.11'"],
        "docs": ["mkdocs-material>=9.7", "mkdocstrings[python]>=1.0"],
        "test": [
            "apache-beam>=2.60",
            "hypothesis>=6.100",
            "ipykernel>=6",
            "ipywidgets>=8",
            "matplotlib>=3.7",
            "mypy>=1.8",
            "nbclient>=0.8",
            "onnx>=1.14",
            "onnxruntime>=1.15",
            "pytest>=7.4",
            "pytest-xdist>=3.5",
            "scikit-learn>=1.3",
            "soundfile>=0.12",
            "tensorflow-datasets>=4.9",
        ],
        "dev": ["build>=1.0", "matplotlib>=3.7", "mypy>=1.8", "ruff>=0.5"],
    },
    entry_points={
        "console_scripts": [
            "music_vae_train=music_vae.train:console_entry_point",
            "music_vae_preprocess=music_vae.commands.preprocess:console_entry_point",
            "music_vae_generate=music_vae.generate:console_entry_point",
            "music_vae_evaluate=music_vae.commands.evaluate:console_entry_point",
            "music_vae_attributes=music_vae.commands.attributes:console_entry_point",
            "music_vae_constrain=music_vae.commands.constrain:console_entry_point",
            "music_vae_prior=music_vae.commands.prior:console_entry_point",
            "music_vae_personalize=music_vae.commands.personalize:console_entry_point",
            "music_vae_checkpoints=music_vae.commands.checkpoints:console_entry_point",
            "music_vae_export=music_vae.commands.export:console_entry_point",
            "convert_dir_to_note_sequences"
            "=music_vae.commands.convert_dir_to_note_sequences:console_entry_point",
        ]
    },
)
