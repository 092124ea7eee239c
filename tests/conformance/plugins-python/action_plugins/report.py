from ansible.plugins.action import ActionBase
from ansible.errors import AnsibleActionFail, AnsibleActionSkip


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        how = self._task.args.get('how', 'work')
        if how == 'fail':
            raise AnsibleActionFail('not today', result={'extra': 1})
        if how == 'skip':
            raise AnsibleActionSkip('not now')
        if how == 'break':
            raise ValueError('a bad value')
        if how == 'counts':
            counted = self._low_level_execute_command('wc -l < /srv/counted')
            self._low_level_execute_command('echo one >> /srv/counted')
            result.update(changed=True, lines=int(counted['stdout'].strip() or 0))
            return result
        asked = self._execute_module('stat', {'path': '/etc/passwd'}, task_vars=task_vars)
        home = self._low_level_execute_command('echo "$HOME"; exit 3')
        place = self._connection._shell.join_path(self._make_tmp_path(), 'part')
        self._transfer_data(place, 'some data')
        copied = self._execute_module('copy', {'src': place, 'dest': '/srv/copied', 'remote_src': True, 'mode': '0600'})
        result.update(
            changed=copied['changed'],
            is_file=asked['stat']['isreg'],
            code=home['rc'],
            home=home['stdout_lines'],
            host=task_vars['inventory_hostname'],
            templated=self._templar.template('{{ inventory_hostname_short }}'),
            family=self._connection._shell.SHELL_FAMILY,
        )
        return result
