"""How long each page of the operators takes over a large home, asked of a running API server.

python tests/serve/overview_homes.py FOLDER            700 data sets, a year of batches
CHENGXIN_HOME=FOLDER/home CHENGXIN_CONTRACTS=FOLDER/contracts CHENGXIN_NOW=2026-11-24T04:00:00+00:00 airflow api-server
python bench/pages.py --url http://127.0.0.1:8080 --user admin --password ...
"""

import argparse
import re
import statistics
import time

import requests

LIMIT_MS = 500


def main() -> None:
    """Ask every page several times and print the first and the median answer; exit 1 when a median is too slow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", required=True)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    login = {"username": given.user, "password": given.password}
    token = requests.post(f"{given.url}/auth/token", json=login, timeout=60).json()["access_token"]
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    slow = 0
    for path in pages(session, given.url + "/chengxin"):
        took = []
        for _ in range(given.times):
            began = time.perf_counter()
            answer = session.get(f"{given.url}/chengxin/{path}", timeout=120)
            took.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
        median = statistics.median(took)
        slow += median > LIMIT_MS
        print(
            f"{path or '/':70.70} first {took[0]:6.0f} ms  median {median:6.0f} ms  {len(answer.content) // 1024:5} kB"
        )
    raise SystemExit(1 if slow else 0)


def pages(session: requests.Session, base: str) -> list[str]:
    """Return the pages to ask for, with a batch, a department and a snapshot that are there."""
    held = session.get(f"{base}/batches?state=held", timeout=600).text
    found = re.search(r"/batches/([^/\"]+)/([^/\"]+)\"", held)
    if found is None:
        raise SystemExit("no held batch in this home")
    dataset, batch = found.groups()
    versions = session.get(f"{base}/snapshots", timeout=60).text
    snapshot = re.findall(r"/snapshots/(government/[^\"]+)\"", versions)[:1]
    department = re.findall(r'<option value="([^"]+)"', held)[:1]
    return [
        "", "batches", *(f"batches?department={d}" for d in department), "batches?rule=uscc.check",
        "batches?state=held", "batches?text=20260303", "batches?number=200",
        f"batches?dataset={dataset}", f"batches/{dataset}/{batch}",
        "refused", "refused?rule=date.invalid", f"refused?dataset={dataset}&rule=uscc.check", "waiting", "snapshots",
        *(f"snapshots/{s}" for s in snapshot), "catalogue", f"catalogue/{dataset}", "scorecards",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
