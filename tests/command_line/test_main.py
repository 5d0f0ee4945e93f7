"""The command of the package, and the package as it is installed elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from command_line.main import PIPELINES, SIMULATORS
from command_line.packages import PACKAGES
from tests.patience import PATIENCE_SECONDS
from tests.simulators.tools import ROOT

TYPED = 'from transforms import Sum\n\nreveal_type(Sum("a"))\n'


def ran(*command: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], cwd=cwd, env=more, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    copy = tmp_path_factory.mktemp("source") / "copy"
    files = subprocess.run(
        ["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    for name in filter(None, files):
        source, target = ROOT / name.decode(), copy / name.decode()
        if source.is_file():  # or it was removed, which is not committed yet
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    done = ran(
        sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, copy, cwd=folder, PATH="/usr/bin:/bin"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(folder.glob("*.tar.gz"))) == 1
    return next(folder.glob("*.whl"))


def test_the_wheel_has_every_module_its_types_and_its_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    modules = {str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert modules | {f"{name}/py.typed" for name in PACKAGES} <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == set(PACKAGES)
    for line in ("Name: transaction-streams", "License-Expression: Apache-2.0", "Provides-Extra: all"):
        assert line in metadata.splitlines()
    assert "# Streams of transactions" in metadata
    assert not re.search(r"^Requires-Dist: (pytest|mypy|ruff|hypothesis)", metadata, re.MULTILINE)


def test_the_installed_package_runs_from_any_folder_even_beside_others_of_its_names(wheel, tmp_path):
    home = tmp_path / "home"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = ran(*pip, "install", "--no-deps", "--target", home, wheel, cwd=tmp_path, PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    for name in ("schemas", "pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "in.csv").write_text("item,price\nfig,0.10\nfig,0.20\n")
    tool = [sys.executable, home / "bin" / "transaction-streams"]
    done = ran(
        *tool, "totals", "--input", "in.csv", "--by", "item", "--sum", "price", cwd=tmp_path, PYTHONPATH=str(home)
    )
    assert done.returncode == 0, done.stderr
    assert "fig        0.30" in done.stdout
    assert (home / "pages" / "static" / "vendor" / "uPlot.LICENSE").is_file()
    (tmp_path / "pipelines" / "__init__.py").unlink()
    (tmp_path / "pipelines").rmdir()
    done = ran(sys.executable, "-m", "pipelines.totals", cwd=tmp_path, PYTHONPATH=str(home))
    assert done.returncode == 2
    assert done.stderr == (
        f"cannot start: '{tmp_path / 'schemas'}' takes the place of the package 'schemas' of transaction-streams: "
        "run it from another folder, or by the command transaction-streams\n"
    )


@pytest.mark.soak
def test_the_wheel_installs_into_an_empty_environment(wheel, tmp_path):
    venv.create(tmp_path / "v", with_pip=True)
    python = tmp_path / "v" / "bin" / "python"
    done = ran(python, "-m", "pip", "--quiet", "install", wheel, "mypy", cwd=tmp_path, PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    done = ran(tmp_path / "v" / "bin" / "transaction-streams", "totals", cwd=tmp_path, HOME=str(tmp_path))
    assert "Airport" in done.stdout, done.stderr
    (tmp_path / "own.py").write_text(TYPED)
    assert "aggregations.Sum" in ran(python, "-m", "mypy", "own.py", cwd=tmp_path, HOME=str(tmp_path)).stdout


@pytest.mark.parametrize("name", [*PIPELINES, *SIMULATORS])
def test_every_program_has_its_name(name):
    folder = "pipelines" if name in PIPELINES else "simulators"
    assert (ROOT / folder / f"{name}.py").is_file()


def test_no_program_is_forgotten():
    for folder, names in (("pipelines", PIPELINES), ("simulators", SIMULATORS)):
        programs = [path.stem for path in (ROOT / folder).glob("*.py") if "__main__" in path.read_text()]
        assert sorted(programs) == sorted(names)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--version"], 0, r"transaction-streams \d+\.\d+\.\d+\n"),
        (["--help"], 0, r"usage: transaction-streams PIPELINE (.|\n)*registers http"),
        ([], 2, r"usage: transaction-streams PIPELINE"),
        (
            ["prodcue"],
            2,
            r"transaction-streams: expected a pipeline, one of produce, .*, got 'prodcue' \(see --help\)\n$",
        ),
        (["page", "mysql:///x", "--port=0"], 2, "wrong usage: expected sqlite:///PATH or postgresql://"),
        (["simulate"], 2, r"transaction-streams: expected a simulator, one of registers, .*, got ''"),
    ],
)
def test_what_it_says_of_itself_and_of_wrong_usage(arguments, status, told, monkeypatch, capsys):
    from command_line.main import main

    monkeypatch.setattr(sys, "argv", ["transaction-streams", *arguments])
    monkeypatch.delitem(sys.modules, "pages.__main__", raising=False)  # as in a process that begins with it
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    printed = capsys.readouterr()
    assert re.match(told, printed.out + printed.err)
