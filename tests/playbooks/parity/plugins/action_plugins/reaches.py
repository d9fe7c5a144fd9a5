import time

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super(ActionModule, self).run(tmp, task_vars)
        root = self._task.args.get("root")
        steps = []

        def note(name, value):
            steps.append({name: value})

        def ask(cmd):
            return self._low_level_execute_command(cmd)["stdout"].split()

        job = self._execute_module(module_name="command", module_args={"_raw_params": "echo of a job", "_uses_shell": True}, task_vars=task_vars, wrap_async=True)
        note("wrap_async", [sorted(set(job) - set(["ansible_facts"])), self._connection._shell.tmpdir])
        for _ in range(100):
            done = self._low_level_execute_command("cat " + job["results_file"])["stdout"]
            if "of a job" in done:
                break
            time.sleep(0.2)
        note("the job", '"rc": 0' in done)
        self._low_level_execute_command("rm " + job["results_file"])

        join = self._connection._shell.join_path
        one = self._make_tmp_path()
        two = self._make_tmp_path()
        note("two", [one != two, self._connection._shell.tmpdir == two])
        paths = [join(one, "a"), join(two, "b c")]
        for path in paths:
            self._low_level_execute_command("echo text of %s > '%s'" % (path[-1], path))  # by whom the task becomes
        note("both", ask("cat '%s' '%s'; stat -c %%a %s %s" % (paths[0], paths[1], one, two)))

        def change(name, how, *given):
            out = how(paths, *given, **({"sudoable": True} if root else {}))
            note(name, [out["rc"], sorted(out), ask("stat -c %%a-%%U-%%G '%s' '%s'" % tuple(paths))])

        for mode in ("0640", "u+x,g=u,o-r"):
            change("chmod " + mode, self._remote_chmod, mode)
        if root:
            for who in ("only-there", "no-such-account"):
                change("chown " + who, self._remote_chown, who)
        if root and hasattr(ActionBase, "_remote_chgrp"):
            for who in ("only-there", "no-such-group"):
                change("chgrp " + who, self._remote_chgrp, who)
        out = self._remote_chmod([join(one, "missing")], "0600")
        note("chmod of nothing", out["rc"])
        note("chmod by words that are none", self._remote_chmod(paths, "u+nonsense")["rc"])
        note("expand", [self._remote_expand_user(p) for p in ("~", "~root", "~nobody/x", "~no-such-account/x")])
        note("expand for the login", self._remote_expand_user("~", sudoable=False))

        data = join(two, "dict")
        try:
            note("dict", [self._transfer_data(data, {"b": [1, None, True], "a": u"\u017e"}) == data])
            note("dict there", self._low_level_execute_command("cat " + data)["stdout"].strip())
        except TypeError as e:
            note("dict", str(e))
        if "data must be" in str(steps[-1]):  # releases that take no dict take no None
            try:
                note("none", self._transfer_data(data, None))
            except TypeError as e:
                note("none", str(e))

        def module(name, **given):
            out = self._execute_module(task_vars=task_vars, **given)
            for key in ("invocation", "ansible_job_id", "results_file", "delta", "start", "end", "src"):
                out.pop(key, None)
            note(name, [out, self._connection._shell.tmpdir == two])
            return out

        module("arguments of another", module_name="command", module_args={"_raw_params": "echo out; echo err >&2; exit 3", "_uses_shell": True}, persist_files=True)
        module("its own arguments", delete_remote_tmp=True)
        self._remove_tmp_path(None)
        note("removed", self._connection._shell.tmpdir)
        self._remove_tmp_path(one)
        for path in (one, two):
            for _ in range(50):
                if self._low_level_execute_command("test -e " + path)["rc"]:
                    break
                time.sleep(0.1)
            else:
                note("left", path)
        result.update(changed=True, steps=steps)
        return result
