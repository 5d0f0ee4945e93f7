"""The REST interface of a Flink cluster: its jobs, their state, and what ends them."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from schemas.times import to_datetime

_ANSWER_SECONDS = 10.0
#: So much of an answer is read.
_MOST_BYTES = 64 << 20
_LOOK_SECONDS = 0.2
#: Their names are part of an address.
_METRICS_AT_ONCE = 20
#: The watermark of what has come to its end.
END_OF_TIME = (1 << 63) - 1
ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})
_MICROS_PER_MILLI = 1_000


def cache_folder() -> Path:
    """Return the folder of what is kept between runs, which scripts/flink.sh uses, too."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transaction-streams"


class FlinkError(RuntimeError):
    """A cluster does not answer, or refuses; the message is one line."""


class FlinkJob(NamedTuple):
    """A job of a cluster.

    Attributes:
        id: what Flink calls it.
        name: what it was submitted as.
        state: RUNNING, FINISHED, CANCELED, FAILED, RESTARTING and others.
        started: when, in microseconds of UTC.
    """

    id: str
    name: str
    state: str
    started: int

    def __str__(self) -> str:
        """Return a line for a person."""
        return f"{self.id}  {self.state:<10}  {to_datetime(self.started):%Y-%m-%d %H:%M:%S}  {self.name}"


