import os

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super(ActionModule, self).run(tmp, task_vars)
        where = self._task.args["where"]
        steps = []

        def note(name, value):
            steps.append({name: value})

        out = self._low_level_execute_command("echo out; echo err >&2; pwd; exit 3")
        note("command", [out["rc"], out["stdout"].split()[0], sorted(out)])
        out = self._low_level_execute_command("id -un", sudoable=False)
        note("login", out["stdout"].strip())
        out = self._low_level_execute_command("pwd", chdir="/usr")
        note("chdir", out["stdout"].strip())
        out = self._low_level_execute_command("cat", in_data=b"given on stdin")
        note("stdin", out["stdout"])
        out = self._low_level_execute_command("echo $0", executable="/bin/bash")
        note("executable", out["stdout"].strip())
        one = self._make_tmp_path()
        note("tmp", [one == self._connection._shell.tmpdir, one.startswith("/")])
        path = self._connection._shell.join_path(one, "data")
        note("transfer_data", self._transfer_data(path, "some text ž") == path)
        stat = self._execute_remote_stat(path, task_vars, False)
        note("stat", [stat["exists"], stat["checksum"], stat["size"], stat["isreg"]])
        local = os.path.join(self._loader.get_basedir(), "files", "l.txt")
        other = self._connection._shell.join_path(one, "file")
        note("transfer_file", self._transfer_file(local, other) == other)
        note("fixup", self._fixup_perms2((one, path, other)) == (one, path, other))
        out = self._remote_chmod([path], "0640")
        note("chmod", [out["rc"], out["stdout"]])
        out = self._low_level_execute_command("stat -c %%a %s; cat %s" % (path, other))
        note("after chmod", out["stdout"].split())
        note("exists", [self._remote_file_exists(path), self._remote_file_exists(path + "x")])
        note("expand", [self._remote_expand_user("~"), self._remote_expand_user("~app/x"), self._remote_expand_user("/a/~"), self._remote_expand_user("~/x", sudoable=False)])
        module = self._execute_module(module_name="copy", module_args={"src": path, "dest": where, "remote_src": True, "mode": "0600"}, task_vars=task_vars)
        module.pop("src", None)
        module.pop("invocation", None)
        note("module", module)
        bad = self._execute_module(module_name="command", module_args={"_raw_params": "sh -c 'exit 4'"}, task_vars=task_vars)
        note("bad module", [bad.get("rc"), bad.get("failed"), bad.get("msg")])
        env = self._execute_module(module_name="command", module_args={"_raw_params": "echo ${WORD-unset}", "_uses_shell": True}, task_vars=task_vars)
        note("environment", env.get("stdout"))
        note("environment string", bool(self._compute_environment_string()))
        fetched = os.path.join(self._loader.get_basedir(), "fetched-by-action-%s-%s" % (task_vars["inventory_hostname"], os.path.basename(where)))
        self._connection.fetch_file(path, fetched)
        with open(fetched) as f:
            note("fetched", f.read())
        os.unlink(fetched)
        note("options", [self._connection.transport, self._connection.has_pipelining, bool(self._connection.become), self._play_context.remote_user])
        note("shell", [self._connection._shell.SHELL_FAMILY, self._connection._shell.join_path("a", "b"), self._connection._shell.path_has_trailing_slash("a/"), self._connection._shell.quote("a b")])
        self._remove_tmp_path(one)  # whoever looks at once may still see it: nobody waits for that
        result.update(changed=True, steps=steps, failed=bool(module.get("failed")))
        return result
