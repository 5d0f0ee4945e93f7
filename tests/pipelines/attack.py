"""Tries to get in at the doors of somebody else's run: ``attack.py USER DOOR...`` prints what came of each try.

It is a program of its own, for it becomes another user, where root starts it, after it has imported what it needs.
"""

from __future__ import annotations

import json
import os
import sys

import grpc
import grpc._channel  # which it imports when it is needed, and another user may not read
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, beam_job_api_pb2, beam_job_api_pb2_grpc

_SECONDS = 20


def main(user: int, doors: list[str]) -> None:
    """Prints, as JSON, the status of each call at each door."""
    if user != os.geteuid():
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    json.dump({door: {name: _try(door, call) for name, call in _CALLS.items()} for door in doors}, sys.stdout)


def _try(door, call) -> str:
    with grpc.insecure_channel(door) as channel:
        try:
            call(channel)
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def _fetch(channel) -> None:
    """Fetches every job, as it was submitted."""
    stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
    for job in stub.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=_SECONDS).job_info:
        stub.GetPipeline(beam_job_api_pb2.GetJobPipelineRequest(job_id=job.job_id), timeout=_SECONDS)


def _submit(channel) -> None:
    stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
    stub.Prepare(beam_job_api_pb2.PrepareJobRequest(job_name="mine"), timeout=_SECONDS)


def _start_worker(channel) -> None:
    request = beam_fn_api_pb2.StartWorkerRequest(worker_id="mine")
    request.control_endpoint.url = "127.0.0.1:1"
    answer = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel).StartWorker(request, timeout=_SECONDS)
    if answer.error:
        raise RuntimeError(answer.error)


_CALLS = {"fetch": _fetch, "submit": _submit, "start a worker": _start_worker}

if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
