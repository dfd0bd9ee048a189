"""A real SMTP server on loopback that keeps what it is told, and refuses as long as it is told to."""

import asyncio
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage


class MailSink:
    """Speaks enough SMTP for smtplib; `refusing` answers 451 to every message."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refusing = False
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def subjects(self) -> list[str]:
        return [str(message["Subject"]) for message in self.messages]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        say("220 sink")
        while line := await reader.readline():
            match line.split()[0].upper():
                case b"EHLO" | b"HELO":
                    say("250 sink")
                case b"DATA":
                    say("354 go on")
                    data = await reader.readuntil(b"\r\n.\r\n")
                    if self.refusing:
                        say("451 later")
                    else:
                        self.messages.append(message_from_bytes(data[:-3], policy=policy.default))
                        say("250 kept")
                case b"QUIT":
                    say("221 bye")
                    break
                case _:
                    say("250 ok")
            await writer.drain()
        writer.close()
