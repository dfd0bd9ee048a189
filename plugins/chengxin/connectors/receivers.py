"""Hand an answer (反馈) over to a department: into an outbox, its feedback table, or its callback.

The same answer may be handed over twice, when a run was killed in between: it bears the same id, a folder or a table
that has it is left as it is, and a callback is told the id in the header Idempotency-Key.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from chengxin.connectors.base import connection_variable
from chengxin.connectors.files.corrections import answer_folder
from chengxin.connectors.files.places import LocalPlace, Place, inbox, outbox_of
from chengxin.contracts.models import Contract
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.home import Home
from chengxin.store.atomic import read_json
from chengxin.store.privacy import GROUP

RECEIPT = "回执.json"
TABLE_COLUMNS = (
    "反馈编号", "序号", "数据集", "批次", "版次", "类别", "来源文件", "行号", "记录标识",
    "字段", "规则", "问题说明", "更正办法",
)  # fmt: skip
TABLE_KEYS = ("反馈编号", "序号")
ROWS_A_POST = 1_000


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, ready to go. id: what a receiver knows it by; name: of its folder, for people.

    folder: holds the files `files` (for people) and `rows`, a Parquet file with the columns of `ROW_COLUMNS`.
    """

    id: str
    name: str
    folder: Path
    files: tuple[str, ...]
    rows: str
    summary: str

    def receipt(self) -> dict[str, Any]:
        """Return the receipt as JSON values."""
        return dict(read_json(self.folder / RECEIPT))

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the reasons row by row; keys as ROW_COLUMNS."""
        with pq.ParquetFile(self.folder / self.rows) as file:
            for batch in file.iter_batches(batch_size=ROWS_A_POST):
                yield from batch.to_pylist()


ROW_COLUMNS = ("category", "source_file", "source_row", "record", "column", "rule", "problem", "remedy")


def hand_over(home: Home, contract: Contract, answer: Answer) -> str:
    """Bring an answer to where the contract states; return the place in words, without secrets.

    Raises SourceUnavailable (try again) or ContractError.
    """
    match contract.feedback.to:
        case "file":
            return _into_outbox(home, contract, answer)
        case "table":
            return _into_table(contract, answer)
        case "post":
            return _to_callback(contract, answer)
        case "none":
            return "不送达（合同 feedback.to: none）"


def outbox(home: Home) -> Path:
    """Return the folder of all answers: CHENGXIN_OUTBOX, else `outbox` beside the inbox, so no answer is delivered."""
    root = home.settings.outbox
    if root is None:
        if home.settings.outbox_group:
            raise ContractError(
                f"设了 {GROUP}，而发件箱在数据目录之内，组里的人进不去；请用 CHENGXIN_OUTBOX 把发件箱设在数据目录之外"
            )
        return inbox(home).parent / "outbox"
    if not root.is_dir():
        raise SourceUnavailable("CHENGXIN_OUTBOX 指向的发件箱目录不存在；可能尚未挂载")
    return root


def _into_outbox(home: Home, contract: Contract, answer: Answer) -> str:
    wanted, delivery = contract.feedback, contract.delivery
    options = delivery.options if delivery.connector == "file_drop" else {}
    drop = posixpath.normpath(str(options.get("folder") or ".").lstrip("/") or ".")
    far = None if wanted.local else options.get("connection")
    place: Place
    if far:
        folder = wanted.folder or (posixpath.basename(drop) if drop != "." else contract.id)
        place, shown = outbox_of(str(far), drop, folder)
        where = f"连接“{far}”的 {shown}/{answer.name}"
    else:
        folder, root = answer_folder(contract), outbox(home)
        if not (root / folder).resolve().is_relative_to(root):
            raise ContractError(f"合同 {contract.id} 的反馈目录“{folder}”在发件箱之外")
        place, where = LocalPlace(root, folder, home.settings.outbox_group), f"发件箱 {folder}/{answer.name}"
    try:
        files = sorted(answer.files, key=lambda name: name == RECEIPT)
        place.put(answer.name, [answer.folder / name for name in files])
    finally:
        place.close()
    return where


def _connection(contract: Contract) -> str:
    name = contract.feedback.connection or contract.delivery.options.get("connection")
    if not isinstance(name, str) or not name:
        raise ContractError(f"合同 {contract.id} 的 feedback 缺少 connection（环境变量 {connection_variable('名称')}）")
    return name


def _into_table(contract: Contract, answer: Answer) -> str:
    from chengxin.connectors.database.answer import AnswerTable, write_answer

    wanted = contract.feedback
    table = AnswerTable(wanted.table, TABLE_COLUMNS, TABLE_KEYS, wanted.db_schema)
    write_answer(_connection(contract), table, _table_rows(answer))
    return f"反馈表 {wanted.table}"


def _table_rows(answer: Answer) -> Iterator[tuple[str | None, ...]]:
    """Yield the receipt as row 0 and then every reason; all as text."""
    receipt = answer.receipt()
    head = (receipt["dataset"], receipt["batch_id"], str(receipt["revision"]))
    yield answer.id, "0", *head, "回执", receipt["delivery"], None, None, None, None, answer.summary, receipt["advice"]
    for number, row in enumerate(answer.lines(), 1):
        told = (None if row[c] is None else str(row[c]) for c in ROW_COLUMNS)
        yield answer.id, str(number), *head, *told


def _to_callback(contract: Contract, answer: Answer) -> str:
    from chengxin.connectors.http.session import HttpConnection, HttpSession

    try:
        options = HttpConnection(connection=_connection(contract), **contract.feedback.options)
    except (ValidationError, TypeError) as error:
        raise ContractError(f"合同 {contract.id} 的 feedback.options 不正确：{type(error).__name__}") from None
    receipt, lines = answer.receipt(), answer.lines()
    with pq.ParquetFile(answer.folder / answer.rows) as file:
        parts = max(1, -(-file.metadata.num_rows // ROWS_A_POST))
    with HttpSession(options) as session:
        for part in range(1, parts + 1):
            body = {"id": answer.id, "part": part, "parts": parts, "receipt": receipt}
            rows = list(islice(lines, ROWS_A_POST))
            key = {"Idempotency-Key": f"{answer.id}-{part}"}
            session.post_json(contract.feedback.path, {**body, "rows": rows}, headers=key)
    return f"回调 {contract.feedback.path or '/'}"
