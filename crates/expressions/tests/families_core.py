"""Templates of Jinja2 and ansible.builtin, by family: inputs times operations."""
import random


def cross(inputs, tails, text=True, keep=1.0, seed=1):
    chance = random.Random(seed)
    for value in inputs:
        for tail in tails:
            if chance.random() <= keep:
                yield "{{ " + value + tail + " }}"
            if text and chance.random() <= keep / 4:
                yield "x {{ " + value + tail + " }}"


NUMBERS = ["0", "1", "-3", "7", "2.5", "-0.5", "1e20", "big", "true", "false", "none", "'a'", "'ab'", "[1, 2]", "{'a': 1}", "(1, 2)", "x", "flt3"]


def arithmetic():
    for op in ["+", "-", "*", "/", "//", "%", "**"]:
        for a in NUMBERS:
            for b in NUMBERS:
                if op == "**" and b == "big" and a not in ("0", "1", "true", "false"):
                    continue  # Python would compute for ever
                if op == "*" and "big" in (a, b) and any(c in "'[(" for c in a + b):
                    continue
                yield "{{ %s %s %s }}" % (a, op, b)
    for extra in ["-x", "+x", "- -x", "-big", "2**100", "2**-1", "2**64", "9223372036854775807 + 1", "-9223372036854775808 - 1",
                  "big * big", "big // 7", "big % 97", "-big // 7", "-big % 97", "big / 3", "7 // 0", "7 % 0", "7 / 0", "7.0 // 0", "0 ** 0",
                  "0 ** -1", "1_000", "0x1f", "0o17", "0b101", "1e3", "1.5e-7", "1e16", "1e15", "123456789.123456789", "0.1 + 0.2", "1/3",
                  "2 * 3 + 4 ** 2 ** 1", "-2 ** 2", "(-2) ** 2", "not 1", "not not ''", "1 < 2 < 3", "1 < 2 > 3", "1 ~ 2 ~ none", "'a' 'b'",
                  "1 if x", "1 if y", "1 if y else 2", "x if x > 3 else 'no'", "1 and 0 or 3", "[] or 'z'", "'' and nope", "x or nope", "1.0", "1.10", "100.0 ** 10",
                  "big | string", "big | int", "big | float", "-7 // 2", "-7 % 3", "7 % -3", "-7.5 // 2", "-7.5 % 2", "7.5 % -2", "1e308 * 10", "-1e308 * 10",
                  "(1e308 * 10) - (1e308 * 10)", "10 ** 30", "10 ** 30 // 10 ** 28", "2 ** 0.5", "(-8) ** (1/3)", "5 // 2.0", "true + true", "true * 3", "'ab' * 3", "3 * 'ab'",
                  "'ab' * -1", "[1] * 3", "(1,) * 2", "[1] + (2,)", "[1] + [2]", "(1,) + (2,)"]:
        yield "{{ " + extra + " }}"
        yield "x {{ " + extra + " }}"


def comparison():
    values = NUMBERS + ["'b'", "''", "[]", "{}", "[1, 3]", "1.0", "1e20|int", "nope", "(1, 3)"]
    for op in ["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is sameas", "is eq", "is in"]:
        for a in values:
            for b in values:
                if op in ("==", "<", "in") and (len(a) + len(b)) % 2 or (len(a) + len(b) + len(op)) % 3 == 0:
                    yield "{{ %s %s %s }}" % (a, op, b)


def strings():
    inputs = ["s", "name", "empty", "'  pad '", "'a,b,,c'", "multi", "'Hello World'", "'123'", "'ß ǆ'", "'x-y-z'", "'tab\\there'"]
    methods = ["upper()", "lower()", "title()", "capitalize()", "swapcase()", "casefold()", "strip()", "lstrip()", "rstrip()", "strip('lhd ')", "split()", "split(',')", "split(',', 1)",
               "rsplit(',', 1)", "split(maxsplit=1)", "split(sep='l')", "splitlines()", "splitlines(true)", "partition('l')", "rpartition('l')", "partition('')", "replace('l', 'L')", "replace('l', 'L', 1)",
               "replace('', '.')", "find('l')", "rfind('l')", "find('l', 3)", "find('zz')", "index('l')", "index('zz')", "rindex('l')", "count('l')", "count('')", "startswith('he')", "startswith(('he', 'H'))",
               "endswith('ld')", "endswith('l', 0, 3)", "join(['a', 'b'])", "join('xyz')", "join([1])", "center(20)", "center(21, '*')", "ljust(15, '.')", "rjust(15)", "zfill(15)", "isdigit()", "isalpha()", "isalnum()",
               "isspace()", "isupper()", "islower()", "istitle()", "isnumeric()", "isdecimal()", "isidentifier()", "isprintable()", "isascii()", "removeprefix('he')", "removesuffix('ld')", "expandtabs()", "expandtabs(4)", "encode()",
               "encode('utf-8').decode()", "encode('ascii')", "format(1)", "nosuch()", "upper(1)", "split(1)", "split('')", "__class__", "maketrans('l', 'L')", "translate({108: 'L'})", "__len__()", "upper", "encode('latin-1') | string", "encode().hex()"]
    yield from cross(inputs, ["." + m for m in methods])


