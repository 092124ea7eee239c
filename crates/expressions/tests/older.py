"""Records what ansible-core 2.18 gives for templates: `python older.py`, in an environment that has it. Writes `older.json`."""
import json, os

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

VARS = {
    "lst": [1, 2, 3], "slist": ["a", "b"], "d": {"a": 1, "b": "two"}, "num": 5, "numstr": "5", "flt": 1.5, "yes_": True,
    "yesstr": "yes", "truestr": "True", "liststr": "[1, 2]", "dictstr": "{'a': 1}", "jsonstr": '{"a": true}',
    "jsonlist": '["a", null]', "jsontrue": "[true, false]", "noneval": None, "empty": "", "tstr": "(1, 2)",
    "tuplish": "1, 2", "multi": "l1\nl2\n", "packed": "{{ d | to_json }}", "twice": "{{ packed }}", "things": "[{{ num }}, 2]",
    "flag": "{% if yes_ %}True{% else %}False{% endif %}", "lower": "{% if yes_ %}true{% endif %}", "total": "{{ num + 1 }}",
    "nothing": "{{ nope | default(none) }}", "block": "[{% for i in slist %}'{{ i }}',\n{% endfor %}]\n",
    "nested": {"q": "[{{ num }}]"},
}
TEMPLATES = r'''
{{ num }}
{{ num + 1 }}
{{ numstr }}
{{ numstr | int }}
{{ num }}{{ num }}
{{ num | string }}
{{ flt }}
{{ yes_ }}
{{ yesstr }}
{{ truestr }}
{{ yes_ | bool }}
{{ yesstr | bool }}
{{ num > 3 }}
{{ num == 5 and yes_ }}
{{ lst }}
{{ lst | to_json }}
{{ d | to_json }}
{{ d | to_nice_json }}
{{ d | to_yaml }}
{{ d }}
{{ liststr }}
{{ dictstr }}
{{ jsonstr }}
{{ jsonlist }}
{{ jsontrue }}
{{ tstr }}
{{ noneval }}
{{ empty }}
{{ none }}
{{ lst | length }}
{{ lst | map('string') | list }}
{{ lst | map('string') }}
{{ lst | join(',') }}
{{ [1, 2] + [3] }}
[{{ num }}, 2]
[{{ lst | join(', ') }}]
{'a': {{ num }}}
{"a": {{ num }}}
{"a": "{{ numstr }}", "b": {{ yes_ }}}
{{ '[' ~ num ~ ']' }}
{{ '{' }}"a": 1}
{% if yes_ %}[1]{% endif %}
{% if yes_ %}true{% else %}false{% endif %}
{% if yes_ %}{{ lst }}{% endif %}
{% if yes_ %}{{ num }}{% endif %}
{% if not yes_ %}x{% endif %}
{% set x = 5 %}{{ x }}
{% set x = [] %}{% for i in lst %}{{ x.append(i * 2) }}{% endfor %}{{ x }}
{% set x = [] %}{% for i in lst %}{% set _ = x.append(i * 2) %}{% endfor %}{{ x }}
{% for i in lst %}{{ i }}{% endfor %}
{% for i in lst %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}
[{% for i in slist %}'{{ i }}'{% if not loop.last %},{% endif %}{% endfor %}]
[{% for i in slist %}'{{ i }}',{% endfor %}]
{ {% for i in slist %}'{{ i }}': {{ loop.index }},{% endfor %} }
 {{ lst }}
{{ lst }} 
{{ lst }}x
x{{ lst }}
{{ (1, 2) }}
{{ (1, 2) | string }}
{{ d.keys() }}
{{ d.items() }}
{{ d.values() | list }}
{{ '[1, 2]' }}
{{ "['a']" }}
{{ '{}' }}
{{ '[]' }}
{{ '[' }}
{{ '[broken' }}
{{ '{broken}' }}
{{ '{{' }}
{{ 'True' }}
{{ 'None' }}
{{ '1' }}
{{ '01' }}
{{ 1.0 }}
{{ 1e20 }}
{{ 10 ** 20 }}
{{ -num }}
{{ true }}
{{ yes_ | ternary('a', 'b') }}
{{ yes_ | ternary(1, 2) }}
{{ none | default('x', true) }}
{{ nope | default(none) }}
{{ nope | default([]) }}
{{ nope | default({}) }}
{{ nope | default('') }}
{{ multi }}
{{ multi }}x
{{ d.a }}
{{ d['b'] }}
{{ lst[0] }}
{{ lst | first }}
{{ 3 / 2 }}
{{ 4 / 2 }}
{{ '%d' | format(num) }}
{{ '%02d' | format(num) }}
{{ range(3) }}
{{ range(3) | list }}
{{ slist | zip(lst) }}
{{ slist | zip(lst) | list }}
{{ dict(slist | zip(lst)) }}
{{ d | dict2items }}
{{ lst | to_json | from_json }}
{{ jsonstr | from_json }}
{{ numstr ~ '' }}
{{ yes_ ~ '' }}
{{ "{'a': true}" }}
{{ '{"a": null}' }}
{{ '["a", "b"]' | trim }}
{{ '# c' }}
{{ '[1] # x' }}
{{ "[a]" }}
{{ "{a: 1}" }}
{{ "[1, 2" ~ "]" }}
{{ lst | sum }}
{{ lst | max }}
{{ '3.10' }}
{{ 3.10 }}
{{ '3' ~ '.10' }}
{{ not yes_ }}
{{ 'a' in slist }}
{{ slist | unique }}
{{ d | combine({'c': [1]}) }}
{{ 'x' if not yes_ }}
{{ lst | select('odd') }}
{{ lst | select('odd') | list | string }}
{{ lst | string }}
{{ d | string }}
{{ d | to_json | string }}
{{ lst | to_json | b64encode | b64decode }}
{{ '2024-01-01' }}
{{ '0644' }}
0{{ num }}
{{ num }}.{{ num }}
{{ '{{ num }}' }}
{{ "\\d" }}
{{ "a\nb" }}
{{ "['a\nb']" }}
{{ "[1]\n" }}
{{ " [1]" }}
{{ "\n[1]" }}
{{ '["a\\nb"]' }}
{{ [none, true] }}
{{ [none, true] | to_json }}
[{{ none }}]
[{{ noneval | to_json }}]
{{ undefinedthing is defined }}
{{ {'a': none} }}
{{ {'a': [1, {'b': 'c'}]} | to_nice_yaml }}
{{ '1,2'.split(',') }}
{{ '1 2' | split }}
{{ '%s' % lst }}
{{ lst | list | to_nice_json(indent=2) }}
{{ "[{'a': 1}]" }}
{{ "['%s']" % num }}
{{ "[u'a']" }}
{{ "{1, 2}" }}
{{ "[1, 1+1]" }}
{{ "{'a': 1}['a']" }}
{{ "[0123]" }}
{{ "[1.0]" }}
{{ "[1_000]" }}
{{ "[b'a']" }}
{{ "['a' 'b']" }}
{{ "{'a': datetime}" }}
{{ "[Undefined]" }}
{{ "{true: 1}" }}
{{ "[inf]" }}
{{ "[nan]" }}
{{ "[NaN]" }}
{{ "[-5]" }}
{{ "[True, False, None]" }}
{{ "[true]" }}
{{ "[::1]" }}
{{ "[::1]:80" }}
{{ "{% raw %}{{ x }}{% endraw %}" }}
{% raw %}{{ x }}{% endraw %}
{{ packed }}
{{ packed | default('') }}
{{ twice }}
{{ packed | trim }}
{{ (d | to_json) if yes_ else 1 }}
{% if yes_ %}{{ d | to_json }}{% endif %}
{{ things }}
{{ things | length }}
{{ things | first + 1 }}
{{ flag }}
{{ flag == true }}
{{ flag is true }}
{{ lower }}
{{ total }}
{{ total ~ '2' }}
{{ total + '2' }}
{{ total == '6' }}
{{ [total, things, flag] }}
{{ {'x': things, 'y': total} }}
{{ nope | default(things) }}
{{ nothing }}
{{ nothing == '' }}
{{ block }}
{{ block[1] }}
{{ nested.q }}
{{ nested.q | length }}
{{ nested }}
{{ liststr | length }}
{{ liststr | from_json }}
{{ "['" ~ slist | join("','") ~ "']" }}
{{ '0' ~ num }}
{{ num }}:{{ num }}
{{ yes_ }}{{ yes_ }}
{{ yes_ | string }}
{{ 'a' if yes_ }}
'''.strip("\n").split("\n")

cases = []
for template in TEMPLATES:
    try:
        result = Templar(DataLoader(), variables=dict(VARS)).template(template)
        cases.append({"t": template, "r": json.loads(json.dumps(result))})
    except TypeError as error:
        # A set or bytes, which no variable holds in 2.19.
        print(template, error)
    except Exception:
        cases.append({"t": template, "fails": True})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "older.json"), "w") as file:
    lines = ",\n".join(json.dumps(case) for case in cases)
    file.write('{"vars": ' + json.dumps(VARS) + ',\n"cases": [\n' + lines + '\n]}\n')
