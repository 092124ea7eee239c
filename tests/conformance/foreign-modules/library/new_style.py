#!/usr/bin/python
from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greeting import hello


def main():
    module = AnsibleModule(
        argument_spec=dict(
            name=dict(required=True),
            password=dict(no_log=True),
            dest=dict(type='path'),
            fail=dict(type='bool', default=False),
            crash=dict(type='bool', default=False),
        ),
        supports_check_mode=True,
    )
    if module.params['crash']:
        raise RuntimeError('crashed')
    if module.params['fail']:
        module.fail_json(msg='told to fail', rc=3)
    module.warn('careful with this')
    dest = module.params['dest']
    if dest and not module.check_mode:
        with open(dest, 'w') as out:
            out.write(hello(module.params['name']) + '\n')
    module.exit_json(changed=True, hello=hello(module.params['name']), given=module.params['password'])


if __name__ == '__main__':
    main()
