"""`identity explain` and `identity undo`: why a name was linked, and how a link is taken back."""

import os
from pathlib import Path

from pipeline_runs import chengxin, told

from chengxin.identity.by_name.training.invention import invented
from deliveries import PENALTY, REGISTRATION, Office, company, penalty

REGISTERED, SENT = "长沙凯岳建材有限公司", "长沙凯越建材有限公司"


def test_a_link_is_explained_and_taken_back(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    names = [REGISTERED, *invented(300, 42)]
    office.deliver("test_reg", *(company(n, subject_name=name) for n, name in enumerate(names, 1)), day=0)
    office.deliver("test_penalty", penalty(1, subject_name=SENT), day=1)
    home, contracts, batch = office.settings.home, office.settings.contracts, office.account("test_penalty").batch_id
    places = {"CHENGXIN_HOME": str(home), "CHENGXIN_CONTRACTS": str(contracts)}

    said = told(["identity", "explain", "test_penalty", batch], tmp_path, **os.environ | places).stdout
    assert f"{SENT} → {REGISTERED}" in said
    assert "“越”与“岳”同音" in said
    (answer,) = chengxin(home, contracts, "identity", "explain", "test_penalty", batch)["answers"]
    assert (answer["state"], answer["subject_id"]) == ("linked", 1)

    undo = ["identity", "undo", "test_penalty", batch]
    assert told([*undo, "别家", "--reason", "电话核实"], tmp_path, **os.environ | places).returncode == 2
    done = told([*undo, SENT, "--reason", "电话核实", "--by", "示例甲"], tmp_path, **os.environ | places)
    assert done.returncode == 0
    assert SENT not in done.stdout + done.stderr
    office.retry()
    assert office.rules("test_penalty") == ["waits"]
    assert chengxin(home, contracts, "identity", "explain", "test_penalty", batch)["answers"] == []
