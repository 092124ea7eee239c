class TestModule:
    def tests(self):
        return {'a_palindrome': lambda text: text == text[::-1], 'longer_than': lambda text, count: len(text) > count}
