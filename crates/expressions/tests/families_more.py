"""Templates of community.general and ansible.utils."""

ADDRESSES = ["'192.168.1.5/24'", "'192.168.1.0/24'", "'192.168.1.5'", "'192.168.1.5/255.255.255.0'", "'192.168.1.5/32'", "'10.0.0.4/31'", "'10.0.0.1/30'", "'10.0.0.2/30'", "'10.0.0.3/30'",
             "'224.0.0.5'", "'127.0.0.1/8'", "'8.8.8.8'", "'100.64.0.1'", "'172.16.3.4/12'", "'2001:db8::5/64'", "'2001:db8::/32'", "'::1'", "'fe80::1/64'", "'::ffff:1.2.3.4'", "'2002:c0a8::1/48'", "'2001:db8::5'", "'2a00:1450::1'",
             "'fd00::1/127'", "'2001:DB8:0:0::5/64'", "'x'", "''", "5", "'5'", "0", "true", "none", "'192.168.1.300'", "'192.168.1.5/33'", "'0.0.0.0/0'", "'1.2'", "'fe80::1%eth0'", "big", "340282366920938463463374607431768211455",
             "'169.254.3.4'", "'192.168.1.255/24'", "'10.0.0.0/8'", "'::/0'", "-5", "'ff02::1'", "'host.example.com'", "'192.168.1.5/0.0.0.255'", "['192.168.1.5/24', 'x', '::1', '10.0.0.0/8', 5]", "[]", "['x']", "nope", "'10.0.0.0/24 '"]
QUERIES = ["", "6to4", "address", "ip", "address/prefix", "host/prefix", "hostnet", "router", "gateway", "gw", "host", "bool", "broadcast", "cidr", "first_usable", "last_usable", "hostmask", "int", "ip/prefix", "ip_netmask", "ipv4", "ipv6",
           "link-local", "loopback", "lo", "multicast", "net", "netmask", "network", "network_id", "network/prefix", "network_netmask", "network_wildcard", "next_usable", "peer", "prefix", "previous_usable", "private", "public", "range_usable",
           "revdns", "size", "size_usable", "subnet", "type", "unicast", "wildcard", "wrap", "4", "-1", "0", "300", "192.168.0.0/16", "2001:db8::/32", "192.168.1.5", "nosuch"]


def ipaddr():
    for value in ADDRESSES:
        for query in QUERIES:
            yield "{{ %s | ansible.utils.ipaddr('%s') }}" % (value, query)
        for tail in ["ipaddr", "ipaddr(1)", "ipv4", "ipv6", "ipv4('address')", "ipv6('prefix')", "ipaddr(version=4)", "ipaddr('address', version=6)", "ipwrap"]:
            yield "{{ %s | ansible.utils.%s }}" % (value, tail)