def formatting():
    specs = ["%s", "%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%x", "%X", "%#x", "%o", "%#o", "%c", "%r", "%a", "%f", "%.2f", "%10.3f", "%-10.3f|", "%e", "%E", "%.3e", "%g", "%G", "%.3g", "%#g", "%i", "%u", "%5s", "%-5s|", "%.2s", "%%", "%5%", "%z", "%", "%(a)s"]
    values = ["5", "-7", "2.5", "big", "'abc'", "true", "none", "[1]", "(1,)", "(1, 2)", "{'a': 1}", "1e20", "65"]
    for spec in specs:
        for value in values:
            yield "{{ '%s' %% %s }}" % (spec, value)
    for t in ["'%s-%05d' % (s, x)", "'%(a)s %(b)03d' % d", "'%*d' % (5, 3)", "'%-*d|' % (5, 3)", "'%.*f' % (2, 3.14159)", "'%s' % ('a', 'b')", "'%s %s' % 'a'", "'%s' % nope", "'%d' % '5'", "'abc' % 5", "'%s' | format(x)", "'%s %d' | format('a', 3)",
              "'%(q)s' | format(q=3)", "'%s' | format", "'%08.3f' | format(3.14159)", "'%s' | format([1, 'a'])", "'%5.1f%%' | format(99.55)"]:
        yield "{{ " + t + " }}"
    fields = ["{}", "{0}", "{:d}", "{:5}|", "{:<5}|", "{:>5}|", "{:^7}|", "{:*^7}|", "{:05}", "{:+}", "{:,}", "{:_}", "{:x}", "{:#x}", "{:b}", "{:#o}", "{:e}", "{:.2f}", "{:8.2f}", "{:%}", "{:.1%}", "{:g}", "{:s}", "{:.2}", "{!r}", "{!s:>6}", "{!a}", "{:c}", "{:n}", "{{}}", "{", "}", "{1}", "{a}", "{:z}", "{:10,.2f}", "{0[0]}", "{0.real}", "{:=+5}", "{:-5}", "{: }", "{:08.3f}"]
    for field in fields:
        for value in ["5", "-7", "2.5", "1234567", "big", "'abc'", "true", "none", "[1, 2]", "1e20", "0.5"]:
            yield "{{ '%s'.format(%s) }}" % (field, value) if "{{" not in field else "{{ '%s'.format(%s) }}" % (field.replace("{{", "{{"), value)
    for t in ["'{a} {b}'.format(a=1, b='z')", "'{a}'.format(**d)", "'{} {}'.format(*lst)", "'{0} {1} {0}'.format('a', 'b')", "'{} {0}'.format(1)", "'{u[name]}'.format(u=users[0])", "'{:{w}}|'.format('a', w=5)", "'{:{}}|'.format('a', 5)", "'{:%Y}'.format(1)"]:
        yield "{{ " + t + " }}"


def slices():
    parts = ["", "0", "1", "2", "-1", "-2", "5", "-9", "none", "big"]
    for value in ["'abcdef'", "lst", "uni", "(1, 2, 3, 4)", "[]"]:
        for a in parts:
            for b in parts:
                if (len(a) * 3 + len(b)) % 2 == 0 or value == "'abcdef'":
                    yield "{{ %s[%s:%s] }}" % (value, a, b)
        for c in ["::2", "::-1", "1::2", ":-1:2", "-1:0:-1", "::0", "5:1:-2", "::'a'", "'a':", "1.5:"]:
            yield "{{ %s[%s] }}" % (value, c)
        for i in ["0", "-1", "9", "-9", "'a'", "true", "none", "1.0", "nope", "'0'", "big"]:
            yield "{{ %s[%s] }}" % (value, i)
            yield "{{ %s[%s] | default('D') }}" % (value, i)
    for t in ["d['a']", "d.a", "d['zz'] | default(3)", "d[0] | default(1)", "users[0].name", "users.0.name", "users[0]['groups'][-1]", "nested.k.z[1].q", "lst.0", "s.0", "s[0]", "d.keys", "d.items()", "d.x.y.z | default('u')", "d.x.y.z", "users[9].name | default('u')", "d[lst] | default(1)", "5[1:]", "d[1:2]", "none[1:]", "nested['k']['z'][1:]"]:
        yield "{{ " + t + " }}"


def containers():
    for m in ["append(4)", "extend([7, 8])", "extend('ab')", "insert(1, 'i')", "insert(-1, 9)", "pop()", "pop(0)", "pop(9)", "remove(1)", "remove(9)", "reverse()", "sort()", "sort(reverse=true)", "clear()", "copy()", "count(1)", "index(1)", "index(9)", "append()", "index(1, 2)"]:
        yield "{% set l = [3, 1, 2] %}{% set r = l." + m + " %}{{ r }}|{{ l }}"
        yield "{{ lst." + m + " }}"
        yield "{% set _ = lst." + m + " %}{{ lst }}"
    for m in ["update({'c': 3})", "update(c=3)", "update([('k', 1)])", "update({'a': 9}, b=8)", "pop('a')", "pop('zz')", "pop('zz', 1)", "popitem()", "setdefault('a', 5)", "setdefault('z', 5)", "setdefault('q')", "get('a')", "get('zz')", "get('zz', 7)", "keys()", "values()", "items()", "copy()", "clear()", "fromkeys(['p', 'q'], 1)", "fromkeys('ab')", "update(5)", "get()", "has_key('a')"]:
        yield "{% set e = {'a': 1, 'b': 2} %}{% set r = e." + m + " %}{{ r }}|{{ e }}"
        yield "{{ d." + m + " }}"
        yield "{{ d." + m + " | list }}"
        yield "{{ d." + m + " | type_debug }}"
        yield "{% set _ = d." + m + " %}{{ d }}"
    for t in ["{% set a = [] %}{% for i in range(3) %}{% set _ = a.append(i * 2) %}{% endfor %}{{ a }}", "{% set a = {} %}{% for u in users %}{% set _ = a.update({u.name: u.groups}) %}{% endfor %}{{ a }}",
              "{% set a = [] %}{% set b = a %}{% set _ = b.append(1) %}{{ a }}", "{% set a = [[]] * 2 %}{% set _ = a[0].append(1) %}{{ a }}", "{% set n = namespace(l=[]) %}{% for i in lst %}{% set n.l = n.l + [i] %}{% endfor %}{{ n.l }}",
              "{{ lst.append(9) }}{{ lst }}", "{{ [1].append(2) }}", "{{ [lst.append(4), lst] }}", "{% set x = {'a': []} %}{{ x.a.append(1) }}{{ x }}", "{% set _ = users[0].update({'z': 1}) %}{{ users[0] }}", "{{ (1, 2).count(1) }}", "{{ (1, 2).index(2) }}",
              "{{ (1, 2).append(3) }}", "{{ 5.bit_length() }}", "{{ x.bit_length() }}", "{{ flt.is_integer() }}", "{{ whole.is_integer() }}", "{{ flt.as_integer_ratio() }}", "{{ x.real }}", "{{ flt.hex() }}", "{{ x.to_bytes(2, 'big') }}", "{{ true.real }}", "{{ {'a': 1} | list }}", "{{ {1: 'a', true: 'b', 1.0: 'c'} }}",
              "{{ {'a': 1}['a'] }}", "{{ {(1, 2): 3} | string }}", "{{ {[1]: 2} }}", "{{ {'b': 1, 'a': 2} }}", "{{ dict(a=1, b=2) }}", "{{ dict([['a', 1]]) }}", "{{ dict({'x': 1}, y=2) }}", "{{ dict(lst) }}", "{{ dict(a=nope) }}", "{{ [nope] }}", "{{ {'a': nope} }}", "{{ [nope] | length }}", "{{ (1,) }}", "{{ () }}", "{{ 1, 2 }}", "{{ [1, 2,] }}", "{{ [(1, 'a'), [None]] }} t", "{{ [1.0, 1e20, 0.1, true, none, 'q\\'s', \"d\"] }} t", "{{ {'a': (1, 2)} }} t", "{{ ['it\\'s', 'a\"b', '\\n', 'é', '\\x00'] }} t"]:
        yield t


