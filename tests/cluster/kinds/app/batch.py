"""Does its work and ends."""


def work(amount):
    return sum(range(amount))


print(work(10))
