"""Runs most of what the language has, the same way every time, so that two recordings of it can be compared."""

# What stands here is strange on purpose.
# ruff: noqa
# fmt: off

import asyncio
import contextlib
import threading
from dataclasses import dataclass

import helper


def twice(function):
    def inner(*args):
        function(*args)
        return function(*args)

    return inner


@twice
def branches(n):
    if n > 3:
        result = "big"
    elif n == 3:
        result = "three"
    else:
        result = "small"
    return result if n else None


def loops():
    for i in range(3):
        if i == 1:
            continue
        for _ in ():
            pass
        else:
            i += 1
    while True:
        i += 1
        if i > 5:
            break
    return [x for x in range(i) if x % 2], {y: y for y in (1, 2)}, {z for z in ()}


def countdown(n):
    try:
        while n:
            n -= 1
            received = yield n
            if received:
                yield received
    finally:
        n = None


def delegating():
    result = yield from countdown(2)
    return result


def handled(kind):
    try:
        if kind == "raise":
            raise ValueError(kind)
        if kind == "key":
            {}[kind]
    except ValueError as error:
        return str(error)
    except (KeyError, IndexError):
        pass
    else:
        return "nothing"
    finally:
        kind = None
    return "passed"


@contextlib.contextmanager
def managed(swallow):
    try:
        yield swallow
    except RuntimeError:
        if not swallow:
            raise


def contexts():
    with managed(True) as one, managed(False):
        one = not one
    with managed(True):
        raise RuntimeError
    with contextlib.suppress(RuntimeError):
        with managed(False):
            raise RuntimeError
    return one


def matching(value):
    match value:
        case {"kind": "point", "x": x}:
            return x
        case [first, *_] if first:
            return first
        case str() | bytes():
            return len(value)
        case _:
            return None


async def ticks(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)


class Door:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc):
        return exc[0] is KeyError


async def concurrent():
    async with Door():
        total = [i async for i in ticks(3)]
    async with Door():
        raise KeyError
    async for i in ticks(2):
        total.append(i)
    return await asyncio.gather(one_step(1), one_step(2))


async def one_step(n):
    await asyncio.sleep(0)
    return n


@dataclass
class Point:
    x: int = 1
    y: int = (
        2
        + 3
    )

    @property
    def length(self):
        return (
            self.x
            + self.y
        )

    def never(self):
        return None


def in_thread(results, n):
    local = [lambda: n, lambda: -n]
    results.append(local[n % 2]())


def nested(n):
    def deeper():
        nonlocal n
        n += 1
        return n

    return deeper() and deeper()


def main():
    for n in (0, 3, 4):
        branches(n)
    loops()
    generator = countdown(3)
    next(generator)
    generator.send("x")
    generator.close()
    list(delegating())
    for kind in ("raise", "key", "other"):
        handled(kind)
    contexts()
    for value in ({"kind": "point", "x": 1}, [1, 2], "text", 5):
        matching(value)
    asyncio.run(concurrent())
    Point().length
    results = []
    threads = [threading.Thread(target=in_thread, args=(results, n)) for n in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    nested(1)
    exec(compile("x = 1\nif x:\n    y = 2", "<made>", "exec"), {})
    assert helper.used() == 2
    try:
        helper.failing()
    except ZeroDivisionError as error:
        del error


if __name__ == "__main__":
    main()
else:
    raise ImportError("a program")