FILTER_INPUTS = ["x", "neg", "flt", "s", "empty", "strnum", "name", "t", "n", "lst", "strs", "mixed", "el", "d", "ed", "users", "multi", "big", "nope", "nested"]


def filters_numbers():
    tails = [" | int", " | int(7)", " | int('x')", " | int(base=16)", " | int(default=3, base=8)", " | float", " | float(1.5)", " | abs", " | round", " | round(1)", " | round(0, 'floor')", " | round(2, 'ceil')", " | round(-1)", " | round(method='up')", " | bool", " | pow(2)", " | pow(0.5)", " | root", " | root(3)", " | log", " | log(10)", " | log(2)",
             " | human_readable", " | human_readable(true)", " | human_readable(unit='K')", " | human_to_bytes", " | human_to_bytes(default_unit='M')", " | human_to_bytes(isbits=true)", " | filesizeformat", " | filesizeformat(true)", " | max", " | min", " | sum", " | sum(start=10)", " | random(seed='a')", " | random(1, seed='a')", " | random(step=2, seed=3)", " | random(start=1, step=2, seed=9)", " | shuffle(seed='k')", " | string", " | type_debug"]
    yield from cross(FILTER_INPUTS + ["'0x1f'", "'1.9'", "' 12 '", "'1_000'", "1234567", "10737418", "2.675", "-2.5", "3.5", "'10MB'", "'1.5 Gb'", "'2K'", "'12'", "0", "16", "'1e3'", "'inf'", "'nan'", "100"], tails, text=False)


def filters_text():
    tails = [" | upper", " | lower", " | capitalize", " | title", " | trim", " | trim('hd')", " | string", " | length", " | count", " | center(15)", " | indent", " | indent(2)", " | indent(2, true)", " | indent('> ')", " | indent(2, blank=true)", " | indent(width=3, first=true)", " | replace('l', 'L')", " | replace('l', 'L', 1)", " | replace('', '-')", " | truncate(5)", " | truncate(7, true)", " | truncate(5, false, '..', 0)", " | truncate(255)", " | wordwrap(5)", " | wordwrap(8, false)", " | wordwrap(4, true, '|')", " | wordcount", " | striptags", " | escape", " | e", " | forceescape", " | safe", " | urlencode", " | urlize", " | quote", " | comment", " | comment('c')", " | comment('cblock')", " | comment('erlang')", " | comment('xml')",
             " | comment('plain', prefix='#######', postfix='#')", " | comment(decoration='! ')", " | regex_escape", " | regex_escape('posix_basic')", " | b64encode", " | b64decode", " | b64encode | b64decode", " | hash", " | hash('md5')", " | hash('sha256')", " | hash('zz')", " | checksum", " | md5", " | sha1", " | to_uuid", " | to_uuid('11111111-2222-3333-4444-555555555555')", " | split", " | split('l')", " | first", " | last", " | list", " | reverse", " | sort", " | join('-')", " | xmlattr", " | pprint", " | wordcount", " | split(',')", " | ternary('y', 'n')", " | ternary('y', 'n', 'z')", " | urldecode", " | default('D')", " | default('D', true)", " | mandatory", " | attr('upper')", " | tojson", " | items", " | unique", " | dictsort", " | mandatory('give it')", " | d", " | default"]
    yield from cross(FILTER_INPUTS + ["html", "url", "q", "dq", "'a b&c=d/e?'", "'foo%20bar+b'", "'aGVsbG8='", "'see http://x.io/a and me@x.io now'"], tails, text=False)


def filters_paths():
    tails = [" | " + f for f in ["basename", "dirname", "splitext", "normpath", "realpath", "relpath('/etc')", "relpath", "expanduser", "path_join", "win_basename", "win_dirname", "win_splitdrive", "urlsplit", "urlsplit('hostname')", "urlsplit('port')", "urlsplit('query')", "urlsplit('username')", "urlsplit('password')", "urlsplit('path')", "urlsplit('scheme')", "urlsplit('netloc')", "urlsplit('fragment')", "urlsplit('zz')", "commonpath", "regex_replace('[aeiou]', 'V')"]]
    yield from cross(["path", "'a/b/../c//d'", "'/'", "''", "'name.tar.gz'", "'.bashrc'", "'/a/b/'", "'C:\\\\\\\\x\\\\\\\\y.txt'", "url", "'http://[::1]:80/x'", "'//host/p'", "'mailto:a@b'", "['/a/b/c', '/a/b/d']", "['a', '/b', 'c']", "['a', 'b']", "5", "none", "nope", "'~/x'", "'../x'", "'x?y=1'", "'ftp://u@h'"], tails, text=False)


