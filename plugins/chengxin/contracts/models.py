"""The contract: everything Chengxin knows of one source data set. Frozen; unknown keys are refused.

One YAML file in dags/contracts/<domain>/<dataset>.yaml is one contract. The JSON Schema and docs/reference/contract.md
are generated from these models.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    WithJsonSchema,
    field_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Unit = Literal["元", "万元", "亿元"]
# What a draft says where only a person can decide (contracts draft); no contract runs with it.
UNDECIDED = "待定"
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """Base of every block of a contract."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Department(Part):
    """Who answers for the data: register code and name. One code has one name over all contracts."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{2,32}$")]
    name: Text


class Basis(Part):
    """The legal side: basis, share attribute (政务数据共享条例) and condition.

    share: 无条件 unconditional, 有条件 conditional (then `condition` is mandatory), 不予 sealed: never in a snapshot.
    """

    legal: Text
    share: Literal["无条件", "有条件", "不予"]
    condition: str | None = None

    @model_validator(mode="after")
    def _condition_is_stated(self) -> Self:
        if self.share == "有条件" and not self.condition:
            raise ValueError("share: 有条件 须写明共享条件 condition")
        return self


class Route(Part):
    """One of several ways on which the same records reach us, e.g. from the prefecture and from the province.

    group: records of all contracts of a group are the same where subject and key are. precedence: of the routes that
    hold a record now, the one with the lowest number is shown; the others stay on record as its sources.
    """

    group: Identifier
    precedence: Annotated[int, Field(ge=1, le=99)]


class DeliverySpec(Part):
    """How deliveries arrive.

    connector: file_drop (options: folder, pattern), http_api (options: connection, path, records, page_size ...) or
        database (options: connection, table, key, watermark). Connections are named here and given by the environment
        as CHENGXIN_CONN_<NAME>; no credential stands in a contract.
    mode: full = a record missing from the next delivery is withdrawn; incremental = missing means nothing.
    cadence: how often the department delivers; late_after: working days after which a delivery is overdue.
    route: set where the same records arrive by several contracts too. Declare it before the first delivery.
    versions_by: what names a record within its data set. key = its subject and the kind's key fields.
        source_record_id = the source's own number, where the source never gives it anew nor to another record: then a
        correction of a key field, or of the subject, replaces the record. Declare it before the first delivery.
    """

    connector: Literal["file_drop", "http_api", "database"] = "file_drop"
    options: dict[str, Any] = Field(default_factory=dict)
    mode: Literal["full", "incremental"] = "incremental"
    cadence: Literal["hourly", "daily", "weekly", "monthly", "quarterly", "yearly", "irregular"] = "daily"
    late_after: Annotated[int, Field(ge=0)] = 7
    route: Route | None = None
    versions_by: Literal["key", "source_record_id"] = "key"


class FixedField(Part):
    """One field of a fixed-width line: 1-based start and length, both in bytes of the declared encoding.

    decimals: how many last digits stand behind a point that is not written (000012345 with 2 is 123.45).
    """

    source: Text
    start: Annotated[int, Field(ge=1)]
    length: Annotated[int, Field(ge=1)]
    decimals: Annotated[int, Field(ge=0, le=8)] = 0


class FileSpec(Part):
    r"""How the bytes are laid out.

    encoding: utf-8 (a BOM is accepted), gb18030, gbk, gb2312 (both read as gb18030), utf-16, big5, or auto (BOM, then
        UTF-8, then GB18030). Only text formats use it; lines that do not decode are bad rows, and a file of which most
        does not is held.
    delimiter: of csv and tsv, one to four characters; " " is a run of blanks, "  " (two) a run of at least two.
    quote: "" = none. escape: "\" where quotes within quotes are written \" instead of doubled.
    header: the line (or sheet row) that holds the column names, 1-based; 0 = none, then `columns` stand in file order,
        unless all names in `columns` are places ("1", "4"): then the other places stand in `ignored`.
    header_rows: over how many lines the names go; group and name are joined by "_" (处罚信息_金额).
    records: where the records lie: dotted path in JSON ("data.rows"; empty = top level), element path in XML
        ("ROWDATA/ROW"). wrapped: the XML rows stand inside an element of an outer message, as cdata or escaped (&lt;).
    envelope: values of an XML message that stand before its rows and belong to each (paths, "Header/sn"); they become
        columns of that name.
    sheet: name or 1-based number of the sheet, a list of them, or "*" for all; None = the first. Sheets that are read
        together have the same header; rows of the n-th are numbered from n * 10,000,000 on (of the first as they are).
    member: which files inside a zip or tar.gz are read, a glob ("*.csv"); None = all, each must look like the format.
    """

    format: Literal["csv", "tsv", "json", "jsonl", "xlsx", "xls", "xml", "fixed"] = "csv"
    encoding: Literal["utf-8", "gb18030", "gbk", "gb2312", "utf-16", "big5", "auto"] = "utf-8"
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=4)] | None = None
    quote: Annotated[str, StringConstraints(max_length=1)] = '"'
    escape: Literal["", "\\"] = ""
    header: Annotated[int, Field(ge=0)] = 1
    header_rows: Annotated[int, Field(ge=1, le=3)] = 1
    records: str = ""
    wrapped: Literal["cdata", "escaped"] | None = None
    envelope: tuple[Text, ...] = ()
    sheet: str | int | tuple[str | int, ...] | None = None
    member: Text | None = None
    fields: tuple[FixedField, ...] = ()

    #: Whether every quote surely stands right; no contract can say so.
    trusted: ClassVar[bool] = False

    @model_validator(mode="after")
    def _fixed_has_fields(self) -> Self:
        if (self.format == "fixed") != bool(self.fields):
            raise ValueError("format: fixed 须且只有它可以写明 fields")
        return self


_NAME = {"type": "string", "pattern": r"^[a-z][a-z0-9_]{1,62}$"}
_ONE_OR_MORE = WithJsonSchema({"anyOf": [_NAME, {"type": "array", "items": _NAME}], "title": "Element"})


class Column(Part):
    """One source column and the data element it carries.

    element: or a list of identifiers ([uscc, reg_no]) where each cell holds one of them: which one, its length and
        check digit decide. A cell that is none of them is judged as that of its length, else as the first.
    source: its header as sent; aliases: other headers seen for it. Headers are compared after NFKC, without blanks,
        brackets, colons and underscores, so 处罚金额（万元） and 处罚金额(万元)： are one.
    required: an absent or unusable value sends the row to 疑问数据; default as the record kind states.
    unit: for money without a unit in the value: 元 or 万元; 待定 in a draft that found none.
    optional: the column itself may be missing from a delivery.
    date_form: what bare digits in a date mean, where they could mean two things: epoch_ms, epoch_s, excel (five digits
        count days), yyyymm (200812 is a month) or yymmdd (200812 is a day; years from 50 on are of the last century).
    """

    source: Text
    element: Annotated[Identifier, _ONE_OR_MORE]
    #: The whole list where `element` was one: the contract then holds a column for each of it, all of the same source.
    one_of: SkipJsonSchema[tuple[Identifier, ...]] = ()
    aliases: tuple[Text, ...] = ()
    required: bool | None = None
    optional: bool = False
    unit: Unit | Literal["待定"] | None = None
    date_form: Literal["epoch_ms", "epoch_s", "excel", "yyyymm", "yymmdd"] | None = None


class Threshold(Part):
    """Two bounds for a share of rows: above `warn` the verdict is a warning, above `hold` the batch is held."""

    warn: Share
    hold: Share


class Quality(Part):
    """What is expected of a delivery beyond its columns.

    min_rows: fewer rows state nothing of shares: of refused rows, of filled values, of odd-looking columns. Rows that
        answer refusals of earlier batches are not counted; a delivery without one usable row is held all the same.
    quarantined: share of rows in 疑问数据. fill: least share of filled values per element (below = hold).
    shrink: share of rows by which a full delivery may be shorter than the newest admitted one before it.
    rows: least and most rows of a delivery. freshness_days: the newest event may be at most this old.
    volume: how many times more or fewer rows than usual are no warning yet: a month at once, or a day without much.
    filled: from this share on a column counts as filled: required ones must be, others that were must not be empty.
    fill_drop: by this share a column may be less filled than usual without a warning.
    known: least share of subjects that the register knows: below it the column of codes is more likely wrong than they.
    unique: least share of rows with a key of their own; of the others the last of each key counts.
    odd_units: above this share of amounts with another unit the delivery is held: one in a hundred is a slip of a hand.
    """

    min_rows: Annotated[int, Field(ge=1)] = 50
    quarantined: Threshold = Threshold(warn=0.05, hold=0.5)
    shrink: Threshold = Threshold(warn=0.1, hold=0.5)
    fill: dict[Identifier, Share] = Field(default_factory=dict)
    rows: tuple[int, int] | None = None
    freshness_days: int | None = None
    volume: Annotated[float, Field(gt=1)] = 10
    filled: Share = 0.5
    fill_drop: Share = 0.5
    known: Share = 0.5
    unique: Share = 0.95
    odd_units: Share = 0.01


class Expected(Part):
    """What must come out of an example row: the state before linking, some values, some rules."""

    state: Literal["passed", "quarantined"]
    values: dict[str, Any] = Field(default_factory=dict)
    rules: tuple[str, ...] = ()


class Example(Part):
    """An invented raw row (source header -> text) and what must come out."""

    note: Text
    row: dict[str, str | None]
    expect: Expected


class Feedback(Part):
    """Where the answer to each batch goes: receipt, refused rows and rows that wait (反馈).

    to: file = into the outbox, which lies beside the inbox (CHENGXIN_OUTBOX), or, for a drop folder on an SFTP server
        or in an object store, into `outbox` beside that folder; table = a feedback table in the department's staging
        database; post = its HTTP callback; none = it is made and kept, and sent by nobody.
    folder: below the outbox; default that of the drop, else the data set's id.
    local: answers to a drop folder on a server stay in our own outbox.
    connection: named as in `delivery`; default that of the delivery. table, db_schema: of the feedback table.
    path: of the callback. options: further options of the HTTP connection (auth, headers_env, ...).
    contact: whom the department asks, as the receipt says it; default CHENGXIN_CONTACT.
    wait_days: for so many days after its arrival a row may wait for its subject before the department is asked to look.
    """

    to: Literal["file", "table", "post", "none"] = "file"
    folder: str | None = None
    local: bool = False
    connection: str | None = None
    table: Text = "chengxin_feedback"
    db_schema: str | None = None
    path: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    contact: Text | None = None
    wait_days: Annotated[int, Field(ge=0)] = 30


class LinkingSpec(Part):
    """How a row without a usable code finds its subject by name: only enterprises and other organisations, no persons.

    by_name: alike = by an equal name, also by one written otherwise where the model is sure (docs/linking-by-name.md);
        equal = by an equal name only; confirmed = by an equal name only where the row's region, or its legal
        representative, confirms it. Records of kinds that register subjects are linked as with `confirmed`.
    """

    by_name: Literal["alike", "equal", "confirmed"] = "alike"


class Contract(Part):
    """One source data set."""

    format: Literal[1]
    id: Identifier
    title: Text
    department: Department
    region: Annotated[str, StringConstraints(pattern=r"^\d{6}$")] = "430000"
    domain: Identifier
    kind: Identifier
    basis: Basis
    delivery: DeliverySpec = DeliverySpec()
    file: FileSpec = FileSpec()
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    constants: dict[Identifier, str] = Field(default_factory=dict)
    codes: dict[Identifier, dict[str, str]] = Field(default_factory=dict)
    ignored: dict[Text, Text] = Field(default_factory=dict)
    quality: Quality = Quality()
    linking: LinkingSpec = LinkingSpec()
    feedback: Feedback = Feedback()
    examples: tuple[Example, ...] = ()

    @property
    def in_order(self) -> bool:
        """Whether columns stand in file order: there is no header, and they are not named by their places."""
        headless = self.file.header == 0 and self.file.format in {"csv", "tsv", "xlsx", "xls"}
        return headless and not all(column.source.isdecimal() for column in self.columns)

    @model_validator(mode="before")
    @classmethod
    def _a_column_for_each_of_several(cls, body: Any) -> Any:
        """Write a column of several elements as several, the others at the end, so that places stay what they were."""
        columns = body.get("columns") if isinstance(body, dict) else None
        if not isinstance(columns, list | tuple):
            return body
        first, others = [], []
        for column in columns:
            named = column.get("element") if isinstance(column, dict) else None
            if isinstance(named, list | tuple) and named:
                each = [{**column, "element": name, "one_of": named if len(named) > 1 else ()} for name in named]
                first.append(each[0])
                others += each[1:]
            else:
                first.append(column)
        return {**body, "columns": [*first, *others]}

    @field_serializer("columns", mode="wrap")
    def _as_written(self, columns: tuple[Column, ...], dumped: SerializerFunctionWrapHandler) -> list[dict[str, Any]]:
        """Write a column of several elements as one again."""
        found = []
        for column, body in zip(columns, dumped(columns), strict=True):
            named = {"element": list(column.one_of)} if column.one_of else {}
            if not column.one_of or column.element == column.one_of[0]:
                found.append({key: value for key, value in (body | named).items() if key != "one_of"})
        return found

    @model_validator(mode="after")
    def _one_column_one_element(self) -> Self:
        elements = [c.element for c in self.columns] + list(self.constants)
        twice = sorted({e for e in elements if elements.count(e) > 1})
        if twice:
            raise ValueError(f"数据元对应了不止一次：{'、'.join(twice)}")
        for column in self.columns:
            if tuple(c.element for c in self.columns if c.source == column.source and c.one_of) != column.one_of:
                raise ValueError(f"“{column.source}”的几个数据元请写成一处 element: [...]")
        return self
