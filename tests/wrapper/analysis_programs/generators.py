# Generators, comprehensions, lambdas, and functions that end in odd ways.
def count(limit):
    n = 0
    while n < limit:
        received = yield n
        if received:
            n = received
        n += 1
    return "end"


def delegate(limit):
    result = yield from count(limit)
    yield result


def abandoned():
    try:
        yield 1
        yield 2
    finally:
        print("closed")


def early(items):
    return any(item > 2 for item in items), all(item for item in items), sum(
        item
        for item in items
        if item
    )


def found(items):
    for item in items:
        if item == 3: return item


def comprehensions(items):
    squares = [i * i for i in items if i]
    pairs = {
        (a, b)
        for a in items
        for b in items
        if a < b
    }
    table = {
        key: value
        for key, value in zip("abc", items)
    }
    lazy = (i for i in items)
    unused = [never() for never in ()]
    return squares, pairs, table, next(lazy), unused


pick = lambda x: x if x else None
unused = lambda: (
    1 +
    2
)
twice = [lambda: 1, lambda: 2]


def recursive(n):
    if n:
        return recursive(n - 1) + 1
    return 0


list(delegate(3))
generator = count(10)
next(generator)
generator.send(5)
generator.close()
half = abandoned()
next(half)
half.close()
early([1, 2, 3]), early([0]), early([])
found([1, 3]), found([])
comprehensions([1, 2, 3])
pick(0), pick(1)
twice[0]()
recursive(5)
try:
    print(1 / 0)
except ZeroDivisionError: print("inline")
for i in range(3): print(i)
if i: print("one line")
x = [
    1,
    pick(
        2,
    ),
    3,
]; y = 2