def filters_lists():
    seconds = ["[1, 2, 9]", "['a', 'z']", "[]", "lst", "strs", "'ab'", "[[1], [1]]", "[{'a': 1}]", "nope", "5"]
    firsts = ["lst", "[1, 1, 2, 3, 3]", "strs", "['x', 'x', 'y']", "[[1], [2]]", "[{'a': 1}, {'a': 1}]", "[1, true, 1.0]", "el", "'aab'", "n", "x", "d"]
    for f in ["union", "intersect", "difference", "symmetric_difference", "zip", "zip_longest", "product"]:
        for a in firsts:
            for b in seconds:
                yield "{{ %s | %s(%s) | list }}" % (a, f, b)
    for a in firsts:
        for tail in ["unique", "unique(case_sensitive=true)", "sort", "sort(reverse=true)", "sort(case_sensitive=true)", "reverse | list", "flatten", "flatten(1)", "flatten(levels=0)", "flatten(skip_nulls=false)", "min", "max", "sum", "first", "last", "length", "list", "random(seed=1)", "shuffle(seed=2)", "batch(2) | list", "batch(2, 'f') | list", "slice(2) | list", "slice(3, 'f') | list", "combinations(2) | list", "permutations(2) | list", "permutations | list", "join(', ')", "join", "map('string') | list", "map('upper') | join", "select | list", "reject | list", "select('gt', 1) | list", "reject('in', [1]) | list", "select('match', 'a') | list", "map('nosuch') | list", "map | list", "select('nosuch') | list", "zip([1]) | list", "zip(['p', 'q'], ['r']) | list", "zip_longest([1], fillvalue='-') | list", "zip([1, 2, 3], strict=true) | list", "product(repeat=2) | list", "first(1)", "groupby('a')", "map('default', 'x') | list"]:
            yield "{{ %s | %s }}" % (a, tail)
    for t in ["[[1, [2, [none, 3]]], 4] | flatten", "[[1, [2, [none, 3]]], 4] | flatten(levels=1)", "[[1, none]] | flatten(skip_nulls=false)", "[1, 2, 3, 4, 5] | batch(2) | map('list') | list", "range(10) | list", "range(2, 9, 3) | list", "range(5, 0, -2) | list", "range(3)", "range('a')", "range(0)", "range(3)[1]", "range(5) | random(seed=4)", "['b', 'A', 'c'] | sort", "['b', 'A', 'c'] | sort(case_sensitive=true)", "['10', '9', '1'] | sort", "[3, 'a'] | sort", "['a', none] | sort", "[[2, 1], [1, 2]] | sort", "[1, [2]] | max", "['a', 'B'] | max", "['a', 'B'] | min(case_sensitive=true)", "[] | max", "[] | min | default('none')", "[] | first", "[] | last | default('e')", "'' | first | default('e')", "[[1, 2], [3]] | sum(start=[])", "[1, 'a'] | sum", "['a', 'b'] | join(nope)", "[1, nope] | join", "[1, none, 'x', 2.5, true] | join('|')", "users | join(',', 'name')", "users | join(attribute='name', d='; ')"]:
        yield "{{ " + t + " }}"


def filters_objects():
    lists = ["users", "people", "[{'a': 1}, {'b': 2}]", "[{'a': {'b': 3}}, {'a': {'b': 1}}]", "el", "lst", "d", "nope", "[d, nested]", "[{'name': none}]"]
    tails = ["map(attribute='name') | list", "map(attribute='a.b') | list", "map(attribute='nope') | list", "map(attribute='age', default=0) | list", "map(attribute='groups.0', default='-') | list", "selectattr('name') | list", "selectattr('age', 'defined') | list", "rejectattr('age', 'defined') | list", "selectattr('age', 'undefined') | list", "selectattr('n', 'eq', 2) | list", "selectattr('n', 'equalto', 2) | map(attribute='name') | list", "selectattr('on') | map(attribute='name') | list", "rejectattr('on') | list", "selectattr('name', 'in', ['bob', 'c']) | list", "selectattr('name', 'match', '^[a-b]') | list", "selectattr('n', '>', 5) | list", "selectattr('groups', 'contains', 'a') | list", "rejectattr('groups', 'contains', 'a') | list", "selectattr('nope') | list", "selectattr() | list", "selectattr('name', 'nosuch') | list",
             "sort(attribute='name')", "sort(attribute='name', reverse=true)", "sort(attribute='n,name')", "sort(attribute='n', case_sensitive=true)", "sort(attribute='nope')", "groupby('n')", "groupby('name') | map('first') | list", "groupby('nope')", "groupby('nope', default='-')", "groupby('age', default=1)", "groupby('name', case_sensitive=true)", "unique(attribute='n')", "unique(attribute='name') | list", "sum(attribute='n')", "sum(attribute='age')", "max(attribute='n')", "min(attribute='name')", "items2dict", "items2dict(key_name='name', value_name='n')", "items2dict('name', 'groups')", "rekey_on_member('name')", "rekey_on_member('n')", "rekey_on_member('n', duplicates='overwrite')", "rekey_on_member('zz')", "subelements('groups')", "subelements('groups', skip_missing=true)", "subelements('zz')", "subelements('zz', skip_missing=true)", "map('dict2items') | list", "map('combine', {'z': 1}) | list", "map('length') | list", "map(attribute='name') | map('upper') | join(',')", "map('extract', users) | list", "map('first') | list", "list", "length", "first", "dict2items", "to_json", "random(seed=5)", "dictsort", "map(attribute=0) | list"]
    for value in lists:
        for tail in tails:
            yield "{{ %s | %s }}" % (value, tail)
    dicts = ["d", "ed", "nested", "deep", "lazyd", "{'b': 1, 'A': 2, 'c': 0}", "{1: 'x', 2: 'y'}", "lst", "s", "n", "nope"]
    for value in dicts:
        for tail in ["dict2items", "dict2items(key_name='k', value_name='v')", "dict2items | items2dict", "items | list", "dictsort", "dictsort(true)", "dictsort(by='value')", "dictsort(reverse=true)", "dictsort(false, 'value', true)", "combine({'z': 1})", "combine({'a': {'x': 1}}, recursive=true)", "combine(deep2)", "combine(deep2, recursive=true)", "combine(deep2, recursive=true, list_merge='append')", "combine(deep2, recursive=true, list_merge='prepend')", "combine(deep2, recursive=true, list_merge='append_rp')", "combine(deep2, recursive=true, list_merge='prepend_rp')", "combine(deep2, recursive=true, list_merge='keep')", "combine(deep2, list_merge='zz')", "combine([d, {'b': 5}])", "combine([])", "combine", "combine(x)", "combine({'a': 1}, foo=1)", "list", "length", "first", "sort", "join(',')", "map('upper') | list", "xmlattr", "urlencode", "to_json", "tojson", "pprint", "string", "type_debug", "subelements('a')", "rekey_on_member('a')", "selectattr('a') | list", "items2dict", "max", "ternary(1, 2)", "bool", "mandatory", "default(1)", "default({}, true)", "unique", "random(seed=3)"]:
            yield "{{ %s | %s }}" % (value, tail)
    for t in ["'a' | extract(d)", "'zz' | extract(d)", "'zz' | extract(d) | default(1)", "0 | extract(lst)", "'k' | extract(nested, ['z', 0])", "'k' | extract(nested, morekeys='z')", "['a', 'b'] | map('extract', d) | list", "[0, 2] | map('extract', lst) | list", "['k'] | map('extract', nested, ['z', 1, 'q']) | list", "9 | extract(lst)", "'a' | extract(5)"]:
        yield "{{ " + t + " }}"


