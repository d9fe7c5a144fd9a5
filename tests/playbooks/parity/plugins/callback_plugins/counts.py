from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "counts"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super(CallbackModule, self).__init__()
        self.seen = {}

    def __getattribute__(self, name):
        if name.startswith("v2_") and name not in ("v2_on_any", "v2_runner_retry"):
            seen = object.__getattribute__(self, "seen")

            def count(*args, **kwargs):
                seen[name] = seen.get(name, 0) + 1
                if name == "v2_playbook_on_stats":
                    for k in sorted(seen):
                        self._display.display("COUNT %s %d" % (k, seen[k]))
            return count
        return object.__getattribute__(self, name)