def networks():
    tails = ["ipsubnet", "ipsubnet(24)", "ipsubnet(26, 0)", "ipsubnet(26, -1)", "ipsubnet(26, 9)", "ipsubnet(16)", "ipsubnet(16, 0)", "ipsubnet(16, 3)", "ipsubnet('192.168.0.0/16')", "ipsubnet('2001:db8::/32')", "ipsubnet(64)", "ipsubnet(66, 1)", "ipmath(5)", "ipmath(-10)", "ipmath('z')",
             "network_in_usable('192.168.1.1')", "network_in_usable('192.168.1.0')", "network_in_usable('192.168.1.0/28')", "network_in_network('192.168.1.7')", "network_in_network('192.168.1.255')", "network_in_network('10.0.0.0/7')", "network_in_network('x')", "next_nth_usable(2)", "next_nth_usable(300)", "previous_nth_usable(2)", "nthhost(5)", "nthhost(-1)", "nthhost(300)", "nthhost", "ip4_hex", "ip4_hex('-')", "slaac('c2:31:b3:83:bf:2b')"]
    for value in [a for a in ADDRESSES if not a.startswith("[") and a not in ("none", "true", "0", "-5", "5", "'5'", "big") and not a.startswith("3402")]:
        for tail in tails:
            if "usable" in tail and "/" not in value or tail.startswith("ipmath") and "'::" in value or tail.startswith("ipsubnet(64") and "." in value:
                continue
            yield "{{ %s | ansible.utils.%s }}" % (value, tail)
    for value in ["1a:2b:3c:4d:5e:6f", "1a2b3c4d5e6f", "1a2b.3c4d.5e6f", "1A-2B-3C-4D-5E-6F", "01:02:03:04:05:06", "x", "1a:2b:3c:4d:5e", "1a2b3c:4d5e6f"]:
        for query in ["", "bare", "bool", "cisco", "eui48", "int", "linux", "pgsql", "postgresql", "psql", "unix", "win", "nosuch"]:
            yield "{{ '%s' | ansible.utils.hwaddr('%s') }}" % (value, query)
        yield "{{ '%s' | ansible.utils.macaddr }}" % value
        yield "{{ '2001:db8::/64' | ansible.utils.slaac('%s') }}" % value
    for t in ["['192.168.0.0/17', '192.168.128.0/17', '192.168.128.1'] | ansible.utils.cidr_merge", "['192.168.0.0/24', '192.168.2.0/24'] | ansible.utils.cidr_merge('span')", "['192.168.0.0/24', '192.168.1.0/24', '2001::/32'] | ansible.utils.cidr_merge", "['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24', '10.0.3.0/24', '10.0.5.0/24'] | ansible.utils.cidr_merge", "['192.168.0.0/24'] | ansible.utils.cidr_merge('zz')", "'192.168.0.0/24' | ansible.utils.cidr_merge", "['10.0.0.1', '10.0.0.200'] | ansible.utils.cidr_merge(action='span')", "[] | ansible.utils.cidr_merge",
              "['192.168.0.34', '10.3.0.3', '192.168.2.34'] | ansible.utils.reduce_on_network('192.168.0.0/24')", "['192.168.0.34', 'x'] | ansible.utils.reduce_on_network('192.168.0.0/24')", "'10.0.0.0/30' | ansible.utils.usable_range", "'10.0.0.1' | ansible.utils.usable_range", "'2001::/126' | ansible.utils.usable_range", "'x' | ansible.utils.usable_range", "'1234:4321:abcd:dcba::17' | ansible.utils.ipv6form('expand')", "'1234:4321:abcd:dcba:0:0:0:17' | ansible.utils.ipv6form('compress')", "'1234:4321:abcd:dcba::17' | ansible.utils.ipv6form('x509')"]:
        yield "{{ " + t + " }}"


def address_tests():
    values = ["1.2.3.4", "1.2.3.4/24", "1.2.3.0/24", "::1", "2001:db8::/32", "2001:db8::5/64", "0.0.0.255", "255.255.255.0", "0.255.0.255", "0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4", "2002::1", "2001::1", "127.0.0.1", "224.0.0.1", "ff02::1", "10.1.1.1", "10.0.0.0/8", "8.8.8.8", "253.0.0.1", "192.168.1.1", "fe80::1", "fd00::1", "::", "x", "", "02:16:3e:e4:16:f3", "0216.3ee4.16f3", "02163ee416f3", "02-16-3e-e4-16-f3", "2:16:3e:e4:16:f3", "100.64.0.1", "192.0.2.7", "4000::1"]
    tests = ["ip", "ip_address", "ipv4", "ipv4_address", "ipv4_hostmask", "ipv4_netmask", "ipv6", "ipv6_address", "ipv6_ipv4_mapped", "ipv6_sixtofour", "ipv6_teredo", "loopback", "mac", "multicast", "private", "public", "reserved", "unspecified", "subnet_of('10.0.0.0/8')", "supernet_of('10.1.1.0/24')", "in_network('10.0.0.0/8')", "in_any_network(['10.0.0.0/8', '1.2.0.0/16'])", "in_one_network(['10.0.0.0/8', '10.1.0.0/16'])"]
    for value in values:
        for test in tests:
            yield "{{ '%s' is ansible.utils.%s }}" % (value, test)


