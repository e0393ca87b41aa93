# Pattern matching, walrus, star expressions, exception groups.
class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y


def describe(value):
    match value:
        case []:
            return "empty"
        case [one]:
            return one
        case [first, *rest] if first:
            return rest
        case {"key": found, **others}:
            return found, others
        case Point(x=0, y=y) | Point(x=y, y=0):
            return y
        case str() as text:
            pass
        case (
            1
            | 2
        ):
            return "small"
        case _:
            return "else"
    return text


def unmatched(value):
    match value:
        case 1:
            return 1
        case 2:
            return 2


def irrefutable(value):
    match value:
        case 1:
            pass
        case _:  # pragma: no cover
            raise ValueError


for value in ([], [1], [1, 2], [0, 1], {"key": 1}, Point(0, 5), Point(5, 0), Point(1, 1), "x", 2):
    describe(value)
unmatched(1), unmatched(3)
irrefutable(1)
if (n := len("abc")) > 2:
    print(n)
while (n := n - 1):
    print(n)
try:
    raise ExceptionGroup("g", [ValueError(1), TypeError(2)])
except* ValueError as group:
    print(group)
except* TypeError:
    print("type")
except* KeyError:
    print("never")
