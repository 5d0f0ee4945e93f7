"""A job of the page: one pipeline that is started and stopped, any number of times."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pages.jobs.balance import Balance, is_progress, read_summary
from pages.jobs.demo import with_demo
from pages.jobs.form import fill_in, place_of, split_secrets, with_passwords
from pages.jobs.metrics import METRICS, Metrics
from pages.jobs.process import Process
from pipelines.runtime.monitoring.health import DRAINING, ENDING, RUNNING
from pipelines.runtime.pipeline import Pipeline
from schemas.passwords import masked

State = Literal["stopped", "starting", "running", "draining", "done", "failed"]
#: What a run of its own has in its folder.
DATABASE, REJECTED, LATE = "job.db", "rejected.jsonl", "late.jsonl"
#: As long as a run starts: the options with passwords, which nobody shall see in the list of processes.
SECRETS = "options.toml"
USAGE = "wrong usage: "
_REASONS = ("failed: ", USAGE)
#: The last is that of a run which had not begun yet.
_DRAINED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT)


class JobError(Exception):
    """What was asked for cannot be done now; the message is one line.

    Attributes:
        errors: what is wrong with the form, by flag; see :class:`pages.jobs.form.Filled`.
    """

    def __init__(self, message: str, errors: Mapping[str, str] = {}) -> None:
        super().__init__(message)
        self.errors = dict(errors)


class Job:
    """One pipeline, its last run, and what is known of it.

    Attributes:
        name: of the pipeline.
        folder: what the run writes besides what was asked for.
        values: the form as it was last filled in.
    """

    def __init__(self, pipeline: Pipeline, folder: Path, values: Mapping[str, Any]) -> None:
        """Take the pipeline, a folder for its runs, and the values that its form begins with."""
        self.pipeline = pipeline
        self.name = pipeline.name
        self.folder = folder
        self.values = dict(values)
        self._process: Process | None = None
        self._arguments: list[str] = []
        self._runs = 0
        self._began = 0.0
        self._ended: float | None = None
        self._signals = 0
        self._balance = Balance({})
        self._reason = self._stuck = ""
        self._metrics: Metrics | None = None

    @property
    def database(self) -> Path:
        """The SQLite database that the last run writes its tables to."""
        return self.folder / DATABASE

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.status is None

    @property
    def state(self) -> State:
        """What it is at."""
        if self._process is None:
            return "stopped"
        status = self._process.status
        if status is None:
            return self._state_alive()
        if self._ended is None:
            self._ended = time.time()
            self._stop_asking()
        if status in _DRAINED and self._signals:
            return "stopped"
        return "failed" if status else "done"

    def check(self, values: Mapping[str, Any], *, is_demo: bool = False) -> list[str]:
        """Return the command line that a form equals, without the program.

        Raises:
            JobError: it says something that cannot be.
        """
        values = with_passwords(values, self.values)
        filled = fill_in(self.pipeline, with_demo(self.name, values) if is_demo else values)
        if filled.errors:
            raise JobError("the options cannot be used as they are", filled.errors)
        given = {argument.partition("=")[0] for argument in filled.arguments}
        kept = {"--rejected": self.folder / REJECTED}
        if self.pipeline.prepare is None:  # it sums up, so that records can be late
            kept["--late"] = self.folder / LATE
        more = [f"{flag}={path}" for flag, path in kept.items() if flag not in given]
        return [*filled.arguments, f"--output=sqlite:///{self.database}", *more, "--metrics-port=0"]

    def start(self, values: Mapping[str, Any], *, is_demo: bool = False) -> None:
        """Start a run; what the one before has left in the folder goes.

        Raises:
            JobError: it runs, or the form says something that cannot be.
            OSError: the folder cannot be written, or the process not be started.
        """
        if self.is_alive:
            raise JobError(f"{self.name} is {self.state} already")
        arguments = self.check(values, is_demo=is_demo)
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            if path.name.startswith(DATABASE) or path.name in (REJECTED, LATE, SECRETS):
                path.unlink()
        self.values, self._arguments = with_passwords(values, self.values), arguments
        self._stop_asking()
        self._balance, self._reason, self._stuck, self._signals = Balance({}), "", "", 0
        self._began, self._ended, self._runs = time.time(), None, self._runs + 1
        seen, secret = split_secrets(arguments)
        if secret:
            self._write_secrets(secret)
            seen.append(f"--config={self.folder / SECRETS}")
        self._process = Process([sys.executable, "-m", f"pipelines.{self.name}", *seen], self._read_line)

    def stop(self) -> None:
        """Drain the run; the second time, stop it at once; the third time, kill it."""
        if self._process is not None and self.is_alive:
            self._signals += 1
            self._process.send(signal.SIGKILL if self._signals > 2 else signal.SIGINT)  # noqa: PLR2004

    def close(self) -> None:
        """Kill what runs."""
        if self._process is not None:
            self._process.close()
        self._stop_asking()

    def command_line(self, arguments: list[str]) -> str:
        """Return what a person types for the same."""
        return masked(shlex.join(["python", "-m", f"pipelines.{self.name}", *arguments]))

    def told(self) -> dict[str, Any]:
        """Return what there is to say of it, as JSON can have it."""
        state = self.state
        balance = self._balance
        return {
            "name": self.name,
            "state": state,
            "run": self._runs,
            "process": self._process.id if self._process is not None and self.is_alive else None,
            "reason": self._why() if state == "failed" else "",
            "stuck": self._stuck if state in ("running", "draining") else "",
            "errors": self._errors() if state == "failed" else {},
            "seconds": round((self._ended or time.time()) - self._began) if self._process is not None else None,
            "balance": vars(balance),
            "command": self.command_line(self._arguments) if self._arguments else "",
        }

    def log(self, after: int) -> list[tuple[int, str]]:
        """Return the lines of its log after a number."""
        return [] if self._process is None else list(map(tuple, self._process.lines(after)))  # type: ignore[arg-type]

    def _errors(self) -> dict[str, str]:
        """Return what a run that has failed says of its options, by flag."""
        if not self._reason.startswith(USAGE):
            return {}
        flags = [option.flag for group in self.pipeline.all_groups for option in group.options]
        return {place_of(self._reason, flags): self._reason.removeprefix(USAGE)}

    def _state_alive(self) -> State:
        if self._signals or self._balance.state in (DRAINING, ENDING):
            return "draining"
        return "running" if self._balance.state == RUNNING else "starting"

    def _write_secrets(self, secret: Mapping[str, list[str]]) -> None:
        path = self.folder / SECRETS
        path.touch(0o600)
        # A text of JSON is one of TOML.
        lines = [f"{name} = {json.dumps(values, ensure_ascii=False)}\n" for name, values in secret.items()]
        path.write_text("".join(lines), "utf-8")

    def _forget_secrets(self) -> None:
        (self.folder / SECRETS).unlink(missing_ok=True)

    def _stop_asking(self) -> None:
        self._forget_secrets()
        if self._metrics is not None:
            self._metrics.close()

    def _show(self, balance: Balance, stuck: str) -> None:
        if not self._balance.is_final:
            self._balance, self._stuck = balance, stuck

    def _why(self) -> str:
        status = self._process.status if self._process is not None else None
        if self._reason:
            return self._reason.removeprefix("failed: ")
        if status is not None and status < 0:
            return f"ended by {signal.Signals(-status).name}"
        lines = self._process.lines() if self._process is not None else []
        return f"exit status {status}" + (f": {lines[-1].text}" if lines else "")

    def _read_line(self, line: str) -> bool:
        if line.startswith(METRICS):  # so that it has read its options
            self._forget_secrets()
            self._metrics = Metrics(line.removeprefix(METRICS), self._show)
            return False
        self._balance = read_summary(line, self._balance) or self._balance
        if line.startswith(_REASONS):
            self._reason = line
        return not is_progress(line)
