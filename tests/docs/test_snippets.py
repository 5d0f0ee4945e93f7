"""Every snippet of the README and of docs/ is run.

The blocks of a file run in their order, in a folder of their own: ``python`` blocks in one namespace, and of
``console`` blocks each line that begins with ``$ python -m`` or ``$ scripts/``. One that ends with ``&`` runs on beside
those that follow, until the file is done. A ``text`` block right after one of these is what that prints, its lines in
any order. A comment ``<!-- not run: reason -->`` right before a block skips it. Where a file speaks of the broker of
``make kafka``, or of the cluster of ``make flink``, there is one, but on other ports; where of ``s3://``, a store.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from tests import forking
from tests.brokers import running_broker
from tests.clusters import running_cluster
from tests.object_stores import running_s3
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*\Z", re.DOTALL)
#: Where docs have the broker of ``make kafka``.
#: Where they have the cluster of ``make flink``.
FLINK_MASTER = "127.0.0.1:8081"
KAFKA_PORTS = {"127.0.0.1:9092": "PLAINTEXT", "127.0.0.1:9094": "SASL"}


class Snippet(NamedTuple):
    """A block of a file; ``prints`` is what it should print, if anything is said of that."""

    file: Path
    line: int
    language: str
    code: str
    skipped_because: str
    prints: str | None


def find_snippets(file: Path) -> list[Snippet]:
    text = file.read_text("utf-8")
    found: list[Snippet] = []
    last_end = 0
    for match in FENCE.finditer(text):
        language, code = match.groups()
        before = text[last_end : match.start()]
        if language == "text" and found and not before.strip():
            found[-1] = found[-1]._replace(prints=code)
        elif language in ("python", "console"):
            reason = NOT_RUN.search(before)
            line = text.count("\n", 0, match.start()) + 2
            found.append(Snippet(file, line, language, code, reason[1] if reason else "", None))
        last_end = match.end()
    return found


SNIPPETS = {file: find_snippets(file) for file in FILES}
TO_RUN = {file: [s for s in snippets if not s.skipped_because] for file, snippets in SNIPPETS.items()}
SKIPPED = [snippet for snippets in SNIPPETS.values() for snippet in snippets if snippet.skipped_because]


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def run_python(snippet: Snippet, namespace: dict) -> str:
    # The blank lines make a traceback show the line of the file.
    code = compile("\n" * (snippet.line - 1) + snippet.code, str(snippet.file), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)  # noqa: S102 - our own documents
    return printed.getvalue()


def commands_of(snippet: Snippet) -> list[str]:
    joined = snippet.code.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith(("$ python -m ", "$ scripts/"))]


def run_console(snippet: Snippet, beside: contextlib.ExitStack) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    printed = ""
    for command in commands_of(snippet):
        runs_beside = command.endswith("&")
        program, *arguments = shlex.split(command.rstrip("& "), comments=True)
        program = sys.executable if program == "python" else str(ROOT / program)
        if runs_beside:
            process = forking.Popen(
                [program, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            beside.callback(process.wait, PATIENCE_SECONDS)
            beside.callback(process.terminate)
            continue
        done = forking.run([program, *arguments], timeout=PATIENCE_SECONDS, env=environment, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        printed += done.stdout
    return printed


@contextlib.contextmanager
def with_a_broker(snippets: Sequence[Snippet]) -> Iterator[list[Snippet]]:
    """Gives the snippets with addresses of a broker that runs, if they speak of one."""
    if not any(address in snippet.code for snippet in snippets for address in KAFKA_PORTS):
        yield list(snippets)
        return
    with running_broker({"auto.create.topics.enable": "true"}) as broker:
        codes = [snippet.code for snippet in snippets]
        for address, listener in KAFKA_PORTS.items():
            codes = [code.replace(address, broker.endpoint(listener)) for code in codes]
        yield [snippet._replace(code=code) for snippet, code in zip(snippets, codes)]


@contextlib.contextmanager
def with_a_cluster(snippets: Sequence[Snippet]) -> Iterator[list[Snippet]]:
    """Gives the snippets with the address of a cluster that runs, if they speak of one."""
    if not any(FLINK_MASTER in snippet.code for snippet in snippets):
        yield list(snippets)
        return
    with running_cluster() as cluster:
        yield [snippet._replace(code=snippet.code.replace(FLINK_MASTER, cluster.master)) for snippet in snippets]


@contextlib.contextmanager
def with_a_store(snippets: Sequence[Snippet], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the snippets into a store that has the bucket ``shop``, if they speak of one."""
    if not any("s3://" in snippet.code for snippet in snippets):
        yield
        return
    with running_s3() as server:
        (server.folder / "shop").mkdir()
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.parametrize("file", [file for file in FILES if TO_RUN[file]], ids=name_of)
def test_the_snippets_of_a_file_run_one_after_the_other(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A real module, so that what is defined in it can be pickled.
    module = ModuleType(f"snippets_of_{file.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with contextlib.ExitStack() as beside:
        beside.enter_context(with_a_store(TO_RUN[file], monkeypatch))
        found = beside.enter_context(with_a_broker(TO_RUN[file]))
        snippets = beside.enter_context(with_a_cluster(found))
        for snippet in snippets:
            if snippet.language == "python":
                printed = run_python(snippet, module.__dict__)
            else:
                printed = run_console(snippet, beside)
            if snippet.prints is not None:
                assert sorted(printed.splitlines()) == sorted(snippet.prints.splitlines()), f"line {snippet.line}"


if SKIPPED:

    @pytest.mark.parametrize("snippet", SKIPPED, ids=lambda snippet: f"{name_of(snippet.file)}:{snippet.line}")
    def test_a_snippet_that_is_not_run_says_why(snippet):
        pytest.skip(snippet.skipped_because)


PAGE = r"""
```python
print(1)
```

```text
1
```

<!-- not run: it
takes days -->

```console
$ python -m x \
    --y
$ ls
out
$ python -m z &
```

```
plain
```

```text
plain
```
"""


def test_snippets_are_found(tmp_path):
    file = tmp_path / "page.md"
    file.write_text(PAGE, "utf-8")
    first, second = find_snippets(file)
    assert first == Snippet(file, 3, "python", "print(1)\n", "", "1\n")
    assert (second.line, second.skipped_because) == (14, "it\ntakes days")
    assert commands_of(second) == ["python -m x      --y", "python -m z &"]
