# `make demo` makes music, `make test` runs the tests; both set up their virtual environment first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo

# A model small enough to train in about two minutes on two cores.
DEMO_HPARAMS := batch_size=32,z_size=32,enc_rnn_size=[128],dec_rnn_size=[128,128],learning_rate=0.002,max_beta=0.05,beta_rate=0
DEMO_STEPS := 1500

.PHONY: help demo test lint golden clean

help:
	@echo "make demo   set up, and make music"
	@echo "make test   set up, and run all tests"
	@echo "make lint   ruff and mypy"
	@echo "make golden GOLDEN=DIR   the whole set of golden values"

demo: $(VENV)/installed
	@echo "No trained model ships yet: training a small one first, for about two minutes, on the"
	@echo "nine public-domain tunes of examples/tunes. Its melodies will sound like them."
	$(BIN)/convert_dir_to_note_sequences --input_dir=examples/tunes --output_file=$(DEMO)/tunes.tfrecord
	$(BIN)/music_vae_train --config=cat-mel_2bar_small --run_dir=$(DEMO)/run \
	  --examples_path=$(DEMO)/tunes.tfrecord --hparams=$(DEMO_HPARAMS) --num_steps=$(DEMO_STEPS) --seed=0
	$(BIN)/music_vae_generate --run_dir=$(DEMO)/run --mode=sample --num_outputs=5 --seed=0 \
	  --output_dir=$(DEMO)/music

test: $(VENV)/installed-test
	$(BIN)/pytest -n 2 --dist loadscope

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The whole set of golden values, from a folder that is not part of the repository.
golden: $(VENV)/installed-test
	@test -n "$(GOLDEN)" || { echo "usage: make golden GOLDEN=DIR" >&2; exit 2; }
	GOLDEN_DIR=$(GOLDEN) $(BIN)/pytest tests/test_golden_models.py tests/converters/test_golden.py

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(VENV)/installed: setup.py | $(BIN)/pip
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/installed-%: setup.py | $(BIN)/pip
	$(BIN)/pip install --quiet --editable ".[$*]"
	touch $@
