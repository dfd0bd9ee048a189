"""What every command is given: home, console; and the options that several commands share."""

import difflib
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import click

from chengxin.cli import homes
from chengxin.cli.terminal import Console, echo
from chengxin.contracts.loader import Loaded, load
from chengxin.contracts.models import Contract
from chengxin.home import Home
from chengxin.store.remote import scopes

HELD, FAILED, USAGE = 3, 1, 2


@dataclass(frozen=True)
class Context:
    """What every command is given. mask: for files that are no part of a home and others may read."""

    given: Home
    console: Console
    mask: int

    @cached_property
    def home(self) -> Home:
        """Return the home as it can be read: from an object store as it was when first asked for.

        Raise HomeOutdated where the home is of another format.
        """
        from chengxin.records.journal import refuse_outdated

        found = self.given.here(scopes.WITHOUT_PAYLOAD)
        refuse_outdated(found.layout)
        return found

    def batch(self, contract: Contract, batch_id: str | None) -> str | None:
        """Return a batch's id as given, None for all, or end with a usage error that names the newest ones."""
        from chengxin.connectors import landing

        known = [b.batch_id for b in landing.batches(self.home, contract.id)]
        if batch_id is None or batch_id in known:
            return batch_id
        near = difflib.get_close_matches(batch_id, known, 3, 0.5) or known[-3:]
        there = f"相近的有：{'、'.join(near)}" if near else "该数据集还没有批次"
        raise click.UsageError(f"数据集 {contract.id} 没有名为 {batch_id} 的批次；{there}")

    def loaded(self) -> Loaded:
        """Return all contracts, those that cannot be used with their problems."""
        return load(self.given.settings.contracts)

    def contracts(self) -> dict[str, Contract]:
        """Return the usable contracts, by id; problems of the others are shown on stderr."""
        loaded = self.loaded()
        for problem in loaded.problems:
            echo(f"合同有误 {problem.path}：{problem.message}", err=True)
        return loaded.contracts

    def contract(self, dataset: str) -> Contract:
        """Return one contract or end with a usage error that names the known ones."""
        known = self.contracts()
        if dataset not in known:
            raise click.UsageError(f"没有名为 {dataset} 的数据集；可用：{'、'.join(known) or '（无）'}")
        return known[dataset]


def pass_home(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the context to a command that needs a home that exists."""

    @click.pass_obj
    def checked(context: Context, /, **given: Any) -> Any:
        if not homes.is_home(context.home.settings.home):
            raise click.UsageError(homes.missing(context.given.settings))
        return command(context, **given)

    return functools.update_wrapper(checked, command)


def pass_new_home(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the context to a command that makes a home if need be, and says so."""

    @click.pass_obj
    def announced(context: Context, /, **given: Any) -> Any:
        if not homes.is_home(context.home.settings.home):
            echo(f"新建数据目录 {context.given.settings.shown(context.given.settings.home)}", err=True)
        return command(context, **given)

    return functools.update_wrapper(announced, command)


def as_json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="输出 JSON，供程序使用")(command)


def show_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))
