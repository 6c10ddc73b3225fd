# `make demo` makes music, `make test` runs the tests; both set up their virtual environment first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo
SITE ?= site

.PHONY: help demo test fuzz lint docs golden corpora browser-checks clean

help:
	@echo "make demo   set up, and make music"
	@echo "make test   set up, and run all tests"
	@echo "make fuzz   damaged and hostile inputs of all kinds, for an hour"
	@echo "make lint   ruff and mypy"
	@echo "make docs   the documentation as a site, in $(SITE)/"
	@echo "make corpora   the music that models are trained on, from packages and from clones with git"
	@echo "make train-CONFIG   train a model as it ships, e.g. make train-cat-mel_2bar_mini"
	@echo "make golden GOLDEN=DIR   the whole set of golden values"
	@echo "make browser-checks   exported models in Node.js and Chromium (needs npm)"

demo: $(VENV)/installed-music
	$(BIN)/music_vae_generate --config=cat-mel_2bar_mini --mode=sample --num_outputs=5 \
	  --seed=0 --render=wav --output_dir=$(DEMO)/music
	@echo
	@echo "Five melodies are in $(DEMO)/music. Put the commands on your path, and try these:"
	@echo "  source $(VENV)/bin/activate"
	@echo "  music_vae_generate --config=drums --num_outputs=8 --render=wav --output_dir=music"
	@echo "  music_vae_generate --mode=vary --input_midi=examples/two_bars/durangs_hornpipe.mid --output_dir=music"
	@echo "  music_vae_generate --help"
	@echo "To train models as well, install TensorFlow: $(BIN)/pip install ."

test: $(VENV)/installed-test
	$(BIN)/pytest -n 2 --dist loadscope

# New inputs in every round; the first that is not survived ends it, and is tried first next time.
FUZZ_MINUTES ?= 60
fuzz: $(VENV)/installed-test
	end=$$(( $$(date +%s) + 60 * $(FUZZ_MINUTES) )); \
	while [ $$(date +%s) -lt $$end ]; do MUSIC_VAE_FUZZ=many $(BIN)/pytest -n 0 -q tests/fuzz || exit; done

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The reference is made of the docstrings; a link that leads nowhere is an error.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(abspath $(SITE))

# Exported models in Node.js and in Chromium, whose player npm puts into build/.
PLAYER := build/player
browser-checks: $(VENV)/installed-test $(PLAYER)/node_modules
	MUSIC_VAE_NODE_MODULES=$(PLAYER)/node_modules $(BIN)/pytest -m "node or browser" tests/export

$(PLAYER)/node_modules: tests/export/browser/package.json
	mkdir -p $(PLAYER)
	cp $< $(PLAYER)
	npm install --prefix $(PLAYER) --ignore-scripts --no-audit --no-fund --no-package-lock
	touch $@

# The whole set of golden values, from a folder that is not part of the repository.
golden: $(VENV)/installed-test
	@test -n "$(GOLDEN)" || { echo "usage: make golden GOLDEN=DIR" >&2; exit 2; }
	GOLDEN_DIR=$(GOLDEN) $(BIN)/pytest tests/test_golden_models.py tests/music/converters/test_golden.py

# -- The models that ship -------------------------------------------------------------------------

CORPORA ?= corpora
RUNS ?= runs
VALIDATE_EVERY := 250
comma := ,
empty :=
# The files of one split of all corpora of a recipe, as a list for a flag.
files = $(subst $(empty) $(empty),$(comma),$(foreach corpus,$(MUSIC),$(CORPORA)/$(corpus)/$(1).tfrecord))

train = $(BIN)/music_vae_train --config=$(1) --run_dir=$(RUNS)/$(1) --seed=1 --validate_every=$(VALIDATE_EVERY) \
  --examples_path=$(call files,train) --validation_path=$(call files,validation) --checkpoints_to_keep=3

# What scores are made of, as clones. Only Freedoom's needs its history.
SOURCES ?= build/sources
polish_url := https://github.com/pl-wnifc/humdrum-polish-scores
sos_url := https://github.com/MarkGotham/ScoresOfScores
lieder_url := https://github.com/OpenScore/Lieder
quartets_url := https://github.com/OpenScore/StringQuartets
hymnal_url := https://github.com/mzealey/openhymnal
tanner_url := https://github.com/tannerhelland/free-music
freedoom_url := https://github.com/freedoom/freedoom

$(SOURCES)/freedoom: DEPTH :=
$(SOURCES)/%: DEPTH := --depth 1
$(SOURCES)/%:
	mkdir -p $(SOURCES)
	git clone --quiet $(DEPTH) $($*_url) $@

# A collection, beside those that are split before it: near copies go to the sides that they have there.
scores = $(BIN)/python scripts/corpora/scores.py --source=$(1) --input=$(SOURCES)/$(1) \
  --output_dir=$(CORPORA)/$(1) --beside=$(subst $(empty) $(empty),$(comma),$(addprefix $(CORPORA)/,$(2)))

corpora: $(VENV)/installed-corpora $(addprefix $(SOURCES)/,polish sos lieder quartets hymnal tanner freedoom)
	$(BIN)/python scripts/corpora/folk.py --output_dir=$(CORPORA)/folk
	$(BIN)/python scripts/corpora/games.py --output_dir=$(CORPORA)/games
	$(BIN)/python scripts/corpora/games.py --output_dir=$(CORPORA)/leads --leads_as_piano
	$(BIN)/python scripts/corpora/groove.py --tfds --output_dir=$(CORPORA)/groove
	$(BIN)/python scripts/corpora/games.py --git_history=$(SOURCES)/freedoom --output_dir=$(CORPORA)/freedoom
	$(BIN)/python scripts/corpora/games.py --git_history=$(SOURCES)/freedoom \
	  --output_dir=$(CORPORA)/freedoom_leads --leads_as_piano
	$(BIN)/python scripts/corpora/games.py --input=$(SOURCES)/tanner/midi --output_dir=$(CORPORA)/tanner \
	  --exclude='*arrangement*,*remix?of*,Carol*' --leads_as_piano
	$(call scores,polish,folk)
	$(call scores,sos,folk polish/melodies)
	$(call scores,lieder,folk polish/melodies sos/melodies)
	$(call scores,hymnal,folk polish/melodies sos/melodies lieder/melodies)
	$(call scores,quartets,folk polish/melodies sos/melodies lieder/melodies hymnal/melodies)

