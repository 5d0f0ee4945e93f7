"""Passwords that are pickled as the place where they are, and found there again."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line.credentials import read_registry, read_security
from schemas.passwords import Password, exposed, hold, in_variable, withhold
from sinks.sql.url import parse_sql
from tests.simulators.tools import ROOT

WORD = "s3cret-word"
#: Long enough not to be in a pickle by chance.
WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=12)
TOML = f'protocol = "SASL_SSL"\nmechanism = "SCRAM-SHA-512"\nusername = "me"\npassword = "{WORD}"\n'
INI = f"[KAFKA]\nauth_method = sasl_scram\nsasl_username = me\nsasl_password =  {WORD} \n"


@given(WORDS)
def test_one_that_is_held_is_found_by_this_process_and_is_not_in_what_is_pickled(word):
    held = hold(word)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(held, protocol)
        assert word.encode() not in data
        again = pickle.loads(data)
        assert again == word
        assert isinstance(again, Password)
        assert pickle.dumps(again, protocol) == data
    assert hold(word) == held == copy.deepcopy(held)
    assert word not in repr(held)


@given(WORDS)
def test_an_address_without_its_password_is_the_same_address_in_this_process(word):
    text = f"--output=postgresql://me:{quote(word, safe='')}@host:1/shop?table=t"
    hidden = withhold(text)
    assert quote(word, safe="") not in hidden
    assert withhold(hidden) == hidden
    url, table = parse_sql(hidden.removeprefix("--output="))
    assert (url.username, url.password, url.host, url.database, table) == ("me", word, "host", "shop", "t")
    assert word.encode() not in pickle.dumps(url)
    assert pickle.loads(pickle.dumps(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me@h/x",
        "postgresql://h/x",
        "sqlite:///a:b@c.db",
        "out.jsonl",
        "kafka://h:1/t",
        "--output",
        "a:b@c",
    ],
)
def test_what_has_no_password_stays_as_it_is(text):
    assert withhold(text) == text


def _elsewhere(data: bytes, **environ: str) -> str:
    """Unpickles in another process; returns what was found there, or its last line."""
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer), end='')"
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, env=env, cwd="/", check=False)
    return done.stdout.decode() or done.stderr.decode().splitlines()[-1]


def test_another_process_looks_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_WORD", WORD)
    named = pickle.dumps(in_variable("MY_WORD", os.environ))
    assert _elsewhere(named, MY_WORD="its own") == "its own"
    assert _elsewhere(named, MY_WORD="").startswith("ValueError: MY_WORD is not set for this worker")
    told = _elsewhere(pickle.dumps(hold(WORD)))
    assert "stays in the process that made the pipeline" in told
    assert WORD not in told


@pytest.mark.parametrize(("name", "text"), [("security.toml", TOML), ("configuration.ini", INI)])
def test_a_file_is_read_again(name, text, tmp_path, monkeypatch):
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    security = read_security(name, {})
    assert security.password == WORD
    data = pickle.dumps(security)
    assert WORD.encode() not in data
    monkeypatch.chdir("/")
    assert pickle.loads(data) == security
    path.write_text(text.replace(WORD, "another"))
    assert pickle.loads(data).password == "another"  # noqa: S105
    path.write_text("\n".join(line for line in text.splitlines() if "password" not in line))
    with pytest.raises(ValueError, match=r"no longer has '.*password', a password of the pipeline"):
        pickle.loads(data)


def test_that_of_a_registry_is_read_again(tmp_path):
    path = tmp_path / "security.toml"
    path.write_text(f'{TOML}[registry]\nusername = "me"\npassword = "{WORD}"\n')
    path.chmod(0o600)
    registry = read_registry("http://a", str(path), {})
    assert registry.password == WORD
    assert WORD.encode() not in pickle.dumps(registry)
    assert pickle.loads(pickle.dumps(registry)) == registry


@pytest.mark.parametrize(
    ("name", "text", "has_one"),
    [
        ("security.toml", TOML, True),
        ("configuration.ini", INI, True),
        ("run.toml", 'output = ["postgresql://me:word@db/shop"]', True),
        ("named.toml", TOML.replace("password =", "password_env ="), False),
        ("bare.toml", 'output = ["postgresql://me@db/shop", "a:b@c"]', False),
    ],
)
def test_a_file_with_a_password_that_others_can_read_is_told_of(name, text, has_one, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    for mode, is_open in ((0o600, False), (0o640, True), (0o604, True)):
        path.chmod(mode)
        told = exposed(None, path, tmp_path / "missing.toml")
        assert told == [f"other users can read {path}, which has a password in it: chmod 600 {path}"] * (
            is_open and has_one
        )
