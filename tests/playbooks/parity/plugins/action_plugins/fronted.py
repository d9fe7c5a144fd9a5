from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super(ActionModule, self).run(tmp, task_vars)
        args = dict(self._task.args, word=self._task.args["word"] + " through the action")
        return self._execute_module(module_args=args, task_vars=task_vars)
