from ansible.errors import AnsibleFilterError


def swapped(value, between=', ', **options):
    parts = value.split(between)
    if len(parts) != 2:
        raise AnsibleFilterError('two parts are needed, not %d' % len(parts))
    parts.reverse()
    return (between.join(parts)).upper() if options.get('loud') else between.join(parts)


def kinds(values):
    return [type(value).__name__.lstrip('_') in ('int', 'float', 'bool', 'NoneType') for value in values]


class FilterModule:
    def filters(self):
        return {'swapped': swapped, 'kinds': kinds, 'broken': lambda value: value.nothing}