def filters_data():
    values = ["d", "lst", "nested", "users", "s", "empty", "n", "t", "x", "flt", "flt2", "big", "el", "ed", "multi", "name", "strnum", "q", "dq", "bs", "[none, true, 1.0, 1e-7]", "{'a': [], 'b': {}}", "{'a': [[1, 2], [3]]}", "'yes'", "'1.5'", "'null'", "' lead'", "'a: b'", "'# c'", "'- x'", "'{a}'", "'@x'", "'2020-01-01'", "'0777'", "'0x1f'", "'~'", "'trail '", "'on'", "'a\\n'", "'*x'", "'!t'", "'%x'", "'&a'", "'12:30:45'", "'='", "'<<'", "'.inf'", "'1e3'", "'key: \"v\"'", "{'k with space': 'v: w', 'on': 'off', '1': 2}", "(1, 2)", "nope", "lazyd", "'a' * 100", "'word ' * 30", "{1: 2, 'a': 3}", "{true: 1}", "{none: 1}", "uni", "'\\t'", "['a\\nb\\n', 'c']", "{'m': multi}"]
    tails = ["to_json", "to_nice_json", "to_nice_json(indent=2)", "to_json(sort_keys=true)", "to_json(indent=2)", "to_json(ensure_ascii=false)", "to_json(separators=[',', ':'])", "to_nice_json(sort_keys=false)", "tojson", "tojson(2)", "to_yaml", "to_nice_yaml", "to_nice_yaml(indent=2)", "to_nice_yaml(width=20)", "to_yaml(default_flow_style=false)", "to_yaml(default_flow_style=true)", "to_nice_yaml(sort_keys=false)", "to_nice_yaml(explicit_start=true)", "to_yaml(default_style='\"')", "to_yaml(default_style='|')", "to_yaml(allow_unicode=false)", "to_json | from_json", "to_nice_yaml(indent=8)", "to_yaml(explicit_end=true)", "to_yaml(canonical=true)", "to_json(foo=1)"]
    for value in values:
        for tail in tails:
            yield "{{ %s | %s }}" % (value, tail)
    for t in ["'{\"a\": [1, 2.0, null, true, \"x\"]}'", "'[1'", "''", "'12345678901234567890123'", "'1e400'", "'NaN'", "'[Infinity, -Infinity]'", "'\"\\\\u00e9\"'", "'{\"a\": 1, \"a\": 2}'", "' 1 '", "'01'", "'1.0'", "'-0'", "'-0.0'", "'1E5'", "lst", "n", "x", "d", "nope", "'tru'", "'[1,]'", "\"{'a': 1}\"", "'{\"b\": 12345678901234567890}'"]:
        yield "{{ %s | from_json }}" % t
        yield "x{{ %s | from_json }}" % t


def filters_regex():
    texts = ["s", "'foo=1; bar=22'", "multi", "'aXbXc'", "empty", "x", "path", "name", "n", "'192.168.1.10'", "'Foo FOO foo'", "'a.b|c'", "nope", "lst"]
    pats = ["o", "(\\\\w+)=(\\\\d+)", "^l\\\\d", "X", "[a-z]+", "(?P<k>\\\\w+)=(?P<v>\\\\w+)", "$", "^", "", "(", "\\\\d{1,3}", "(?i)foo", "foo", "(?<=a)X", "(?!a)\\\\w", "(a)|(b)", "[[:alpha:]]", "\\\\s+", ".", "\\\\bfoo\\\\b", "\\\\.", "(.)\\\\1", "x*", "[^\\\\W\\\\d_]+"]
    for text in texts:
        for pat in pats:
            yield "{{ %s | regex_replace('%s', '<\\\\g<0>>') }}" % (text, pat)
            yield "{{ %s | regex_replace('%s', '_') }}" % (text, pat)
            yield "{{ %s | regex_search('%s') }}" % (text, pat)
            yield "{{ %s | regex_findall('%s') }}" % (text, pat)
            yield "{{ %s is search('%s') }}" % (text, pat)
            yield "{{ %s is match('%s') }}" % (text, pat)
            yield "{{ %s is regex('%s') }}" % (text, pat)
    for t in ["'foo=1' | regex_search('(\\\\w+)=(\\\\d+)', '\\\\1', '\\\\2')", "'foo=1' | regex_search('(?P<k>\\\\w+)=(\\\\d+)', '\\\\g<k>')", "'foo=1' | regex_search('(\\\\w+)', '\\\\g<1>')", "'foo' | regex_search('(\\\\w+)', '\\\\3')", "'foo' | regex_search('(\\\\w+)', 'bad')", "'foo' | regex_search('zz', '\\\\1')", "'Foo' | regex_search('foo', ignorecase=true)", "'a\\nb' | regex_search('^b', multiline=True)", "'foo' | regex_search('o', bad=true)", "'foo' | regex_replace('(o)', '[\\\\1]')", "'foo' | regex_replace('(?P<a>o)', '[\\\\g<a>]')", "'foo' | regex_replace('O', 'x', ignorecase=true)", "'foo' | regex_replace('o', 'x', count=1)", "'foo' | regex_replace('o', 'x', mandatory_count=2)", "'foo' | regex_replace('o', 'x', mandatory_count=1)", "'foo' | regex_replace('o', '\\\\9')", "'foo' | regex_replace('o', '\\\\n')", "'foo' | regex_replace(pattern='f', replacement='g')", "'foo' | regex_replace", "'a\\nb' | regex_replace('^', '> ', multiline=true)", "'Foo' | regex_findall('o', ignorecase=True)", "'a1b2' | regex_findall('([a-z])(\\\\d)')", "'FOO' is match('foo', ignorecase=true)", "'a\\nb' is search('^b', multiline=true)", "'foo' is regex('o', match_type='search')", "'foo' is regex('o', match_type='match')", "'foo' is regex('o', match_type='fullmatch')", "'foo' is regex('o', match_type='zz')", "lst | map('regex_replace', '1', 'one') | list", "strs | map('regex_search', '[a-b]') | list", "strs | select('match', '[ab]') | list", "strs | reject('search', 'a') | list", "'ab' | regex_replace('(a)(z)?', '<\\\\2>')"]:
        yield "{{ " + t + " }}"