def general():
    for name in ["counter", "dict", "dict_kv('k')", "dict_kv(1)", "groupby_as_dict('name')", "groupby_as_dict('n')", "accumulate", "crc32", "version_sort", "version_sort(reverse=true)", "lists_union([2, 3], [9])", "lists_union([[1, 2]], flatten=true)", "lists_intersect([2, 3], [2])", "lists_difference([2, 3])", "lists_symmetric_difference([2, 3, 9])", "to_ini", "unicode_normalize"]:
        for value in ["'abca'", "['a', 'b', 'a']", "[1, 2, 2]", "lst", "[['a', 1], ['b', 2]]", "[[1, 2], [2, 3]]", "[[1]]", "d", "users", "people", "5", "none", "'héllo'", "['2.1', '2.10', '2.9', '2.9a']", "['1.0-2', '1.0-10', '1.0']", "el", "{'s': {'a': 1, 'b': 'x'}, 't': {}}", "nope"]:
            yield "{{ %s | community.general.%s }}" % (value, name)
    for tail in ["", "(fieldnames=['x', 'y'])", "(dialect='unix')", "(dialect='zz')", "(delimiter=';')", "(skipinitialspace=true)", "(strict=true)", "(dialect='excel-tab')"]:
        for value in ["csv", "multi", "kv", "empty"]:
            yield "{{ %s | community.general.from_csv%s }}" % (value, tail)
    one, two = "[{'n': 1, 'a': [1], 'x': {'p': 1}}, {'n': 2}]", "[{'n': 1, 'a': [2], 'x': {'q': 2}}, {'n': 3}]"
    for tail in ["'n'", "'n', recursive=true", "'n', list_merge='append'", "'n', recursive=true, list_merge='append'", "'n', recursive=true, list_merge='prepend_rp'", "'zz'", "index='n'", "'n', list_merge='bad'"]:
        yield "{{ %s | community.general.lists_mergeby(%s, %s) }}" % (one, two, tail)
        yield "{{ [%s, %s] | community.general.lists_mergeby(%s) }}" % (one, two, tail)
    keys = "[{'k0': 1, 'k1': 2, 'x': 3}, {'x': 4}]"
    for target in ["['k0', 'x']", "'k0'", "'k'", "['0']", "'^.[01]'", "['^.[01]']", "['a', 'b']", "5", "[]"]:
        for how in ["equal", "starts_with", "ends_with", "regex", "bad"]:
            for f in ["keep_keys", "remove_keys"]:
                yield "{{ %s | community.general.%s(target=%s, matching_parameter='%s') }}" % (keys, f, target, how)
    for target in ["[{'before': 'k0', 'after': 'a0'}]", "[{'before': 'k', 'after': 'a'}]", "[{'before': 'x', 'after': 'k0'}]", "[{'before': 'x'}]", "'x'"]:
        for how in ["equal", "starts_with", "regex"]:
            yield "{{ %s | community.general.replace_keys(target=%s, matching_parameter='%s') }}" % (keys, target, how)
    for value in ["1h 2m 3s 4ms", "90m", "36h", "60d", "1y", "1y 1mo", "30 min", "30min -5s", "1.5h", "1 fortnight", "", "2hours", "1week", "3msecs", "-1d", "x", "1minute 1second", "7", "s"]:
        for f in ["to_milliseconds", "to_seconds", "to_minutes", "to_hours", "to_days", "to_weeks", "to_months", "to_years", "to_seconds(foo=1)", "to_time_unit('hours')", "to_time_unit('zz')", "to_time_unit"]:
            yield "{{ '%s' | community.general.%s }}" % (value, f)
    for form in ["NFC", "NFD", "NFKC", "NFKD", "zz"]:
        for value in ["ü", "ﬁ", "Å", "a", "①"]:
            yield "{{ '%s' | community.general.unicode_normalize('%s') }}" % (value, form)
            yield "{{ '%s' | community.general.unicode_normalize(form='%s') | length }}" % (value, form)
    for value in ["52:54:00", "52:54", "5254", "00:00:00:00:00:00", "", "zz", "52:54:00:1", "00-", "52:54:00:12:34"]:
        for seed in ["'x'", "'host1'", "5"]:
            yield "{{ '%s' | community.general.random_mac(seed=%s) }}" % (value, seed)


