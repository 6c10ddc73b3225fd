"""The README says what is there."""

import re

from music_vae.configs import CONFIG_MAP
from support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_has_every_config_with_its_sizes():
    section = README.partition("\n## Configs\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w-]+)` \|(.*)$", section, re.MULTILINE))
    assert list(rows) == list(CONFIG_MAP)
    for name, row in rows.items():
        music, steps, encoder, z, decoder = (cell.strip() for cell in row.strip(" |").split("|"))
        hparams = CONFIG_MAP[name].hparams
        assert music == CONFIG_MAP[name].data_converter.describe()
        assert (int(steps), int(z)) == (hparams.max_seq_len, hparams.z_size)
        assert encoder.split()[-1] == "-".join(map(str, hparams.enc_rnn_size))
        assert decoder.split()[-1] == "-".join(map(str, hparams.dec_rnn_size))


def test_the_picture_of_the_code_names_every_module():
    picture = README.partition("## How the code is laid out")[2].partition("Open `lstm_models")[0]
    for path in (ROOT / "music_vae").rglob("*.py"):
        if path.name != "__init__.py":
            assert re.search(rf"\b{path.stem}\b", picture), path


def test_files_that_the_readme_names_exist():
    names = ("docs/interpolation.png", "CONTRIBUTING.md", "benchmarks/README.md")
    tunes = re.findall(r"examples/\w+/\w+\.mid", README)
    assert tunes
    for name in (*names, *tunes):
        assert name in README
        assert (ROOT / name).is_file()
