# Branches of every kind, some taken one way only.
import contextlib
import sys


def classify(n):
    if n < 0:
        return "negative"
    elif n == 0:
        return "zero"
    else:
        kind = "even" if n % 2 == 0 else "odd"
    if n > 100: return "large"
    if (
        n > 10
        and n < 50
        or n == 77
    ):
        kind += "-middle"
    assert n >= 0, "never"
    return kind


def loops(limit):
    total = 0
    for i in range(limit):
        if i == 3:
            continue
        if i == 7:
            break
        total += i
    else:
        total = -1
    while total > 0:
        total -= 5
        if total == 100:
            break
    else:
        total -= 1
    while True:
        total += 1
        if total > 3:
            break
    for _ in []:
        total = "never"
    return total


def guarded(value):
    try:
        result = 10 / value
    except ZeroDivisionError:
        result = None
    except (TypeError, ValueError) as error:
        result = str(error)
        raise
    else:
        result += 1
    finally:
        value = None
    return result


def nested_finally(flag):
    for i in range(3):
        try:
            try:
                if flag:
                    continue
                if i == 1:
                    return i
            finally:
                flag = not flag
        finally:
            i += 1
    return None


@contextlib.contextmanager
def managed(suppress=False):
    try:
        yield 5
    except KeyError:
        if not suppress:
            raise


def using(how):
    total = 0
    with managed() as value, managed(
        suppress=True
    ) as other:
        if how == "return":
            return value + other
        if how == "raise":
            raise KeyError(how)
        total = value
    with managed(True):
        raise KeyError
    for _ in range(2):
        with managed():
            if how == "continue":
                continue
            if how == "break":
                break
        total += 1
    return total


def never_called(a, b=1):
    if a:
        return b
    with open(a) as f:
        for line in f:
            yield line


for number in (-1, 0, 1, 2, 20, 200):
    classify(number)
loops(0), loops(10)
guarded(1), guarded(0)
try:
    guarded("x")
except TypeError:
    pass
nested_finally(True), nested_finally(False)
for how in ("return", "raise", "continue", "break", ""):
    try:
        using(how)
    except KeyError:
        print("not suppressed")
if sys.version_info < (3,):
    print("old")
if 0:
    print("never")
if __name__ == "__main__":
    print("done")
