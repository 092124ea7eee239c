#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ..module_utils.inner import twice
from ansible_collections.our.tools.plugins.module_utils import inner

AnsibleModule(argument_spec={'n': {'type': 'int'}}).exit_json(changed=False, twice=twice(21), same=inner.twice(1))
