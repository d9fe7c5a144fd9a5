from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super(ActionModule, self).run(tmp, task_vars)
        return self._execute_module(module_name="spindle.parity.relative", module_args={"word": self._task.args["word"] * 2}, task_vars=task_vars)
