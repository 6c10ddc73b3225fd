"""Music of a git repository's history: every version is found, one of each song is kept."""

import shutil
import subprocess
from collections import Counter

import games
import history
import numpy as np
import pytest

from music_vae import data
from music_vae.common.errors import UserError
from support.paths import TUNES

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

REEL, HORNPIPE, BACH = (
    (TUNES / f"{name}.mid").read_bytes()
    for name in ("soldiers_joy", "fishers_hornpipe", "bach_bwv10_7")
)


class Repository:
    """A git repository to commit files to."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments):
        who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
        subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True)

    def commit(self, **changes):
        """Writes files, `__` in a name for `/` and `_mid` for `.mid`; None removes one."""
        for name, contents in changes.items():
            path = self.folder / name.replace("__", "/").replace("_mid", ".mid")
            path.parent.mkdir(parents=True, exist_ok=True)
            if contents is None:
                path.unlink()
            else:
                path.write_bytes(contents)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=change")


@pytest.fixture
def freedoom(tmp_path):
    """A reel that became a hornpipe; music removed for its rights, also under another name."""
    repository = Repository(tmp_path / "freedoom")
    repository.commit(musics__d_e1m1_mid=REEL, README=b"a game")
    repository.commit(musics__d_e1m1_mid=HORNPIPE, musics__hyena__song_mid=BACH)
    repository.commit(musics__d_e1m2_mid=BACH, musics__hyena__song_mid=None)
    repository.commit(musics__d_e1m3_mid=b"MUS\x1a, not MIDI")
    return repository


def test_all_versions_are_found_with_the_folders_that_they_lay_in(freedoom):
    found = history.blobs(freedoom.folder)
    assert [(blob.path, blob.folders) for blob in found.values()] == [
        ("musics/d_e1m1.mid", {"musics"}),
        ("musics/d_e1m1.mid", {"musics"}),
        ("musics/d_e1m2.mid", {"musics/hyena", "musics"}),
        ("musics/d_e1m3.mid", {"musics"}),
    ]


def test_what_was_removed_for_its_rights_is_left_out_under_every_name(freedoom, tmp_path):
    target, skipped = tmp_path / "midi", Counter()
    target.mkdir()
    paths = history.midi_history(freedoom.folder, games.REMOVED, target, skipped)
    assert [(target / name).read_bytes() for name in paths] == [REEL, HORNPIPE]
    assert skipped == {
        "file that was removed from the repository for its rights": 1,
        "file that is not MIDI": 1,
    }


def test_music_on_other_branches_and_of_merges_is_found_too(freedoom):
    freedoom.git("checkout", "--quiet", "-b", "other", "HEAD~3")
    freedoom.commit(musics__d_e2m1_mid=BACH + b"\0")
    freedoom.git("checkout", "--quiet", "main")
    paths = [blob.path for blob in history.blobs(freedoom.folder).values()]
    assert "musics/d_e2m1.mid" in paths


def test_a_link_is_no_music(freedoom):
    (freedoom.folder / "musics" / "d_e1m9.mid").symlink_to("d_e1m1.mid")
    freedoom.commit()
    assert len(history.blobs(freedoom.folder)) == 4


def test_names_are_those_in_the_repository(freedoom, tmp_path):
    out = tmp_path / "out"
    arguments = [f"--git_history={freedoom.folder}", f"--output_dir={out}"]
    assert games.main([*arguments, "--validation_share=0", "--test_share=0"]) == 0
    first, second = data.read_note_sequences(str(out / "train.tfrecord"))
    assert [first.filename, second.filename] == ["musics/d_e1m1.mid"] * 2
    assert (first.id, second.id) == tuple(
        f"/id/midi/freedoom/{name[:12]}" for name in list(history.blobs(freedoom.folder))[:2]
    )
    assert first.collection_name == "freedoom"


def test_an_exclusion_without_an_input_is_a_mistake(freedoom, tmp_path, capsys):
    arguments = [f"--git_history={freedoom.folder}", f"--output_dir={tmp_path / 'out'}"]
    assert games.main([*arguments, "--exclude=*remix*"]) == 2
    assert "--exclude is about the files of --input" in capsys.readouterr().err


def test_a_history_and_other_files_are_split_together(freedoom, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    (more / "bach.mid").write_bytes(BACH)
    out = tmp_path / "out"
    arguments = [f"--git_history={freedoom.folder}", f"--input={more}", f"--output_dir={out}"]
    assert games.main([*arguments, "--validation_share=0", "--test_share=0"]) == 0
    names = [s.filename for s in data.read_note_sequences(str(out / "train.tfrecord"))]
    assert names == ["musics/d_e1m1.mid", "musics/d_e1m1.mid", "bach.mid"]


def random_song(make_tune, seed, name, more=()):
    rng = np.random.default_rng(seed)
    notes = [(pitch, 0.5) for pitch in rng.integers(50, 80, 80).tolist()]
    return make_tune([*notes, *more], name=name)


def test_of_versions_the_one_with_the_most_notes_stays_or_the_last(make_tune):
    songs = [
        random_song(make_tune, 1, "first", more=[(60, 0.5), (64, 1.0)]),
        random_song(make_tune, 1, "shorter"),
        random_song(make_tune, 2, "old"),
        random_song(make_tune, 3, "other"),
        random_song(make_tune, 2, "new"),
    ]
    skipped = Counter()
    kept = history.one_version(songs, skipped)
    assert [song.filename for song in kept] == ["first", "other", "new"]
    assert skipped == {"another version of a song": 2}


def test_songs_with_half_of_their_phrases_in_common_are_two(make_tune):
    rng = np.random.default_rng(0)
    shared = [(pitch, 0.5) for pitch in rng.integers(50, 80, 60).tolist()]
    songs = [random_song(make_tune, seed, str(seed), more=shared) for seed in (1, 2)]
    assert len(history.one_version(songs, Counter())) == 2


def test_a_clone_without_its_history_is_refused_and_says_how_to_get_it(freedoom, tmp_path, capsys):
    shallow = tmp_path / "shallow"
    freedoom.git("clone", "--quiet", "--depth=1", f"file://{freedoom.folder}", str(shallow))
    assert games.main([f"--git_history={shallow}", f"--output_dir={tmp_path / 'out'}"]) == 2
    error = capsys.readouterr().err
    assert "git fetch --unshallow" in error
    assert len(error.splitlines()) == 1


def test_a_folder_that_is_no_repository_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match="no git repository"):
        history.blobs(tmp_path)


def test_what_a_partial_clone_lacks_is_counted(freedoom, tmp_path):
    lost = next(iter(history.blobs(freedoom.folder)))
    (freedoom.folder / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    target, skipped = tmp_path / "midi", Counter()
    target.mkdir()
    assert len(history.midi_history(freedoom.folder, games.REMOVED, target, skipped)) == 1
    assert skipped["file that the clone lacks or that is too large"] == 1
