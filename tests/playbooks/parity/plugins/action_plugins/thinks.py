from ansible.errors import AnsibleActionFail, AnsibleActionSkip
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super(ActionModule, self).run(tmp, task_vars)
        how = self._task.args.get("how")
        if how == "raises":
            raise AnsibleActionFail("on purpose")
        if how == "skips":
            raise AnsibleActionSkip("no wish")
        if how == "warns":
            Display().warning("a warning of an action")
        if how == "fails":
            result.update(failed=True, msg="said so")
        result["thought"] = True
        return result
