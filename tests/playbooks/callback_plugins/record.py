"""Writes every result of every host, task and item as one line of JSON, for the comparison of two strategies.

The lines of one host come in the order in which its results came. The file is named by SPINDLE_TEST_RECORD.
"""
from __future__ import absolute_import, division, print_function

import json
import os
import threading

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: record every result as a line of JSON
description: [Test instrument. Nothing is printed.]
requirements: [the environment variable SPINDLE_TEST_RECORD]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super(CallbackModule, self).__init__()
        path = os.environ.get("SPINDLE_TEST_RECORD")
        self.disabled = not path
        self.lock = threading.Lock()
        self.playbook = ""
        self.play = ""
        if path:
            self.out = open(path, "a", 1)

    def line(self, **fields):
        with self.lock:
            self.out.write(json.dumps(dict(fields, playbook=self.playbook), sort_keys=True, default=str) + "\n")

    def result(self, event, result, **more):
        # ansible-core 2.19 renamed the attributes and warns about the old names.
        data = result.result if hasattr(type(result), "result") else result._result
        task = result.task if hasattr(type(result), "task") else result._task
        host = result.host if hasattr(type(result), "host") else result._host
        data = {k: v for k, v in dict(data).items() if not k.startswith("_ansible")}
        self.line(event=event, play=self.play, host=host.get_name(), task=task.get_name(), action=task.action, result=data, **more)

    def v2_playbook_on_start(self, playbook):
        self.playbook = os.path.splitext(os.path.basename(playbook._file_name))[0]

    def v2_playbook_on_play_start(self, play):
        self.play = play.get_name()
        self.line(event="play", play=self.play)

    def v2_runner_on_ok(self, result):
        self.result("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.result("failed", result, ignored=bool(ignore_errors))

    def v2_runner_on_skipped(self, result):
        self.result("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self.result("unreachable", result)

    def v2_runner_item_on_ok(self, result):
        self.result("item_ok", result)

    def v2_runner_item_on_failed(self, result):
        self.result("item_failed", result)

    def v2_runner_item_on_skipped(self, result):
        self.result("item_skipped", result)

    def v2_playbook_on_notify(self, handler, host):
        self.line(event="notify", play=self.play, host=host.get_name(), task=handler.get_name())

    def v2_playbook_on_handler_task_start(self, task):
        self.line(event="handler", play=self.play, task=task.get_name())

    def v2_playbook_on_stats(self, stats):
        for host in sorted(stats.processed):
            self.line(event="recap", host=host, result=stats.summarize(host))
