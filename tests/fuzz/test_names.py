"""Names come from files and flags: in pictures, pages and printed lines they are only text."""

import contextlib
import html.parser
import io
import xml.dom.minidom

import pytest
from hypothesis import given
from hypothesis import strategies as st
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.commands import checkpoints, cli
from music_vae.render import plotting, results_page

_NASTY = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' & {{notes}} {{title}}",
    "$x$ $\\frac$ {$",
    "\x1b[31mred\x07",
    "two\nlines\r\tand a tab",
    "\udcff\ud800",
    "a\x00b\ufffe",
    "\u202eltr \u2028",
)
_NAMES = st.one_of(
    st.sampled_from(_NASTY),
    st.text(st.characters(exclude_categories=()), min_size=1, max_size=20),
)


@pytest.fixture(scope="module")
def midi(tmp_path_factory):
    path = tmp_path_factory.mktemp("names") / "a.mid"
    path.write_bytes(b"MThd")
    return path


def _tune():
    tune = NoteSequence(total_time=1)
    tune.notes.add(pitch=60, velocity=80, start_time=0, end_time=1)
    return tune


@pytest.mark.filterwarnings("ignore:Glyph")  # the font does not have all of Unicode
@given(title=_NAMES, label=_NAMES)
def test_pictures_are_well_formed(title, label):
    figure = plotting.new_figure((2.0, 1.0))
    figure.suptitle(title)
    figure.text(0, 0, label)
    picture = xml.dom.minidom.parseString(plotting.svg(figure).encode("utf-8"))
    names = {element.tagName for element in picture.getElementsByTagName("*")}
    assert not names & {"script", "img", "a", "foreignObject"}


class _Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, tuple(sorted(name for name, _ in attributes))))


@given(name=_NAMES, value=_NAMES, label=_NAMES)
def test_pages_have_the_same_elements_whatever_the_names(midi, name, value, label):
    def tags(name, value, label):
        pieces = [results_page.PagePiece(label, _tune(), midi, "<svg/>")]
        options = {"facts": {name: value}, "columns": None, "heading": label}
        return _Tags(results_page.page(pieces, title=name, **options)).found

    assert tags(name, value, label) == tags("name", "value", "label")


@given(rows=st.lists(st.tuples(_NAMES, _NAMES), min_size=1, max_size=3))
def test_printed_columns_keep_to_their_lines_and_control_no_terminal(rows):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        checkpoints._print_columns(rows)
    lines = output.getvalue().split("\n")
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() for line in lines)


@given(text=_NAMES)
def test_errors_control_no_terminal(text):
    line = cli.error_text(ValueError(text), cli.new_flags())
    assert line.isprintable()
