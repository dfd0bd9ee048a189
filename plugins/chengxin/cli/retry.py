"""`retry`: try a batch again that failed too often and was set aside."""

import click

from chengxin.cli.commands import finish
from chengxin.cli.context import Context, as_json_option, pass_home
from chengxin.cli.group import main


@main.command(name="retry")
@click.argument("dataset")
@click.argument("batch_id")
@as_json_option
@pass_home
def retry_command(context: Context, dataset: str, batch_id: str, as_json: bool) -> None:
    """重试搁置的批次：失败次数重新计起。"""
    from chengxin.cli.work import retry_batch

    contract = context.contract(dataset)
    context.batch(contract, batch_id)
    finish(context, retry_batch(context, contract, batch_id), as_json)
