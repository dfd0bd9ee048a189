"""`serve`: published snapshots over HTTP, on a port that is free."""

import errno
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import click
import uvicorn

from chengxin.cli import homes
from chengxin.cli.terminal import echo
from chengxin.records.journal import refuse_outdated
from chengxin.sharing.http.access import tokens
from chengxin.sharing.http.app import create_app
from chengxin.store.remote import scopes

if TYPE_CHECKING:
    from chengxin.cli.context import Context

_PORT, _TRIED = 8090, 20


def serve(context: "Context", host: str, port: int | None, behind: str) -> None:
    """Serve until Ctrl-C. port: this one or none; None = the first free one from 8090 on."""
    if context.given.settings.origin is None and not context.given.settings.home.is_dir():
        raise click.UsageError(homes.missing(context.given.settings))  # an empty folder is a home that is still to come
    refuse_outdated(context.given.layout)  # its open tier may identify persons
    listening = _listen(host, [port] if port else range(_PORT, _PORT + _TRIED))
    number = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    with context.given.followed(scopes.PUBLISHED) as home:
        # No access log: a proxy in front writes one. Not many connections at a time: the files are large.
        config = uvicorn.Config(
            create_app(
                home.settings.home,
                tokens(home.settings.serve_tokens.read()),
                home.settings.match_log,
                accesses=home.accesses,
                clock=home.clock,
            ),
            root_path=behind,
            access_log=False,
            limit_concurrency=64,
            log_level="warning",
        )
        echo(f"已发布的快照：http://{shown}:{number}{behind} ，按 Ctrl-C 结束")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, ports: "list[int] | range") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in ports:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
            listening.listen()  # two may bind a port as long as none listens
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise click.UsageError(
                f"不能在 {host}:{number} 监听（{error.strerror}）；请核对 --host 和 --port"
            ) from error
        return listening
    what = f"端口 {ports[0]}" if len(ports) == 1 else f"端口 {ports[0]} 至 {ports[-1]}"
    raise click.UsageError(f"{what} 已被占用；请用 --port 换一个")