def utils():
    data = ["{'a': {'b': [1, {'c d': 2}], 'e': {}, 'f': []}}", "nested", "users", "lst", "5", "d", "{'a.b': {'e/f': 2, '1': 3, '_x': 4}}", "deep", "{1: 2}", "[]", "nope"]
    for value in data:
        for tail in ["to_paths", "to_paths(prepend='r')", "to_paths(wantlist=true)", "to_paths(prepend=5)", "get_path('a')", "get_path('a.b')", "get_path('a.b[0]')", "get_path(\"a['b']\")", "get_path('k.z[1].q')", "get_path('[0]')", "get_path('a.nope') | default('D')", "get_path('a', wantlist=true)", "index_of('eq', 1)", "index_of('==', 2)", "index_of('>', 1)", "index_of('>', 2, wantlist=true)", "index_of('odd')", "index_of('eq', 'bob', 'name')", "index_of('eq', 3, 'age')", "index_of('eq', 3, 'age', fail_on_missing=true)", "index_of('eq', 3, key='age', wantlist=true)", "index_of('nosuch', 3)"]:
            yield "{{ %s | ansible.utils.%s }}" % (value, tail)
    tree = ["{'a': {'b': 1, 'c': 2}, 'd': [{'b': 3}]}", "[{'a': {'b': 1, 'c': 2}, 'd': [{'b': 3}]}, {'z': 1}]", "{'abc': 1, 'abd': 2, 'x': {'abz': 1}}", "5", "[]", "{'a': [1, {'b': 2}, 'x'], 'b': []}"]
    for value in tree:
        for target in ["['b']", "['b', 'z']", "['ab']", "['^ab[cd]']", "'b'", "['zz']"]:
            for how in ["equality", "starts_with", "ends_with", "regex"]:
                for f in ["keep_keys", "remove_keys"]:
                    yield "{{ %s | ansible.utils.%s(target=%s, matching_parameter='%s') }}" % (value, f, target, how)
        for how in ["equality", "starts_with", "regex"]:
            yield "{{ %s | ansible.utils.replace_keys(target=[{'before': 'b', 'after': 'B'}], matching_parameter='%s') }}" % (value, how)
            yield "{{ %s | ansible.utils.replace_keys(target=[{'before': 'ab', 'after': 'Z'}, {'before': 'z', 'after': 'y'}], matching_parameter='%s') }}" % (value, how)
    for a in ["['a', 'b', 'c']", "['all', 'x']", "[1, 2]", "'ab'"]:
        for b in ["['a', '!b']", "['all', '!b']", "['all']", "['zz']", "['!a']", "[2]"]:
            yield "{{ %s | ansible.utils.param_list_compare(%s) }}" % (a, b)


def jmespath():
    queries = ["name", "[0]", "[-1]", "[9]", "[*].name", "[].name", "[?age > `3`].name", "[?age >= `3`]", "[?name == 'bob'].groups[]", "[?name=='bob'].groups | [0]", "[?age].name", "[?!age].name", "[?contains(groups, 'a')].name", "[?starts_with(name, 'b')]", "[*].groups[0]", "[*].groups[]", "[*].[name, age]", "[*].{n: name, a: age}", "length(@)", "[*].length(groups)", "sort_by(@, &name)[*].name", "max_by(@, &age).name", "min_by(@, &n).name", "sum([*].n)", "avg([*].n)", "max([*].n)", "min([*].name)", "[*].name | sort(@)", "reverse([*].name)", "join(',', [*].name)", "map(&name, @)", "not_null([9], [0].name)", "[0].keys(@)", "[0].values(@)", "type(@)", "[*].type(n)", "to_string(@)", "to_array(@)", "to_number('5')", "to_number('1.5')", "to_number('x')", "merge({a: `1`}, {b: `2`})", "abs(`-5`)", "ceil(`1.2`)", "floor(`1.8`)", "[1:]", "[::2]", "[::-1].name", "[:1]", "[0:2].name", "@", "*", "*.a", "k.z[1].q", "k.*", "k.z[*].q", "a", "\"a\"", "a.b", "a || b", "nope || `5`", "a && b", "!a", "(a || b)", "[?on]", "[?on && n == `2`].name", "[?on || n > `5`].name", "[?n != `2`].name", "[?name == `bob`]", "`[1, 2]`", "'raw'", "`\"x\"`", "[?name != null]", "[?age == null].name", "{x: name}", "[name, n]", "", "[", "foo(", "nosuch(@)", "length()", "length(`5`)", "[*", "a.", ".a", "sort_by(@, name)", "&a", "[?a", "@.name", "[*].name[0]", "[].groups[].[@]", "[][]", "groups[]", "[?n > 'a']", "[*].n | [0]", "ends_with('abc', 'c')", "contains('abc', 'b')", "contains(@, 'a')", "sort(@)", "keys(@)", "values(@)", "sum(@)", "join('-', @)", "to_string(`{\"a\": 1.5}`)", "[?length(groups) > `1`].name", "group", "[*].*", "*.*", "[?@ > `1`]", "[-2:]", "[5:1:-1]", "[::0]"]
    for query in queries:
        for data in ["users", "people", "lst", "d", "nested", "strs", "none", "'text'", "5"]:
            yield "{{ %s | community.general.json_query(%s) }}" % (data, "'" + query.replace("'", "\\'") + "'" if '"' in query else '"' + query + '"')


FAMILIES = {f.__name__: f for f in [ipaddr, networks, address_tests, general, utils, jmespath]}
