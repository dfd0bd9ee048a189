"""Standardise one file in this process; print what each row check costs, as a share of standardising, as JSON.

python bench/row_checks.py DATASET FILE
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from chengxin.cleaning.mapper import Mapper
from chengxin.cleaning.row_checks import checks, kind_checks
from chengxin.parsing.reader import plan, read
from stages import CONTRACTS, contracts_of

SPENT: Counter[str] = Counter()


def timed(name: str, check: Callable[..., None]) -> Callable[..., None]:
    """Return a check that adds its CPU seconds up."""

    def run(*args: Any) -> None:
        start = time.process_time()
        check(*args)
        SPENT[name] += time.process_time() - start

    return run


def main() -> None:
    """Measure."""
    dataset, file = sys.argv[1], Path(sys.argv[2])
    contract = contracts_of(CONTRACTS, dataset, None)[dataset]
    kept = [check for check in checks.CHECKS if check is not kind_checks.check_declared]
    checks.CHECKS = (
        kind_checks.check_declared,
        *(timed(check.__name__.removeprefix("_check_"), check) for check in kept),
    )
    for name, check in list(kind_checks.CHECKS.items()):
        kind_checks.CHECKS[name] = timed(name, check)
    mapper = Mapper(contract, today=date(2026, 11, 23), salt="bench")
    start = time.process_time()
    for piece in plan(file, contract.file):
        for chunk in read(piece, contract.file):
            mapper.run(chunk, file_no=0, file_name=file.name)
    whole = time.process_time() - start
    print(json.dumps({name: round(spent / whole, 4) for name, spent in SPENT.most_common()}))


if __name__ == "__main__":
    main()