# What each is trained on, and for how many steps at most.
train-cat-mel_2bar_mini: MUSIC := folk leads polish/melodies lieder/melodies sos/melodies hymnal/melodies
train-cat-mel_2bar_mini: STEPS := 2700
train-cat-mel_2bar_mini: PRIOR := --components=4000
# Reconstruction first, on part of the music; then a larger weight of the KL divergence lets go of what it does not need,
# and a smaller one takes back what it does.
melodies_first := --run_dir=$(RUNS)/cat-mel_2bar_mini_first \
  --examples_path=$(CORPORA)/folk/train.tfrecord,$(CORPORA)/leads/train.tfrecord \
  --hparams=batch_size=64,learning_rate=0.002,decay_rate=0.99985,beta_rate=0.9995,sampling_schedule=inverse_sigmoid,sampling_rate=1000
train-cat-mel_2bar_mini: FIRST := $(melodies_first),max_beta=0.02 --num_steps=8730
train-cat-mel_2bar_mini: SECOND := $(melodies_first),max_beta=0.08 --num_steps=16000
melodies_then := --hparams=learning_rate=0.001,max_beta=0.25,sampling_rate=0.5
train-cat-mel_2bar_mini: THIRD := --warm_start=$(RUNS)/cat-mel_2bar_mini_first/best $(melodies_then),decay_rate=0.9995 --num_steps=1152
train-cat-mel_2bar_mini: FOURTH := $(melodies_then) --num_steps=2038

train-cat-drums_2bar_mini_hikl train-cat-drums_2bar_mini_lokl: MUSIC := groove games
train-cat-drums_2bar_mini_hikl: STEPS := 7000
train-cat-drums_2bar_mini_lokl: FIRST := --run_dir=$(RUNS)/cat-drums_2bar_mini_lokl_first \
  --warm_start=$(RUNS)/cat-drums_2bar_mini_hikl --hparams=max_beta=0.1 --num_steps=1000
train-cat-drums_2bar_mini_lokl: THEN := --warm_start=$(RUNS)/cat-drums_2bar_mini_lokl_first/best
train-cat-drums_2bar_mini_lokl: STEPS := 1500
train-groovae_4bar_mini train-groovae_2bar_humanize_mini train-groovae_2bar_tap_fixed_velocity_mini \
train-groovae_2bar_add_closed_hh_mini: MUSIC := groove
# Teacher forcing first; then the decoder reads its own samples, as it does when it plays.
forced := --hparams=sampling_rate=0
train-groovae_%: PRIOR := --components=500
train-groovae_2bar_humanize_mini: FIRST := $(forced),decay_rate=0.9997 --num_steps=4000
train-groovae_2bar_humanize_mini: SECOND := --hparams=decay_rate=0.9996,sampling_rate=0.7 --num_steps=4815
train-groovae_2bar_humanize_mini: STEPS := 5400
train-groovae_2bar_tap_fixed_velocity_mini: STEPS := 4000
train-groovae_2bar_add_closed_hh_mini: THEN := --warm_start=$(RUNS)/groovae_2bar_humanize_mini/train
train-groovae_2bar_add_closed_hh_mini: STEPS := 1500
train-groovae_4bar_mini: FIRST := $(forced),decay_rate=0.9997 --num_steps=3500
train-groovae_4bar_mini: STEPS := 4000

# Trains (or goes on), draws the curves, puts the best weights into the package, and finds the
# directions of their attributes, and the prior that fits them.
train-%: $(VENV)/installed-dev
	$(if $(FIRST),$(call train,$*) $(FIRST))
	$(if $(SECOND),$(call train,$*) $(SECOND))
	$(if $(THIRD),$(call train,$*) $(THIRD))
	$(if $(FOURTH),$(call train,$*) $(FOURTH))
	$(call train,$*) $(THEN) --num_steps=$(STEPS) --patience=8
	$(BIN)/python scripts/plot_run.py $(RUNS)/$* docs/training/$*.png
	$(BIN)/python scripts/ship_model.py --run_dir=$(RUNS)/$*
	$(BIN)/music_vae_attributes compute --config=$* --num_examples=6000 --examples_path=$(call files,train) \
	  --output=music_vae/models/$*/attributes.safetensors
	$(BIN)/music_vae_prior fit --config=$* $(PRIOR) --examples_path=$(call files,train) \
	  --output=music_vae/models/$*/prior.safetensors

clean:
	rm -rf $(VENV) $(DEMO) $(SITE) build dist *.egg-info

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

# What making music needs, with pictures.
$(VENV)/installed-music: setup.py requirements-music.txt | $(BIN)/pip
	@echo "Setting up $(VENV) with what making music needs, which is all but TensorFlow."
	$(BIN)/pip install --quiet -r requirements-music.txt "matplotlib>=3.7"
	$(BIN)/pip install --quiet --no-deps note-seq
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/installed-%: setup.py | $(BIN)/pip
	$(BIN)/pip install --quiet --editable ".[$*]"
	touch $@
