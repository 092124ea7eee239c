#!/usr/bin/python
"""Tells what it was told."""
from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(argument_spec={'name': {}, 'greeting': {'default': 'hello'}})
    inner = {'_ansible_inner': 'not for others', 'kept': [{'_ansible_deep': 1, 'kept': 2}]}
    module.exit_json(said='%(greeting)s %(name)s' % module.params, told=inner)


if __name__ == '__main__':
    main()
