# Coroutines, async iteration, tasks that are cancelled.
import asyncio


class Connection:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc):
        return exc[0] is ValueError

    def __aiter__(self):
        self.left = 3
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


async def numbers(n):
    for i in range(n):
        if i == 5:
            return
        yield i
        await asyncio.sleep(0)


async def consume(raising):
    total = 0
    async with Connection() as connection:
        async for value in connection:
            if value == 1:
                continue
            total += value
        else:
            total += 100
        if raising:
            raise ValueError
    async for value in numbers(3):
        total += value
    return total, [v async for v in numbers(2) if v]


async def cancelled():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("cancelled")
        raise
    finally:
        print("finally")


async def never():
    await asyncio.sleep(0)


async def main():
    print(await asyncio.gather(consume(False), consume(True), consume(False)))
    task = asyncio.ensure_future(cancelled())
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    async with asyncio.timeout(10):
        await asyncio.sleep(0)


asyncio.run(main())
