from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Has a file of its own in the temporary directory, and a template written while it is there."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super(ActionModule, self).run(tmp, task_vars)
        tool = self._connection._shell.join_path(self._connection._shell.tmpdir, 'tool')
        self._transfer_data(tool, '#!/bin/sh\necho done\n')
        self._fixup_perms2((tool,))
        task = self._task.copy()
        task.args = {'src': self._task.args['src'], 'dest': self._task.args['dest']}
        template = self._shared_loader_obj.action_loader.get(
            'template', task=task, connection=self._connection, play_context=self._play_context, loader=self._loader,
            templar=self._templar, shared_loader_obj=self._shared_loader_obj)
        result['template'] = template.run(task_vars=task_vars)
        result['tool'] = self._low_level_execute_command(tool)
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return result
