from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, step=1, **kwargs):
        return [term + step for term in terms] + [variables['of_play'] + step]
