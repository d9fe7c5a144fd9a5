"""Writes every result of every host, task and item as one line of JSON, for the comparison of two strategies.

The lines of one host come in the order in which its results came. The file is named by SPINDLE_TEST_RECORD.

SIGUSR2 makes this process, or a fork of it, write the stacks of its threads to a file in memory, which tests/env reads when a run hangs.
"""
from __future__ import absolute_import, division, print_function

import faulthandler
import json
import os
import signal
import threading

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: record every result as a line of JSON
description: [Test instrument. Nothing is printed.]
requirements: [the environment variable SPINDLE_TEST_RECORD]
"""


# What a callback is told besides the result, as far as it is the same in every run.
KEPT = ("_ansible_delegated_vars", "_ansible_ignore_errors", "_ansible_item_label", "_ansible_no_log", "_ansible_verbose_always", "_ansible_verbose_override")


def part(result, name):
    """An attribute of a result. ansible-core 2.19 renamed them and warns about the old names."""
    return getattr(result, name) if hasattr(type(result), name) else getattr(result, "_" + name)


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
            self.stacks = os.memfd_create("spindle-test-stacks")
            faulthandler.register(signal.SIGUSR2, file=self.stacks)

    def line(self, **fields):
        with self.lock:
            self.out.write(json.dumps(dict(fields, playbook=self.playbook), sort_keys=True, default=str) + "\n")

    def result(self, event, result, **more):
        data = {k: v for k, v in dict(part(result, "result")).items() if k in KEPT or not k.startswith("_ansible")}
        self.task(event, part(result, "task"), part(result, "host"), result=data, **more)

    def task(self, event, task, host=None, **more):
        self.line(event=event, play=self.play, host=host.get_name() if host else "", task=task.get_name(), action=task.action, **more)

    def v2_playbook_on_start(self, playbook):
        self.playbook = os.path.splitext(os.path.basename(playbook._file_name))[0]

    def v2_playbook_on_play_start(self, play):
        self.play = play.get_name()
        self.line(event="play", play=self.play, action=play.strategy)

    def v2_playbook_on_no_hosts_matched(self):
        self.line(event="no_hosts_matched", play=self.play)

    def v2_playbook_on_no_hosts_remaining(self):
        self.line(event="no_hosts_remaining", play=self.play)

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.task("task", task)

    def v2_playbook_on_include(self, included_file):
        for host in included_file._hosts:
            self.task("include", included_file._task, host, result={"file": included_file._filename})

    def v2_runner_on_start(self, host, task):
        self.task("start", task, host)

    def v2_runner_retry(self, result):
        task = part(result, "task")
        try:
            waits = float(task.delay or 0)
        except (TypeError, ValueError):  # a template; a release that warns of this does so for every such task
            waits = float(part(result, "task_fields").get("delay") or 0)
        if not waits and "async_status" not in task.action:  # else time tells how many there are
            self.result("retry", result)

    def v2_runner_on_async_ok(self, result):
        self.result("async_ok", result)

    def v2_runner_on_async_failed(self, result):
        self.result("async_failed", result)

    def v2_on_file_diff(self, result):
        self.task("diff", part(result, "task"), part(result, "host"))  # what it shows comes with the result

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
        self.task("handler", task)

    def v2_playbook_on_stats(self, stats):
        for host in sorted(stats.processed):
            self.line(event="recap", host=host, result=stats.summarize(host))