def tests():
    values = FILTER_INPUTS + ["'yes'", "'1.2.3'", "path", "'/etc'", "'/nonexistent'", "ok_result", "bad_result", "skip_result", "1", "1.0", "[true]", "[false, 0]", "'ABC'", "range(3)", "omit", "(1, 2)", "url", "lookup", "big", "'upper'", "now()"]
    names = ["defined", "undefined", "none", "true", "false", "boolean", "integer", "float", "number", "string", "mapping", "sequence", "iterable", "callable", "escaped", "filter", "test", "lower", "upper", "odd", "even", "divisibleby(2)", "divisibleby 3", "eq 5", "ne 5", "lt 5", "le 5", "gt 5", "ge 5", "in [5, 'a']", "contains('a')", "contains 1", "sameas true", "truthy", "falsy", "truthy(convert_bool=true)", "falsy(convert_bool=true)", "all", "any", "nan", "subset([1, 2, 3, 'a'])", "superset([1])", "failed", "success", "succeeded", "changed", "skipped", "exists", "directory", "file", "link", "abs", "mount", "same_file('/etc')", "vault_encrypted", "version('1.2', '>=')", "version('1.2.3', 'eq')", "version('5')", "version('1.10', '<', strict=true)", "uri", "url", "urn", "url(['https'])", "uri(['ftp'])", "started", "finished", "reachable", "unreachable", "timedout", "nosuch", "ansible.builtin.defined", "ansible.builtin.string", "equalto 5", "== 5", "!= 5", "greaterthan 1", "lessthan 9", "not defined", "not string", "isnan", "is_abs", "is_file", "change", "failure", "skip", "search 'a'", "match('h')"]
    for value in values:
        for name in names:
            yield "{{ %s is %s }}" % (value, name)


def versions():
    vs = ["1.0", "1.0.0", "1.10", "1.9", "2.0a1", "2.0.dev1", "2.0rc1", "1.0-beta", "1.0+build", "v1.2", "", "1.0.post1", "1!1.0", "5", "0.4b3", "1.2.3-alpha.1", "1.2.3-alpha.2", "1.2.3", "2024.01.1", "1.0.0-rc.1+b5"]
    for a in vs:
        for b in vs:
            yield "{{ '%s' is version('%s', '<') }}" % (a, b)
            if (len(a) + len(b)) % 2:
                yield "{{ '%s' is version('%s', '>=', version_type='semver') }}" % (a, b)
                yield "{{ '%s' is version('%s', '==', version_type='pep440') }}" % (a, b)
                yield "{{ '%s' is version('%s', '<', version_type='pep440') }}" % (a, b)
            else:
                yield "{{ '%s' is version('%s', '<', strict=true) }}" % (a, b)
                yield "{{ '%s' is version('%s', '<', version_type='semver') }}" % (a, b)
    for t in ["'1' is version('1', 'zz')", "1.5 is version('1.5', '==')", "5 is version(4, '>')", "'1.0' is version('1.0', '==', strict=true, version_type='loose')", "'1.0' is version('1.0', version_type='zz')", "'1.0' is version_compare('0.9', 'gt')", "nope is version('1')", "'1' is version(nope)"]:
        yield "{{ " + t + " }}"


def undefined():
    uses = ["nope", "nope.a", "nope['a']", "nope.a.b", "nope()", "nope.a()", "d.nope", "d.nope.x", "lst[9]", "users[9].name", "nope + 1", "1 + nope", "nope ~ 'a'", "'a' ~ nope", "nope == 1", "nope in [1]", "1 in nope", "nope and 1", "1 or nope", "0 or nope", "nope or 1", "not nope", "-nope", "nope if x else 1", "1 if x else nope", "1 if nope else 2", "[nope]", "{'a': nope}", "nope[0:1]", "nope | upper", "nope | length", "nope | list", "nope | join", "[1, nope] | join", "'a' | replace('a', nope)", "'a' | default(nope)", "nope | default(nope)", "undef1", "lazy", "lazy[0]", "lazy[1]", "lazyd", "lazyd.ok", "lazyd.bad", "lazyd | length", "lazy | length", "lazy | first", "lazy | last", "undef()", "undef('hint')", "lookup('env', nope)", "range(nope)", "dict(a=nope)", "nope | bool", "nope | int", "nope | string", "nope | to_json", "[nope] | to_json", "d | combine(nope)", "nope | map('upper') | list", "nope | select | list", "nope | ternary(1, 2)", "nope | type_debug", "nope is iterable", "omit", "d.omit", "none.x", "n.x", "x.y", "s.y", "t.y", "flt.y"]
    tails = ["", " | default('D')", " | default('D', true)", " | d(5)", " is defined", " is undefined", " is none", " | mandatory", " == 1", " or 'z'", " | default(omit)"]
    for use in uses:
        for tail in tails:
            yield "{{ (%s)%s }}" % (use, tail)
    for use in uses:
        yield "{%% if %s %%}a{%% else %%}b{%% endif %%}" % use
        yield "{%% set v = %s %%}{{ v | default('D') }}" % use
        yield "{%% for i in %s %%}{{ i }}{%% else %%}e{%% endfor %%}" % use
        yield "t {{ %s }}" % use


