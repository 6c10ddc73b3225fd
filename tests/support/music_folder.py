"""A folder of music files of all kinds, and of others."""

import shutil

from support.paths import TUNES

ABC = "X:1\nL:1/4\nK:C\nCDEF|\n\nX:7\nL:1/4\nK:C\nfedc|\n\nX:8\nK:H\nCDE|\n"
MUSICXML = """<score-partwise><part-list><score-part id="P1"/></part-list><part id="P1">
<measure><attributes><divisions>1</divisions></attributes>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note>
</measure></part></score-partwise>"""


def make(root):
    """Two MIDI files, one of them broken, and in a subfolder an ABC and a MusicXML file."""
    (root / "sub").mkdir(parents=True)
    shutil.copy(TUNES / "soldiers_joy.mid", root / "b.mid")
    (root / "a.MIDI").write_bytes(b"not music")
    (root / "sub" / "c.abc").write_text(ABC)
    (root / "sub" / "d.xml").write_text(MUSICXML)
    (root / "readme.txt").write_text("no music")
    (root / "loop").symlink_to(root, target_is_directory=True)
    return root
