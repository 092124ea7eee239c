class TestModule(object):
    def tests(self):
        return {'round_number': lambda value: value % 10 == 0}
