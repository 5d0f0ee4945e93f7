"""A job server that somebody else runs: whether it is there, and whether it still is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import grpc

from pipelines.runtime.options import UsageError

#: How long one that was named may take to be there.
_START_SECONDS = 20.0
#: How long one whose connection has broken may take to be there again: its jobs are not, if it was started anew.
_AGAIN_SECONDS = 1.0


@contextlib.contextmanager
def watched_job_server(endpoint: str) -> Iterator[Callable[[float], str | None]]:
    """Wait until a job server answers, and keep a connection to it as long as the context lasts.

    Beam itself waits for an answer for as long as a job may take, which is for ever, and so also for one that has died.

    Yields:
        what tells why the job server is gone, or None if it is not; it is given the seconds to wait for that.

    Raises:
        UsageError: nobody answers.
    """
    state = grpc.ChannelConnectivity.READY

    def notice(now: grpc.ChannelConnectivity) -> None:
        nonlocal state
        state = now

    def death(wait_seconds: float) -> str | None:
        if state is grpc.ChannelConnectivity.READY and not wait_seconds:
            return None
        if _answers(channel, max(wait_seconds, _AGAIN_SECONDS)):
            return None
        return f"the job server at {endpoint} no longer answers; see its log"

    with grpc.insecure_channel(endpoint) as channel:
        if not _answers(channel, _START_SECONDS):
            raise UsageError(f"no job server answers at --job_endpoint {endpoint}")
        channel.subscribe(notice)
        yield death


def _answers(channel: grpc.Channel, seconds: float) -> bool:
    try:
        grpc.channel_ready_future(channel).result(seconds)
    except grpc.FutureTimeoutError:
        return False
    return True
