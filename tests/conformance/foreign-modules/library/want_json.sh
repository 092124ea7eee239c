#!/bin/sh
# WANT_JSON: arguments as JSON in a file.
echo "words before the result"
if grep -q '"state": "bad"' "$1"; then
    echo '{"failed": true, "msg": "told to fail", "reason": 7}'
elif grep -q '"state": "facts"' "$1"; then
    echo '{"changed": false, "ansible_facts": {"made_by_module": "yes"}}'
else
    echo '{"changed": false, "seen": '$(grep -c '"a b"' "$1")', "rc": 0}'
fi
