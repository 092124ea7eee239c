#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.from_role import hello

AnsibleModule(argument_spec={}, supports_check_mode=True).exit_json(text=hello('role'))