def statements():
    yield from [
        "{% for i in lst %}{{ i }},{% endfor %}", "{% for i in el %}x{% else %}none{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for u in users if u.age is defined %}{{ loop.index }}{{ u.name }}{% endfor %}",
        "{% for i in lst %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}", "{% for i in lst %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{% endfor %}", "{% for i in lst %}{{ loop.previtem | default('-') }}{{ loop.nextitem | default('-') }}{% endfor %}", "{% for i in lst %}{% if not loop.last %}{{ i }},{% endif %}{% endfor %}",
        "{% for i in [1, [2, [3]]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}{% endif %}{% endfor %}", "{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}", "{% for a, b in [(1,)] %}{{ a }}{% endfor %}", "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for i in 'abc' %}{{ i }}.{% endfor %}", "{% for i in 5 %}{% endfor %}", "{% for i in none %}{% endfor %}", "{% for i in range(3) %}{% for j in range(2) %}{{ i }}{{ j }}{{ loop.index }} {% endfor %}{% endfor %}", "{% for i in range(3) %}{% set z = i %}{% endfor %}{{ z | default('unset') }}", "{{ loop }}", "{% for i in lst %}{{ i }}{% endfor %}{{ i | default('gone') }}", "{% set i = 9 %}{% for i in lst %}{% endfor %}{{ i }}",
        "{% for i in lst %}{% break %}{% endfor %}", "{% for i in lst %}{% continue %}{% endfor %}", "{% do lst.append(1) %}", "{% if x %}a{% elif y %}b{% else %}c{% endif %}", "{% if y %}a{% elif x == 5 %}b{% else %}c{% endif %}", "{% if y %}a{% endif %}", "{% if el or ed %}a{% else %}b{% endif %}", "{% if x == 5 and s %}yes{% endif %}", "{% if not (x and y) %}1{% endif %}", "{% set a = 1 %}{{ a }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [1] %}{{ a }}", "{% set a %}block {{ x }}{% endset %}{{ a }}", "{% set a | upper %}block {{ x }}{% endset %}{{ a }}", "{% set n = namespace(c=0) %}{% for i in lst %}{% set n.c = n.c + i %}{% endfor %}{{ n.c }}", "{% set n = namespace({'a': 1}, b=2) %}{{ n.a }}{{ n.b }}", "{% set d.z = 1 %}{{ d }}", "{% set n = namespace() %}{{ n.zz }}", "{% set n = namespace(x=1) %}{{ n }}", "{% with a = 1, b = a %}{{ a }}{{ b | default('u') }}{% endwith %}{{ a | default('out') }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}", "{% raw %}{{ x }}{% endraw %}", "{% raw -%}  {{ x }}  {%- endraw %}|", "{# comment #}a", "a{#- c -#} b", "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aa{% endfilter %}", "{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}", "{% macro m(a) %}{{ caller(a) }}{% endmacro %}{% call(v) m(7) %}got {{ v }}{% endcall %}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{% endcall %}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m.name }}{{ m.arguments }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(3) }}", "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 9 %}{{ m() }}", "{% macro m() %}5{% endmacro %}{{ m() + 1 }}", "{% macro m() %}{{ 5 }}{% endmacro %}{{ m() | type_debug }}", "{% macro m() %} a {% endmacro %}{{ m() | trim }}", "{% block a %}x{{ x }}{% endblock %}{{ self.a() }}", "{% block a scoped %}1{% endblock a %}", "{{ self.nope() }}", "{% autoescape true %}{{ '<' }}{% endautoescape %}", "{% if %}{% endif %}", "{% for %}", "{% endfor %}", "{% if x %}", "{{ x", "{{ }}", "{{ x }", "x }}", "{% set %}", "{% nosuch %}", "{{ x | }}", "{{ x | nosuch }}", "{{ x is nosuch }}", "{{ (1 }}", "{{ 'a }}", "{{ a b }}", "{{ 1.. }}", "{{ x. }}", "{{ [1,, 2] }}", "{{ {1} }}", "{{ x !== 1 }}", "{{ x = 1 }}", "{{ lambda: 1 }}", "{{ x if }}", "{{ not }}", "{{ ** }}", "{% import 'nope.j2' as n %}", "{% include 'nope.j2' %}", "{% include 'nope.j2' ignore missing %}ok", "{% include ['nope.j2'] ignore missing %}ok", "{% extends 'nope.j2' %}", "{{ x }}\n", "a\n{% if x %}\nb\n{% endif %}\nc", "a\n  {% if x %}  \n b\n  {%- endif -%}  \n c", "  {%+ if x %}a{% endif %}", "{%- if x -%} a {%- endif -%}", "a {{- x -}} b", "a\n\n{{ x }}\n\n", "{% for i in lst %}\n{{ i }}\n{% endfor %}\n", "{% for i in lst -%}\n{{ i }}\n{%- endfor %}\n", "{{ '{{' }}", "{{ '{{ x }}' }}", "{{ '}}' }}", "{{ '%}' }}", "{{ {'a': {'b': 1}} }}", "{{ \"a\\nb\" }}", "{{ 'a\\tb' }}", "{{ 'a\\\\b' }}", "{{ '\\x41\\u00e9' }}", "{{ tmpl }}", "{{ chain }}", "x{{ chain }}", "{{ tmpl | int + 1 }}", "{{ lookup('env', 'NOPE_X') }}", "{{ lookup('env', 'NOPE_X', default='z') }}", "{{ query('env', 'NOPE_X', default='z') }}", "{{ q('list', 1, 2) }}", "{{ lookup('list', [1, 2]) }}", "{{ lookup('items', [1, 2], 3) }}", "{{ lookup('items', 'a', 'b') }}", "{{ lookup('items', 'a', 'b', wantlist=true) }}", "{{ lookup('nosuch') }}", "{{ lookup('nosuch', errors='ignore') }}", "{{ lookup() }}", "{{ cycler('a', 'b').next() }}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner('|') %}{% for i in lst %}{{ j() }}{{ i }}{% endfor %}", "{{ joiner() }}", "{{ now() is string }}", "{{ now(fmt='%Y') | length }}", "{{ now(utc=true).year > 2000 }}", "{{ (now() - now()).total_seconds() | int }}", "{{ omit }}", "{{ none }}", "a{{ none }}b", "{{ [none] }}", "{{ true }}", "a{{ true }}", "{{ 'True' }}", "{{ '1' }}", "{{ '[1, 2]' }}", "{{ '{\"a\": 1}' }}", "{{ lst }}{{ d }}", "{{ x }}{{ none }}", "{{ none }}{{ none }}", "{{ '' }}{{ x }}", "{{ x }}{{ '' }}", "{% if x %}{{ lst }}{% endif %}", " {{ lst }}", "{{ lst }} ", "{% set a = lst %}{{ a }}", "{{ vars is defined }}", "{{ environment is defined }}", "{{ range(3) is iterable }}", "{{ lipsum() is string }}", "{{ dict is callable }}", "{{ '%s' % x }}", "{{ x.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ d.__len__ }}", "{{ d['__class__'] }}", "{{ s.format.__globals__ }}", "{{ '{0.__class__}'.format(x) }}", "{{ d | attr('keys') }}", "{{ x | attr('__class__') }}",
    ]
    for a in ["{%", "{%-", "{%+"]:
        for b in ["%}", "-%}", "+%}"]:
            yield " p\n  " + a + " if x " + b + "\n  q\n  " + a + " endif " + b + "\n r"
            yield "p " + a + " set z = 1 " + b + " {{ z }}\n" + a + " for i in lst " + b + "\n{{ i }} \n" + a + " endfor " + b + "\n"
    for a in ["{{", "{{-", "{{+"]:
        for b in ["}}", "-}}", "+}}"]:
            yield " p \n " + a + " x " + b + " \n q"
    for a in ["{#", "{#-", "{#+"]:
        for b in ["#}", "-#}", "+#}"]:
            yield " p \n " + a + " x " + b + " \n q"


