"""The page and its jobs are processes: they end together, however that comes about."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error
from contextlib import closing

import pytest

from tests.pages.serving import ENDLESS, interrupt, is_alive, serving
from tests.patience import PATIENCE_SECONDS, wait_for

GPS = f"'{ENDLESS.replace('registers', 'gps')}'"
RELAY = {"values": {"--input": GPS, "--read-as": "jsonl", "--output": "out.jsonl"}}


def test_the_jobs_of_a_page_that_ends_are_drained_and_a_second_page_says_why_it_cannot_start(tmp_path):
    with serving(tmp_path) as page:
        page.ask("/api/jobs/relay/start", RELAY)
        other = [sys.executable, "-m", "pages", "--no-open", f"--port={page.address.split(':')[2].rstrip('/')}"]
        second = subprocess.run(other, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (second.returncode, second.stderr.count("\n")) == (1, 1)
        assert "already" in second.stderr
        third = subprocess.run([*other[:-1], "--port=0"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (third.returncode, third.stderr) == (
            1,
            "cannot start: another page uses the folder out/page: --folder PATH takes another one\n",
        )
        job = page.wait("relay", lambda job: job["balance"]["counts"].get("read"))
        with pytest.raises(urllib.error.HTTPError, match="409"):
            page.ask("/api/jobs/relay/start", RELAY)
        assert re.match(r"draining relay: ", interrupt(page))
        assert page.process.returncode == 0
        assert not is_alive(job["process"])
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len(lines) > 0
    assert all(json.loads(line) for line in lines)
    with closing(sqlite3.connect(tmp_path / "out/page/relay/job.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert database.execute(f"SELECT count(*) FROM {tables[0]}").fetchone() == (len(lines),)  # noqa: S608


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_page_that_is_killed_leaves_no_job_behind(tmp_path):
    with serving(tmp_path) as page:
        page.ask("/api/jobs/relay/start", RELAY)
        job = page.wait("relay", lambda job: job["state"] == "running")["process"]
        children = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _parent(pid) == job]  # noqa: PTH208
        assert children
        page.process.send_signal(signal.SIGKILL)
        page.process.wait(PATIENCE_SECONDS)
        wait_for(lambda: not any(map(is_alive, [job, *children])))


def test_a_password_is_not_in_the_list_of_processes(tmp_path):
    with serving(tmp_path) as page:
        # Nobody answers there, so that the job fails once it has read its options.
        values = {"--input": GPS, "--read-as": "jsonl", "--output": "postgresql://me:open-sesame@127.0.0.1:1/shop"}
        told = page.ask("/api/jobs/relay/start", {"values": values})
        assert "postgresql://me:***@127.0.0.1:1/shop" in told["command"]
        with open(f"/proc/{told['process']}/cmdline") as command:  # noqa: PTH123
            assert "open-sesame" not in command.read()
        job = page.wait("relay", lambda job: job["state"] == "failed", may_fail=True)
        assert "127.0.0.1" in job["reason"]
        assert "open-sesame" not in json.dumps([job, page.ask("/api/jobs/relay/log"), page.ask("/api/forms")])
        assert not (tmp_path / "out/page/relay/options.toml").exists()


def _parent(process: int) -> int:
    try:
        with open(f"/proc/{process}/stat") as stat:  # noqa: PTH123
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0
