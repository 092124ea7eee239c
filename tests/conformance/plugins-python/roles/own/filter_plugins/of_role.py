class FilterModule:
    def filters(self):
        return {'doubled': lambda value: value * 2}
