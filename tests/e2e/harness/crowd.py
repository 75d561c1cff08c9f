"""Many clients at once: transfers through the proxy in one asyncio loop, each with bytes of its own."""

import asyncio
import ipaddress
import random

from . import http, socks, wait


class EchoCrowd:
    """An echo server inside the loop: `async with EchoCrowd() as target`."""

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.host, self.port = self.server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def open_through(proxy, target, protocol):
    """A connection to target=(host, port) through the proxy, as (reader, writer)."""
    for attempt in range(5):  # a burst may overrun the kernel's backlog
        try:
            reader, writer = await asyncio.open_connection(*proxy)
            break
        except (ConnectionResetError, TimeoutError):
            if attempt == 4:
                raise
    if protocol == "socks5":
        writer.write(socks.greeting())
        assert await reader.readexactly(2) == b"\x05\x00"
        writer.write(socks.request5(*target))
        reply = await reader.readexactly(4)
        await reader.readexactly(6 if reply[3] == 1 else 18)
        assert reply[1] == 0, f"reply {reply[1]}"
    elif protocol == "http":
        writer.write(http.connect(*target))
        assert await reader.readexactly(len(http.ESTABLISHED)) == http.ESTABLISHED
    else:
        writer.write(socks.request4(*target))
        reply = await reader.readexactly(8)
        assert reply[1] == 90, f"reply {reply[1]}"
    return reader, writer


async def transfer(proxy, target, protocol, data, all_open=None):
    """Sends `data` through an echo and compares what comes back; `all_open` is waited for in between."""
    reader, writer = await open_through(proxy, target, protocol)
    try:
        if all_open:
            await all_open()

        async def send():
            for at in range(0, len(data), 1 << 15):
                writer.write(data[at : at + (1 << 15)])
                await writer.drain()
            writer.write_eof()

        _, back = await asyncio.gather(send(), reader.read(-1))
        assert back == data, f"{len(back)} of {len(data)} bytes came back, or others"
    finally:
        writer.close()


def run_crowd(proxy, count, size, *, timeout, together=False):
    """`count` transfers of `size` bytes at once, the versions mixed. `together`: all stay open until all are."""

    async def main():
        arrived, everyone = 0, asyncio.Event()

        async def meet():
            nonlocal arrived
            arrived += 1
            if arrived == count:
                everyone.set()
            await everyone.wait()

        async with EchoCrowd() as target:
            assert ipaddress.ip_address(target.host).version == 4
            chance = random.Random(count)
            tasks = [
                transfer(proxy, (target.host, target.port), ("socks5", "socks4", "http")[i % 3], chance.randbytes(size),
                         meet if together else None)
                for i in range(count)
            ]
            await asyncio.wait_for(asyncio.gather(*tasks), wait.seconds(timeout))

    asyncio.run(main())