def dates():
    for t in ["'2024-02-29 12:30:45' | to_datetime", "('2024-02-29 12:30:45' | to_datetime) - ('2024-02-28 00:00:00' | to_datetime)", "(('2024-02-29 12:30:45' | to_datetime) - ('2024-02-28 00:00:00' | to_datetime)).days", "(('2024-02-29 12:30:45' | to_datetime) - ('2024-02-28 00:00:00' | to_datetime)).seconds", "(('2024-02-28 12:30:45' | to_datetime) - ('2024-02-29 00:00:00' | to_datetime)).total_seconds()", "'2024-02-29' | to_datetime('%Y-%m-%d')", "'x' | to_datetime", "'2024-02-30' | to_datetime('%Y-%m-%d')", "('2024-02-29' | to_datetime('%Y-%m-%d')).strftime('%A %d %B %Y %j %U %W %V %G %u %w')", "('2024-02-29' | to_datetime('%Y-%m-%d')).isoformat()", "('2024-02-29' | to_datetime('%Y-%m-%d')).date()", "('2024-02-29' | to_datetime('%Y-%m-%d')).date() | string", "('2024-02-29' | to_datetime('%Y-%m-%d')).time() | string", "('2024-02-29' | to_datetime('%Y-%m-%d')).weekday()", "('2024-02-29' | to_datetime('%Y-%m-%d')).isocalendar() | list", "('2024-02-29' | to_datetime('%Y-%m-%d')).replace(year=2025, day=1) | string", "('2024-02-29' | to_datetime('%Y-%m-%d')).ctime()", "('2024-02-29' | to_datetime('%Y-%m-%d')).toordinal()", "('2024-02-29' | to_datetime('%Y-%m-%d')).year", "('2024-02-29' | to_datetime('%Y-%m-%d')).timetuple() | list", "('2024-02-29 01:02' | to_datetime('%Y-%m-%d %H:%M')) < ('2024-03-01 01:02' | to_datetime('%Y-%m-%d %H:%M'))", "'2024-02-29T10:00:00+0200' | to_datetime('%Y-%m-%dT%H:%M:%S%z')", "'2024-02-29T10:00:00Z' | to_datetime('%Y-%m-%dT%H:%M:%SZ')", "'Feb 29 2024' | to_datetime('%b %d %Y')", "'%Y-%m-%d' | strftime(0)", "'%Y-%m-%d %H:%M:%S' | strftime(1700000000)", "'%Y-%m-%d %H:%M:%S' | strftime(1700000000, utc=true)", "'%s' | strftime(1700000000)", "'%Y' | strftime('abc')", "'%I %p %y %e %-d %k %l %D %T %R %r %c %x %X %h %n %t %% %C' | strftime(1700000000)", "'%Y' | strftime(1700000000.75)", "'%f' | strftime(1)", "[('2024-02-29' | to_datetime('%Y-%m-%d'))] | string", "('2024-02-29' | to_datetime('%Y-%m-%d')) | to_json", "('2024-02-29' | to_datetime('%Y-%m-%d')) | string", "('2024-02-29 10:00:00' | to_datetime) | type_debug", "('2024-02-29 10:00:00' | to_datetime) == ('2024-02-29 10:00:00' | to_datetime)", "('2024-02-29 10:00:00' | to_datetime).timestamp()", "('2024-02-29 10:00:00' | to_datetime) is string", "('2024-02-29 10:00:00' | to_datetime) + 1"]:
        yield "{{ " + t + " }}"
        yield "x {{ " + t + " }}"


FAMILIES = {f.__name__: f for f in [arithmetic, comparison, strings, formatting, slices, containers, filters_numbers, filters_text, filters_paths, filters_lists, filters_objects, filters_data, filters_regex, tests, versions, undefined, statements, dates]}
