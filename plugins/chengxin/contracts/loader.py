"""Read contract files. One bad file never stops the others: it becomes a problem in words for its author."""

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from chengxin.contracts import models
from chengxin.contracts.models import Contract

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a file: its path below the folder that was read, and what to do, Chinese first."""

    path: str
    message: str


@dataclass(frozen=True)
class Loaded:
    """The usable contracts by id, sorted, and what is wrong with the others."""

    contracts: dict[str, Contract]
    problems: tuple[Problem, ...]


def names(folder: Path) -> list[str]:
    """Return the data sets that have a contract file, usable or not: their names are those of the files."""
    return sorted({path.stem for path in yaml_files(folder)}) if folder.is_dir() else []


def domains(folder: Path) -> dict[str, list[str]]:
    """Return the domains, sorted, each with the data sets that have a contract file; only stray files are read."""
    found: dict[str, list[str]] = {}
    for path in yaml_files(folder) if folder.is_dir() else ():
        if path.parent != folder:
            found.setdefault(path.parent.name, []).append(path.stem)
        elif contract := read_contract(path, folder)[0]:
            found.setdefault(contract.domain, []).append(path.stem)
    return dict(sorted(found.items()))


def load(folder: Path, only: str | Collection[str] | None = None) -> Loaded:
    """Read every contract below `folder` (`<domain>/<dataset>.yaml`), in a fixed order. Never raises for a bad file.

    only: of this data set alone, or of these.
    """
    wanted = {only} if isinstance(only, str) else only
    if not folder.is_dir():
        return Loaded({}, (Problem(folder.name, "合同目录不存在"),))
    contracts: dict[str, Contract] = {}
    problems: list[Problem] = []
    home: dict[str, str] = {}
    for path in yaml_files(folder):
        if wanted is not None and path.stem not in wanted:
            continue
        shown = path.relative_to(folder).as_posix()
        contract, wrong = read_contract(path, folder)
        problems += [Problem(shown, message) for message in wrong]
        if contract is None:
            continue
        if contract.id in home:
            problems.append(Problem(shown, f"id：{contract.id} 已在 {home[contract.id]} 中使用"))
            continue
        home[contract.id] = shown
        contracts[contract.id] = contract
    return Loaded(dict(sorted(contracts.items())), tuple(sorted(problems)))


def read_contract(path: Path, folder: Path) -> tuple[Contract | None, list[str]]:
    """Read one file; return the contract, or None and the reasons. A file directly in `folder` has no domain folder."""
    if path.suffix == ".yml":
        return None, ["扩展名应为 .yaml"]
    contract, wrong = parse_contract(path)
    return (contract, wrong) if contract is None else _placed(contract, path, folder)


def parse_contract(path: Path) -> tuple[Contract | None, list[str]]:
    """Read one contract wherever it lies and whatever it is called; return it, or None and the reasons."""
    return parse(path, Contract)


def parse(path: Path, model: type[M]) -> tuple[M | None, list[str]]:
    """Read one YAML file as a model of declarations; return it, or None and the reasons."""
    try:
        body = yaml.load(path.read_text("utf-8-sig"), Loader=_StrictLoader)  # noqa: S506  a SafeLoader
    except UnicodeDecodeError:
        return None, ["合同文件应为 UTF-8 编码"]
    except (OSError, yaml.YAMLError, RecursionError, ValueError) as error:
        return None, [_yaml_words(error)]
    if not isinstance(body, dict):
        return None, ["文件应为键值对，第一行写 format: 1"]
    try:
        return model.model_validate(body), []
    except ValidationError as error:
        return None, list(dict.fromkeys(_words(detail) for detail in error.errors(include_url=False)))


def _placed(contract: Contract, path: Path, folder: Path) -> tuple[Contract | None, list[str]]:
    """Check that the file lies where its contents say."""
    wrong = []
    if contract.id != path.stem:
        wrong.append(f"id：应与文件名相同，文件名为 {path.stem}，id 为 {contract.id}")
    if path.parent != folder and contract.domain != path.parent.name:
        folder_name = path.parent.name
        wrong.append(f"domain：应与所在目录 {folder_name} 相同，现为 {contract.domain}")
    return (None, wrong) if wrong else (contract, [])


def yaml_files(folder: Path) -> Iterator[Path]:
    """Give the YAML files below a folder, sorted; hidden ones are left out."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".yaml", ".yml"} and path.is_file() and not path.name.startswith("."):
            yield path


class _StrictLoader(yaml.CSafeLoader):  # libyaml: a tenth of the time, and every task reads its contract
    """A safe loader that refuses a key given twice and leaves numbers, dates and `no` as the text that was written.

    Registration numbers, codes and dates of examples thus need no quotes and keep their leading zeros; the models turn
    text into numbers where they want numbers.
    """


NUMBERS = ("format", "sheet")  # keys whose model cannot tell a number from a text by itself


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    body: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.MarkedYAMLError(problem="键应为文本", problem_mark=key_node.start_mark)
        if key in body:
            raise yaml.MarkedYAMLError(problem=f"键 {key} 出现两次", problem_mark=key_node.start_mark)
        value = loader.construct_object(value_node, deep=True)
        plain = key in NUMBERS and getattr(value_node, "style", "'") in {None, ""}  # not quoted
        body[key] = int(value) if plain and isinstance(value, str) and value.isdecimal() else value
    return body


_RESOLVED = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag in _RESOLVED]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _yaml_words(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"第 {mark.line + 1} 行第 {mark.column + 1} 列" if mark else "文件"
    what = getattr(error, "problem", None) or error.__class__.__name__
    return f"{where}：YAML 写法有误：{what}"


_MESSAGES = {
    "missing": "缺少必填项",
    "string_type": "应为文本",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "float_type": "应为数值",
    "float_parsing": "应为数值",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "dict_type": "应为键值对",
    "model_type": "应为键值对",
    "tuple_type": "应为列表",
    "string_too_short": "不能为空",
    "too_short": "不能为空",
}


def _words(detail: ErrorDetails) -> str:
    """Turn one pydantic error into `columns[3].element：...`. Input values are left out: they may be examples."""
    where, kind, context = _where(detail["loc"]), detail["type"], detail.get("ctx", {})
    if detail["input"] == models.UNDECIDED:
        return f"{where}：尚未决定，请改好"
    if kind == "extra_forbidden":
        return f"{where}：没有这个键{_near(str(detail['loc'][-1]))}"
    if kind == "literal_error":
        return f"{where}：只能是 {context['expected'].replace(' or ', '、').replace(', ', '、')}"
    if kind == "string_pattern_mismatch":
        return f"{where}：写法应符合 {context['pattern']}"
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = f"不小于 {context['ge']}" if "ge" in context else f"不大于 {context['le']}"
        return f"{where}：应{bound}"
    if kind == "value_error":
        return f"{where}：{context['error']}"
    return f"{where}：{_MESSAGES.get(kind, detail['msg'])}"


def _where(loc: tuple[int | str, ...]) -> str:
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "合同"


def _near(key: str) -> str:
    known = {
        name
        for part in vars(models).values()
        if isinstance(part, type) and issubclass(part, BaseModel)
        for name in part.model_fields
    }
    close = difflib.get_close_matches(key, sorted(known), n=1)
    return f"，是否想写 {close[0]}" if close else ""
