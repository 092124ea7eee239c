#!/usr/bin/python
import json
args = json.loads('''<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>''')
print(json.dumps({"changed": False, "name": args["name"], "number": args["number"], "check": args["_ansible_check_mode"]}))
