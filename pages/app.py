"""What the page answers: the page itself, forms, jobs, logs, and what views have read."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pages.database import Database
from pages.door import Door
from pages.guard import Guard
from pages.jobs.form import describe_form, shown_value
from pages.jobs.job import Job, JobError
from pages.records import newest_records
from pages.views import Watched
from pages.views.reading import Reader

STATIC = Path(__file__).parent / "static"
_MOST_BYTES = 200_000


def make_app(door: Door, jobs: Mapping[str, Job], watched: Database | None = None) -> Starlette:
    """Return the application.

    Args:
        door: where it listens.
        jobs: by name.
        watched: the database that views show instead of those of the jobs.
    """
    api = _Api(jobs, watched)
    shell = (STATIC / "index.html").read_text("utf-8")

    def page(name: str = "") -> Callable[[Request], Awaitable[Response]]:
        title = f"{name} · transaction streams" if name else "transaction streams"

        async def answer(_: Request) -> Response:
            return Response(shell.replace("{title}", title), media_type="text/html")

        return answer

    return Starlette(
        routes=[
            Route("/", page()),
            *(Route(f"/{name}", page(name)) for name in jobs),
            Route("/api/forms", api.forms),
            Route("/api/jobs", api.states),
            Route("/api/jobs/{name}/log", api.log),
            Route("/api/jobs/{name}/records/{kind}", api.records),
            Route("/api/jobs/{name}/{action}", api.act, methods=["POST"]),
            Route("/api/views/{name}", api.view),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, door=door)],
    )


class _Api:
    def __init__(self, jobs: Mapping[str, Job], watched: Database | None) -> None:
        self._jobs = jobs
        self._watched = watched
        self._reader = Reader()
        self._databases = {name: Database(f"sqlite:///{job.database}") for name, job in jobs.items()}

    async def forms(self, request: Request) -> Response:
        pages = [
            {
                "name": job.name,
                "doc": job.pipeline.doc,
                "groups": describe_form(job.pipeline, job.values),
                "more": shown_value(job.values.get("more", "")),
            }
            for job in self._jobs.values()
        ]
        return _json(request, {"pipelines": pages, "watched": self._watched and self._watched.shown})

    async def states(self, request: Request) -> Response:
        return _json(request, [job.told() for job in self._jobs.values()])

    async def log(self, request: Request) -> Response:
        job = self._job(request)
        after = request.query_params.get("after", "0")
        run = job.told()["run"]
        is_same = request.query_params.get("run") == str(run)
        return _json(request, {"run": run, "lines": job.log(int(after) if is_same and after.isdecimal() else 0)})

    async def records(self, request: Request) -> Response:
        job, kind = self._job(request), request.path_params["kind"]
        found = await run_in_threadpool(newest_records, job.folder, kind)
        return _json(request, found)

    async def view(self, request: Request) -> Response:
        job = self._job(request)
        watched = Watched(self._watched or self._databases[job.name], job.told())
        found = await run_in_threadpool(self._reader.read, job.name, watched, dict(request.query_params))
        return _json(request, found)

    async def act(self, request: Request) -> Response:
        """Start, stop or check a job; the process has to be a child of the main thread, in which this runs."""
        job, action = self._job(request), request.path_params["action"]
        asked = await _body(request)
        values, is_demo = asked.get("values", {}), asked.get("demo") is True
        if not isinstance(values, dict) or action not in ("start", "stop", "check"):
            return _json(request, {"message": "expected start, stop or check"}, 400)
        try:
            if action == "stop":
                job.stop()
            elif action == "start":
                job.start(values, is_demo=is_demo)
            else:
                return _json(request, {"command": job.command_line(job.check(values, is_demo=is_demo))})
        except JobError as error:
            return _json(request, {"message": str(error), "errors": error.errors}, 422 if error.errors else 409)
        except OSError as error:
            return _json(request, {"message": f"cannot start {job.name}: {error}"}, 500)
        return _json(request, job.told())

    def _job(self, request: Request) -> Job:
        name = request.path_params["name"]
        if name not in self._jobs:
            raise HTTPException(404, "no such job")
        return self._jobs[name]


async def _body(request: Request) -> dict[str, Any]:
    """Return what was sent, an empty one where that is no object of JSON."""
    whole = b""
    async for chunk in request.stream():
        whole += chunk
        if len(whole) > _MOST_BYTES:
            return {}
    try:
        found = json.loads(whole or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _json(request: Request, content: Any, status: int = 200) -> Response:
    """Return JSON; nothing of it if it is what the browser has already."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    if status == 200 and request.headers.get("if-none-match") == tag:  # noqa: PLR2004
        return Response(status_code=304, headers={"etag": tag})
    return Response(body, status, {"etag": tag, "cache-control": "no-cache"}, "application/json")
