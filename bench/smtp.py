"""How many mails a second leave over one kept connection: `python -m bench.smtp`.

A server in a process of its own takes them and throws them away.
"""

import asyncio
import socket
import sys
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from uuid import uuid4

from activities.channels.email import Letter, PostOffice
from models.delivery import Delivery, DeliveryKind
from models.document import DocumentFile
from models.item import Deal
from models.mail import EmailContent, mime_of
from models.markdown import html_of

TEXT = "Dear Ann,\n\nthank you for **your order**: [here](https://shop.example) it is.\n\n" * 10


def a_letter(number: int, kilobytes: int) -> Letter:
    recipient = f"ann{number}@x.example"
    content = EmailContent(sent_from="crm@firm.example", text=TEXT, html=html_of(TEXT))
    delivery = Delivery(
        kind=DeliveryKind.EMAIL,
        run_id=1,
        item=Deal(title="Lathe"),
        recipient=recipient,
        subject="Thank you",
        content=content.model_dump(mode="json"),
    )
    delivery.id, delivery.key, delivery.created_at = number, uuid4(), datetime.now(UTC)
    file = DocumentFile("contract.pdf", "application/pdf", bytes(1024 * kilobytes))
    return Letter("crm@firm.example", recipient, mime_of(delivery, [file] if kilobytes else []))


async def sent(port: int, letters: list[Letter], at_once: int) -> float:
    """Return how many letters a second a server has taken."""
    office = PostOffice(f"smtp://127.0.0.1:{port}", called="firm.example", seconds=30)
    waiting = iter(letters)

    async def send_on() -> None:
        for letter in waiting:
            await office.send(letter)

    await office.send(letters[0])
    begun = time.perf_counter()
    await asyncio.gather(*(send_on() for _ in range(at_once)))
    rate = len(letters) / (time.perf_counter() - begun)
    await office.close()
    return rate


async def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=1000)
    asked = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sink = ["-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Sink"]
    server = await asyncio.create_subprocess_exec(sys.executable, *sink)
    try:
        await _listening(port)
        for kilobytes in (0, 100):
            begun = time.perf_counter()
            letters = [a_letter(number, kilobytes) for number in range(asked.mails)]
            made = asked.mails / (time.perf_counter() - begun)
            size = len(letters[0].mime)
            print(f"{size} bytes: {made:.0f} messages a second are put together")
            for at_once in (1, 5):
                rate = await sent(port, letters, at_once)
                print(f"{size} bytes, {at_once} connection(s): {rate:.0f} mails a second")
    finally:
        server.terminate()
        await server.wait()


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


if __name__ == "__main__":
    asyncio.run(main())
