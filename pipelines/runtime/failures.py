"""Why a job has failed, in one line."""

from __future__ import annotations

import re

import grpc

_CAUSE = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*(?:Error|Exception|Exhausted)): (.+)$", re.MULTILINE)
#: What Prism says of a panic that it survives, less the stage, with all its fields, and the stack of Go behind it.
_PANIC = re.compile(r"\b(panic in .+?|pipeline panicked: .+?)(?:, stage: |$)", re.MULTILINE)
_WHERE = re.compile(r"\s*\[while running '[^']*'\]")


def explain(failure: BaseException) -> str:
    """Return one line that says why a pipeline failed, out of what a runner makes of it."""
    if isinstance(failure, grpc.RpcError) and isinstance(failure, grpc.Call):
        return f"the runner no longer answers: {failure.details()}"
    text = _WHERE.sub("", str(failure))
    causes = _CAUSE.findall(text)
    if causes:
        return str(causes[-1][1]).strip()
    if text.startswith("Unable to translate") and failure.__cause__ is not None:
        return f"{text}: {explain(failure.__cause__)}"
    panic = _PANIC.search(text)
    if panic is not None:
        return f"Prism: {panic[1]}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(failure).__name__
