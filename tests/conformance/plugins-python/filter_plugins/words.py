from ansible.errors import AnsibleFilterError


class FilterModule(object):
    def filters(self):
        return {'joined_by': self.joined_by, 'never': self.never}

    def joined_by(self, value, other, times=1):
        return ('-%s-' % other).join([str(value)] * times)

    def never(self, value):
        raise AnsibleFilterError('never works')
