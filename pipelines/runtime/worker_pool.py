"""The door by which a runner asks this process for workers, open to that runner alone.

Beam opens it on all interfaces and asks nobody who they are: whoever reaches it has this process run his code.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker import worker_pool_main
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor

#: What a runner hands back from the environment of a job when it asks for a worker.
TOKEN = "token"  # noqa: S105 - the name of a parameter
#: As Beam sets them, so that a runner may look at any time whether the pool is there.
_OPTIONS = (("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0))


@contextlib.contextmanager
def private_worker_pools(folder: Path | None) -> Iterator[None]:
    """Have Beam open the worker pools of ``LOOPBACK`` environments where others cannot use them.

    A pool listens on a Unix socket or, for a runner that may not know those (Flink's is in Java), on 127.0.0.1. In both
    cases it starts workers only for those who name its token. The token is part of the job, so whoever can fetch the
    job from its runner has it, too.

    Args:
        folder: of the Unix sockets, which others must not be able to enter; None for 127.0.0.1.
    """

    class Pool(_PrivatePool):
        _folder = folder

    worker_pool_main.BeamFnExternalWorkerPoolServicer = Pool
    try:
        yield
    finally:
        worker_pool_main.BeamFnExternalWorkerPoolServicer = BeamFnExternalWorkerPoolServicer


class _PrivatePool(BeamFnExternalWorkerPoolServicer):
    _folder: Path | None
    _token: str

    @classmethod
    def start(cls, *args: Any, port: int = 0, **options: Any) -> tuple[str, grpc.Server]:
        """Start a pool and return its environment's configuration and its server, as the method of Beam does."""
        token = secrets.token_urlsafe()
        server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=_OPTIONS)
        if cls._folder is None:
            url = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
        else:
            url = f"unix:{cls._folder}/{token[:6]}.sock"
            server.add_insecure_port(url)
        pool = cls(*args, **options)
        pool._token = token
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
        server.start()
        return json.dumps({"url": url, "params": {TOKEN: token}}), server

    def StartWorker(  # noqa: N802 (Beam's name)
        self, start_worker_request: beam_fn_api_pb2.StartWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        """Start a worker for the runner that this process has given its job to, and for nobody else."""
        if not hmac.compare_digest(start_worker_request.params[TOKEN].encode(), self._token.encode()):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "this worker pool belongs to another job")
        return super().StartWorker(start_worker_request, context)
