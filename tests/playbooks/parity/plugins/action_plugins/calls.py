from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super(ActionModule, self).run(tmp, task_vars)
        task = self._task.copy()
        task.args = {"content": "by a called action\n", "dest": "/tmp/called"}
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.copy", task=task, connection=self._connection, play_context=self._play_context,
            loader=self._loader, templar=self._templar, shared_loader_obj=self._shared_loader_obj)
        done = copy.run(task_vars=task_vars)
        result.update(changed=done["changed"], checksum=done["checksum"], mode=done["mode"])
        return result
