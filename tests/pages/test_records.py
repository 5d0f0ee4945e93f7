"""The records that could not be used: newest first, and no more than a browser can show."""

from __future__ import annotations

import json

from pages.records import newest_records


def test_the_newest_come_first(tmp_path):
    lines = [json.dumps({"reason": "odd", "raw": "x" * 1_000, "position": n}) for n in range(2_000)]
    (tmp_path / "rejected.jsonl").write_text("\n".join(lines) + "\n" + lines[0][:20])
    found = newest_records(tmp_path, "rejected")
    assert [record["position"] for record in found] == list(range(1_999, 1_949, -1))
    assert len(found[0]["raw"]) == 500


def test_there_may_be_none(tmp_path):
    assert newest_records(tmp_path, "late") == []
    (tmp_path / "late.jsonl").write_text("")
    assert newest_records(tmp_path, "late") == []
