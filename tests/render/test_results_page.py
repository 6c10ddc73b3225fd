"""The page of results: one file, all in it, and nothing that a file or a flag says becomes code."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from music_vae.common.lazy_imports import import_note_seq
from music_vae.render import results_page

NASTY = """<script>alert("1")</script>&'{{notes}}"""


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of each kind."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "link", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def make(tmp_path):
    def page(labels=("1 of 2", "2 of 2"), facts=None, columns=None, name="piece"):
        sequence = import_note_seq().NoteSequence(total_time=2)
        sequence.notes.add(pitch=60, velocity=80, start_time=0.5, end_time=1, program=3)
        sequence.notes.add(pitch=36, velocity=90, start_time=0, end_time=0.1, is_drum=True)
        pieces = []
        for number, label in enumerate(labels):
            midi = tmp_path / f"{name}{number}.mid"
            midi.write_bytes(b"MThd%d" % number)
            pieces.append(results_page.PagePiece(label, sequence, midi, f"<svg>{number}</svg>"))
        return results_page.page(
            pieces,
            title="Samples",
            facts=facts or {"seed": "7", "temperature": "0.5"},
            columns=columns,
            heading="2 pieces",
        )

    return page


def test_every_piece_has_its_picture_its_midi_file_and_its_facts(make):
    elements = Elements(make())
    pictures = [image["src"] for image in elements.all("img") if image.get("src")]
    links = [link for link in elements.all("a") if link.get("href")]
    items = elements.all("li")
    assert len(pictures) == len(links) == len(items) == 2
    for number, (picture, link, item) in enumerate(zip(pictures, links, items, strict=True)):
        kind, _, data = picture.partition(";base64,")
        assert kind == "data:image/svg+xml"
        assert base64.b64decode(data) == f"<svg>{number}</svg>".encode()
        assert base64.b64decode(link["href"].partition("base64,")[2]) == b"MThd%d" % number
        assert link["download"] == f"piece{number}.mid"
        assert item["data-about"] == "seed 7 · temperature 0.5"
    descriptions = [image["alt"] for image in elements.all("img")]
    assert "Piano roll of 1 of 2, 2 notes" in descriptions


def test_the_notes_are_in_the_page_in_their_order(make):
    text = re.search(r'id="notes">(.*?)</script>', make(), re.DOTALL)[1]
    (first, _) = json.loads(text)
    assert first == {"length": 2, "notes": [[0, 0.1, 36, 90, 0, 1], [0.5, 0.5, 60, 80, 3, 0]]}


def test_the_page_asks_for_nothing_from_outside(make):
    page = make()
    elements = Elements(page)
    sources = [a.get(key) for _, a in elements.found for key in ("src", "href") if a.get(key)]
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest", page)
    (policy,) = [m["content"] for m in elements.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'")


def test_what_a_flag_or_a_file_says_stays_text(make):
    facts = {"run_dir": NASTY, NASTY: "x"}
    elements = Elements(make(labels=(NASTY, NASTY), facts=facts, name="a\"b'<i>&"))
    assert len(elements.all("script")) == 2  # those of the template
    assert not elements.all("i")
    assert NASTY in "".join(elements.texts["dd"])
    assert NASTY in "".join(elements.texts["span"])
    assert next(a["download"] for a in elements.all("a") if a.get("href")) == "a\"b'<i>&0.mid"
    assert elements.all("li")[0]["data-about"].startswith(f"run_dir {NASTY}")


def test_data_cannot_end_its_script():
    assert "</" not in results_page._script_json({"a": "</script><script>"})


@pytest.mark.parametrize(("columns", "css"), [(5, "repeat(5, "), (None, "repeat(auto-fill, ")])
def test_the_columns_are_those_of_the_grid(make, columns, css):
    assert css in make(columns=columns)


def test_every_field_of_the_template_is_filled(make):
    assert "{{" not in make()


def test_its_script_is_valid(make, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    script = tmp_path / "page.js"
    script.write_text(re.findall(r"<script>(.*?)</script>", make(), re.DOTALL)[0])
    subprocess.run([node, "--check", script], check=True, capture_output=True)


def test_a_browser_shows_the_first_piece_large(make, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium")
    page = tmp_path / "index.html"
    page.write_text(make(labels=("row 1, column 1", "row 1, column 2")), encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'home'}",
    ]
    done = subprocess.run(
        [chromium, *options, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
    )
    elements = Elements(done.stdout)
    (stage,) = elements.all("section")
    assert "hidden" not in stage
    assert elements.texts["h2"][0] == "row 1, column 1"
    images = [image["src"] for image in elements.all("img")]
    assert images[0] == images[1] != images[2]  # the large one is the first of the list
    chosen = [button for button in elements.all("button") if button.get("aria-current")]
    assert len(chosen) == 1
