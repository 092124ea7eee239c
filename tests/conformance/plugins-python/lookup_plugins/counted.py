DOCUMENTATION = '''
name: counted
short_description: Counts what it is given.
description: [Each term with its number, from an option on.]
options:
  start: {description: [The first number.], type: int, default: 1}
  mark: {description: [Stands between both.], type: str, default: '-', vars: [{name: counted_mark}]}
'''
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        if not terms:
            raise AnsibleError('nothing to count')
        mark = self.get_option('mark')
        first = self.get_option('start')
        owner = variables.get('counted_owner', '')
        return ['%s%d%s%s' % (owner, first + number, mark, term) for number, term in enumerate(terms)]
