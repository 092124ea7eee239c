from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        if 'dest' not in arguments:
            raise AnsibleActionFail('left_note needs dest')
        written = self._execute_module(
            module_name='ansible.builtin.file',
            module_args={'path': arguments['dest'], 'state': 'directory', 'mode': '0750'},
            task_vars=task_vars,
        )
        seen = self._low_level_execute_command('ls -d ' + arguments['dest'])
        result.update(written)
        result['seen'] = seen['stdout'].strip()
        result['of'] = task_vars['inventory_hostname']
        return result
