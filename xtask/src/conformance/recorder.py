"""Writes what the real ansible-core reports as one JSON object a line, to the file named by RECORDER_FILE.

Loaded only by `cargo xtask conformance`, beside the program it observes.
"""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: recorder
    type: aggregate
    short_description: one JSON object a line for each result
    description: Used by the conformance suite only.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorder"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._file = open(os.environ["RECORDER_FILE"], "a", encoding="utf-8")
        self._play = ""

    def _write(self, record):
        self._file.write(json.dumps(record, sort_keys=True) + "\n")
        self._file.flush()

    def _task(self, result, status):
        self._write(
            {
                "event": "task",
                "play": self._play,
                "task": result.task.get_name().strip(),
                "host": result.host.get_name(),
                "status": status,
            }
        )

    def v2_playbook_on_play_start(self, play):
        self._play = play.get_name().strip()

    def v2_runner_on_ok(self, result):
        self._task(result, "changed" if result.result.get("changed") else "ok")

    def v2_runner_on_skipped(self, result):
        self._task(result, "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._task(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self._task(result, "unreachable")

    def v2_playbook_on_include(self, included_file):
        for host in included_file._hosts:
            self._write(
                {
                    "event": "task",
                    "play": self._play,
                    "task": included_file._task.get_name().strip(),
                    "host": host.get_name(),
                    "status": "ok",
                }
            )

    def v2_playbook_on_stats(self, stats):
        hosts = {}
        for host in sorted(stats.processed):
            summary = stats.summarize(host)
            summary["failed"] = summary.pop("failures")
            summary["unreachable"] = summary.pop("unreachable")
            hosts[host] = summary
        self._write({"event": "recap", "hosts": hosts})
