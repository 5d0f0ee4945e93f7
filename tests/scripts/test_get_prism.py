"""Building Prism: what is changed in it, what it is called, and that nothing fails where it cannot be built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.runtime.prism import private_name
from tests.simulators.tools import ROOT

#: A Go that hands out a module, and whose programs are the sources that were to be compiled.
_GO = """#!/bin/sh
case "$1 $2" in
  version*) echo go version go1.99 ;;
  "mod download") case $3 in -json) printf '{{\\n\\t"Dir": "{module}",\\n}}\\n' ;; esac ;;
  build*) cat go/pkg/beam/runners/prism/internal/*/*.go >prism && chmod +x prism ;;
esac
"""
_SERVER = """
	lis, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	_, port, _ := net.SplitHostPort(s.lis.Addr().String())
	return fmt.Sprintf("localhost:%v", port)
"""
_WORKER = """
	_, p, _ := net.SplitHostPort(lis.Addr().String())
		endpoint: "localhost:" + p,
"""


@pytest.fixture
def home(tmp_path):
    """A home, in whose folder bin is a Go."""
    inside = tmp_path / "module" / "go" / "pkg" / "beam" / "runners" / "prism" / "internal"
    for folder, name, text in (("jobservices", "server.go", _SERVER), ("worker", "worker.go", _WORKER)):
        (inside / folder).mkdir(parents=True)
        (inside / folder / name).write_text(text)
    for name in ("go.mod", "go.sum"):
        (tmp_path / "module" / name).touch()
    (tmp_path / "bin").mkdir()
    go = tmp_path / "bin" / "go"
    go.write_text(_GO.format(module=tmp_path / "module"))
    go.chmod(0o755)
    return tmp_path


def get(home: Path) -> str:
    """Runs the script, which never fails, and gives what it says."""
    env = {**os.environ, "HOME": str(home), "PATH": f"{home / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/bash", str(ROOT / "scripts" / "get_prism.sh"), sys.executable], env=env, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == b""
    return done.stdout.decode()


def cache(home: Path) -> Path:
    return home / ".apache_beam" / "cache" / "prism" / "bin"


def test_ours_is_built_beside_an_older_one_and_once(home):
    cache(home).mkdir(parents=True)
    (cache(home) / "apache_beam-v2.77.0-prism-linux-amd64.zip").write_text("older")
    assert "ready in" in get(home)
    built = (cache(home) / private_name()).read_text()
    assert ':%d", port))' not in built.replace("127.0.0.1:%d", "")
    assert "localhost" not in built
    for changed in ("lis, err := worker.Listen(port)", "return address", "endpoint: address,", "PRISM_SOCKET"):
        assert changed in built
    assert get(home) == ""
    assert len(list(cache(home).iterdir())) == 2


def test_a_prism_whose_lines_are_others_is_not_taken_for_ours(home):
    path = next(home.glob("module/**/server.go"))
    path.write_text(path.read_text().replace('":%d"', '"%d"'))
    assert "the build failed" in (said := get(home))
    assert "expected once: net.Listen" in said
    assert list(cache(home).iterdir()) == []


@pytest.mark.skipif(shutil.which("go", path="/usr/bin:/bin") is not None, reason="Go is where everything else is")
def test_without_go_it_says_so(home):
    (home / "bin" / "go").unlink()
    assert "no Go here to build it with" in get(home)
