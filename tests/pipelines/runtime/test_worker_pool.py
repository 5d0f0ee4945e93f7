"""The pool of workers: where it listens, and for whom it starts one."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker import worker_pool_main
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

from pipelines.runtime.worker_pool import TOKEN, private_worker_pools

_SECONDS = 60


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def asked(monkeypatch):
    """Has Beam start no worker; gives the ids of those that it was to start."""
    ids: list[str] = []

    def start(_, request, __) -> beam_fn_api_pb2.StartWorkerResponse:
        ids.append(request.worker_id)
        return beam_fn_api_pb2.StartWorkerResponse()

    monkeypatch.setattr(BeamFnExternalWorkerPoolServicer, "StartWorker", start)
    return ids


def _ask(url: str, name: str, **params: str) -> None:
    request = beam_fn_api_pb2.StartWorkerRequest(worker_id=name, params=params)
    with grpc.insecure_channel(url) as channel:
        beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel).StartWorker(request, timeout=_SECONDS)


@pytest.mark.parametrize("is_local", [True, False])
def test_only_who_names_its_token_gets_a_worker(is_local, folder, asked):
    with private_worker_pools(folder if is_local else None):
        config, server = worker_pool_main.BeamFnExternalWorkerPoolServicer.start(state_cache_size=1)
        other, second = worker_pool_main.BeamFnExternalWorkerPoolServicer.start()
    try:
        url, params = json.loads(config).values()
        assert url.startswith(f"unix:{folder}/" if is_local else "127.0.0.1:")
        assert json.loads(other)["url"] != url
        for wrong in ({}, {TOKEN: ""}, {TOKEN: "é"}, {TOKEN: params[TOKEN][:-1]}, json.loads(other)["params"]):
            with pytest.raises(grpc.RpcError) as raised:
                _ask(url, "theirs", **wrong)
            assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        _ask(url, "ours", **params)
        assert asked == ["ours"]
    finally:
        for each in (server, second):
            each.stop(None).wait(_SECONDS)


def test_it_is_on_loopback_and_nowhere_else(asked):
    with private_worker_pools(None):
        config, server = worker_pool_main.BeamFnExternalWorkerPoolServicer.start()
    try:
        port = int(json.loads(config)["url"].rpartition(":")[2])
        own = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None)} - {"127.0.0.1", "127.0.1.1"}
        for host in own:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client:
                assert client.connect_ex((host, port)) != 0
    finally:
        server.stop(None).wait(_SECONDS)


def test_afterwards_beam_has_its_own_pool_again():
    with private_worker_pools(None):
        assert worker_pool_main.BeamFnExternalWorkerPoolServicer is not BeamFnExternalWorkerPoolServicer
    assert worker_pool_main.BeamFnExternalWorkerPoolServicer is BeamFnExternalWorkerPoolServicer