class FlinkCluster:
    """A cluster, by the address of its JobManager.

    Args:
        master: ``HOST:PORT``, or with ``http://`` or ``https://`` before it.
    """

    def __init__(self, master: str) -> None:
        """Ask nothing yet."""
        self.master = master
        self._url = (master if "://" in master else f"http://{master}").rstrip("/")

    def check(self) -> None:
        """See that it answers.

        Raises:
            FlinkError: it does not, or it is no JobManager.
        """
        if "flink-version" not in self._ask("/config"):
            raise FlinkError(f"{self.master} is no JobManager of Flink")

    @property
    def version(self) -> str:
        """The version of Flink, such as 1.19.0."""
        return str(self._ask("/config")["flink-version"])

    def default_parallelism(self) -> int:
        """Return how many subtasks a job has that asks for none.

        Raises:
            FlinkError: it does not answer.
        """
        found = {entry["key"]: entry["value"] for entry in self._ask("/jobmanager/config")}
        return int(found.get("parallelism.default", 1))

    def jobs(self) -> list[FlinkJob]:
        """Return its jobs, the latest first.

        Raises:
            FlinkError: it does not answer.
        """
        found = [
            FlinkJob(job["jid"], job["name"], job["state"], job["start-time"] * _MICROS_PER_MILLI)
            for job in self._ask("/jobs/overview")["jobs"]
        ]
        return sorted(found, key=lambda job: job.started, reverse=True)

    def state(self, job: str) -> str:
        """Return the state of a job.

        Raises:
            FlinkError: the cluster does not answer, or has no such job.
        """
        return str(self._ask(f"/jobs/{job}")["state"])

    def failures(self, job: str) -> list[tuple[str, str]]:
        """Return when a job has failed, and the stack of that, of its latest failures.

        Raises:
            FlinkError: as :meth:`state`.
        """
        history = self._ask(f"/jobs/{job}/exceptions").get("exceptionHistory", {}).get("entries", [])
        return [(str(entry.get("timestamp")), str(entry.get("stacktrace") or "")) for entry in history]

    def counters(self, job: str, namespace: str) -> Counter[str]:
        """Return what the steps of a job have counted in a namespace of Beam's, since their workers began.

        Raises:
            FlinkError: as :meth:`state`.
        """
        found: Counter[str] = Counter()
        for vertex in self._ask(f"/jobs/{job}")["vertices"]:
            place = f"/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics"
            names = {metric["id"]: metric["id"].rpartition(".")[2] for metric in self._ask(place)}
            ours = [name for name, last in names.items() if last.startswith(f"{namespace}_")]
            if ours:
                wanted = ",".join(urllib.parse.quote(name, safe="") for name in ours)
                for metric in self._ask(f"{place}?agg=sum&get={wanted}"):
                    found[names[metric["id"]].removeprefix(f"{namespace}_")] += int(metric["sum"])
        return found

    def is_read_to_its_end(self, job: str) -> bool:
        """Tell whether all tasks of a job run, and what each of them gives has come to the end of time.

        Then all windows are closed, and what is left are sources that have nothing to give. What tasks take in tells
        nothing: that of a reader, and of all that is fused with it, is at the end of time when it begins.

        Raises:
            FlinkError: as :meth:`state`.
        """
        found = self._ask(f"/jobs/{job}")
        if found["state"] != "RUNNING":
            return False
        vertices = [vertex for vertex in found["vertices"] if not vertex["name"].startswith("Source:")]
        return bool(vertices) and all(
            vertex["status"] == "FINISHED"
            or (vertex["status"] == "RUNNING" and self._is_at_its_end(job, vertex["id"], vertex["parallelism"]))
            for vertex in vertices
        )

    def _is_at_its_end(self, job: str, vertex: str, parallelism: int) -> bool:
        place = f"/jobs/{job}/vertices/{vertex}/metrics"
        names = [name for metric in self._ask(place) if (name := metric["id"]).endswith(".currentOutputWatermark")]
        if {name.partition(".")[0] for name in names} != {str(subtask) for subtask in range(parallelism)}:
            return False  # one has not told yet
        for first in range(0, len(names), _METRICS_AT_ONCE):
            wanted = [urllib.parse.quote(name, safe="") for name in names[first : first + _METRICS_AT_ONCE]]
            told = self._ask(f"{place}?get={','.join(wanted)}")
            if len(told) < len(wanted) or any(int(mark["value"]) < END_OF_TIME for mark in told):
                return False
        return True

    def cancel(self, job: str, patience_seconds: float = 60.0) -> str:
        """Have a job end at once, wait until it has, and return its state: CANCELED, if it had not ended before.

        Raises:
            FlinkError: it does not end; or as :meth:`state`.
        """
        if (state := self.state(job)) not in ENDED:
            self._ask(f"/jobs/{job}?mode=cancel", "PATCH")
            state = self.await_end(job, patience_seconds)
        return state

    def savepoint(self, job: str, *, is_last: bool = False, patience_seconds: float = 120.0) -> str:
        """Keep the state of a job in a savepoint and return its path.

        Args:
            job: its id.
            is_last: whether the job ends with it: it is FINISHED then, and open windows are in the savepoint.
            patience_seconds: how long that may take.

        Raises:
            FlinkError: it cannot be kept; or as :meth:`state`.
        """
        path = f"/jobs/{job}/{'stop' if is_last else 'savepoints'}"
        asked = self._ask(path, "POST", {"drain": False} if is_last else {"cancel-job": False})
        place = f"/jobs/{job}/savepoints/{asked['request-id']}"
        done = self._await(place, patience_seconds, f"no savepoint of {job} after {patience_seconds:.0f} s")
        failure = done["operation"].get("failure-cause")
        if failure is not None:
            raise FlinkError(f"no savepoint of {job}: {_reason(str(failure.get('stack-trace', '')))}")
        if is_last:
            self.await_end(job, patience_seconds)
        return str(done["operation"]["location"])

    def remove_savepoint(self, path: str) -> None:
        """Remove a savepoint that nobody needs.

        Raises:
            FlinkError: the cluster does not answer.
        """
        asked = self._ask("/savepoint-disposal", "POST", {"savepoint-path": path})
        self._await(f"/savepoint-disposal/{asked['request-id']}", _ANSWER_SECONDS, f"{path} is not removed")

    def await_end(self, job: str, patience_seconds: float) -> str:
        """Wait until a job has ended and return its state.

        Raises:
            FlinkError: it has not; or as :meth:`state`.
        """
        deadline = time.monotonic() + patience_seconds
        while (state := self.state(job)) not in ENDED:
            if time.monotonic() > deadline:
                raise FlinkError(f"job {job} is {state} after {patience_seconds:.0f} s")
            time.sleep(_LOOK_SECONDS)
        return state

    def _await(self, path: str, patience_seconds: float, complaint: str) -> dict[str, Any]:
        deadline = time.monotonic() + patience_seconds
        while True:
            found: dict[str, Any] = self._ask(path)
            if found["status"]["id"] == "COMPLETED":
                return found
            if time.monotonic() > deadline:
                raise FlinkError(complaint)
            time.sleep(_LOOK_SECONDS)

    def _ask(self, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
        if not self._url.startswith(("http://", "https://")):
            raise FlinkError(f"expected HOST:PORT of a JobManager, got {self.master!r}")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 (the scheme was checked)
            self._url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
                return json.loads(answer.read(_MOST_BYTES) or b"null")
        except urllib.error.HTTPError as error:
            with error:
                raise FlinkError(f"{self.master}: {_refusal(error.read(_MOST_BYTES)) or error.reason}") from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise FlinkError(f"no JobManager of Flink answers at {self.master}: {reason}") from None
        except (ValueError, http.client.HTTPException):
            raise FlinkError(f"{self.master} is no JobManager of Flink") from None


def _refusal(body: bytes) -> str:
    """Return what an answer says of why it is none."""
    try:
        return _reason("\n".join(json.loads(body)["errors"]))
    except (ValueError, KeyError, TypeError):
        return ""


def _reason(stack: str) -> str:
    """Return the first cause of a stack of Java in one line."""
    causes = [line.removeprefix("Caused by: ") for line in stack.splitlines() if line and not line[0].isspace()]
    return causes[-1].rpartition("Exception: ")[2] if causes else "nobody says why"
