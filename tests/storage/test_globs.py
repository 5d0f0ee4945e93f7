from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from storage.globs import Listed, match_keys

NAMES = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name.strip("."))
KEYS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERNS = st.lists(st.text("ab.*?[]", min_size=1, max_size=3) | st.just("**") | NAMES, min_size=1, max_size=3).filter(
    lambda parts: all(part.strip(".") for part in parts)
)


def listing(keys: set[str]):
    def listed(folder: str, is_deep: bool) -> Listed:
        start = f"{folder}/" if folder else ""
        under = [key.removeprefix(start) for key in sorted(keys) if key.startswith(start)]
        objects = [start + key for key in under if is_deep or "/" not in key]
        folders = {start + key.split("/", maxsplit=1)[0] for key in under if "/" in key}
        return Listed(objects, [] if is_deep else sorted(folders))

    return listed


@given(st.sets(KEYS, max_size=8), PATTERNS)
def test_a_glob_names_the_keys_that_it_would_name_as_files(keys: set[str], parts: list[str]) -> None:
    pattern = "/".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        made = set()
        for key in sorted(keys):
            path = Path(folder, key)
            if any(parent.is_file() for parent in path.parents) or path.is_dir():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            made.add(key)
        files = {
            os.path.relpath(name, folder)
            for name in glob.glob(os.path.join(glob.escape(folder), pattern), recursive=True)  # noqa: PTH118, PTH207
            if Path(name).is_file() and not name.endswith("/")  # "a/**" names a, as a folder, which it is not
        }
    if glob.has_magic(pattern):
        assert set(match_keys(pattern, listing(made))) == files


def test_a_folder_has_what_is_in_it_and_not_hidden() -> None:
    keys = {"tape/a.csv", "tape/.b.csv", "tape/deep/c.csv", "other.csv", "tape.csv"}
    assert list(match_keys("tape/", listing(keys))) == ["tape/a.csv"]
    assert list(match_keys("", listing(keys))) == ["other.csv", "tape.csv"]
