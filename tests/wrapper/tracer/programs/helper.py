"""Imported by the programs, so that a module beside the script is recorded too."""

# What stands here is strange on purpose.
# ruff: noqa
# fmt: off


def used():
    x = 1
    return x + 1


def unused():
    return used()


def failing():
    try:
        return 1 / 0
    finally:
        used()


def between(call):
    before = 1
    call()
    after = before
    return after


def in_pool():
    return used()


def in_pool_again():
    return used() + 1
