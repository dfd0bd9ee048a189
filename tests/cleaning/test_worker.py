"""Worker processes start light and still standardise."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from chengxin.cleaning.worker import prepare
prepare()
from datetime import date
from pathlib import Path
from chengxin.contracts.models import Contract
from chengxin.parsing import reader
from chengxin.cleaning.run import Task, standardise_piece
contract = Contract.model_validate({
    "format": 1, "id": "t_red", "title": "测试", "department": {"code": "TT", "name": "测试部门"}, "domain": "test",
    "kind": "penalty", "basis": {"legal": "测试", "share": "无条件"},
    "delivery": {"options": {"folder": "t", "pattern": "*"}}, "file": {"format": "csv", "encoding": "utf-8"},
    "columns": [{"source": s, "element": e} for s, e in
                (("文号", "decision_no"), ("名称", "subject_name"), ("代码", "uscc"), ("日期", "decision_on"))],
})
path, target = Path(sys.argv[1]), Path(sys.argv[2])
(piece,) = reader.plan(path, contract.file)
done = standardise_piece(Task(contract, piece, 0, 0, path.name, date(2026, 11, 23), "salt", target))
print(done[0] + done[1], "pandas" in sys.modules)
"""


def test_a_worker_standardises_without_pandas(tmp_path: Path) -> None:
    source = tmp_path / "delivery.csv"
    source.write_text("文号,名称,代码,日期\n甲罚〔2025〕1号,虚构一公司,,2025年3月1日\n乙罚[2025]2号,,,无\n", "utf-8")
    done = subprocess.run([sys.executable, "-c", SCRIPT, source, tmp_path], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2", "False"], done.stderr[-2000:]
    assert sorted(path.name.partition("-")[0] for path in tmp_path.glob("*.parquet"))[-1] == "standard"
