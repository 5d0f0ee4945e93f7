"""Whether somebody may look on while a pipeline runs: the server of ``--metrics-port``, where that was asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from pipelines.runtime.options import StreamOptions, UsageError
from sources.address import parse_listener


@contextlib.contextmanager
def monitored(options: StreamOptions) -> Iterator[None]:
    """Tell how the run is doing, as long as the context lasts, if that was asked for.

    Raises:
        UsageError: the port is taken, or cannot be; or an extra is missing; or nobody would be there to tell.
    """
    if options.metrics_port is None:
        yield
        return
    if options.detach:
        raise UsageError("--metrics-port is of this process, which --detach ends: leave one of them out")
    try:
        # Only who asks for it pays for the import, and has to have the extra.
        from pipelines.runtime.monitoring.server import MonitorServer  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        raise UsageError("--metrics-port needs prometheus_client: pip install 'transaction-streams[metrics]'") from None
    try:
        server = MonitorServer(parse_listener(options.metrics_port), options.pipeline, options.runner)
    except OSError as error:
        raise UsageError(f"--metrics-port: {error}") from None
    with server:
        print(f"metrics: {server.url}/metrics", file=sys.stderr, flush=True)
        yield
