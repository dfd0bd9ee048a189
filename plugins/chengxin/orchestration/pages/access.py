"""Who may see what: Airflow's session, and Airflow's permissions on each data set's ingest DAG."""

from dataclasses import dataclass
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, Request

from chengxin.orchestration.airflow_internals import audit_log, teams
from chengxin.orchestration.identity_review import DAG_ID as IDENTITY_DAG
from chengxin.orchestration.ingest import dag_id
from chengxin.orchestration.legal_acts import DAG_ID as ACTS_DAG
from chengxin.orchestration.pages.home_index import HomeIndex
from chengxin.orchestration.roles import VALUES
from chengxin.orchestration.snapshot import DAG_ID as SNAPSHOT_DAG


@dataclass(frozen=True)
class Reader:
    """A person with a session. only: the data sets he may see, None = all that there are."""

    user: Any
    only: frozenset[str] | None

    @property
    def name(self) -> str:
        """Return the name under which Airflow knows him."""
        return str(self.user.get_name())

    def may_see(self, dataset: str) -> bool:
        """Return whether he may read the data set's DAG."""
        return _may(self.user, dataset, "GET")

    def may_see_values(self, dataset: str) -> bool:
        """Return whether he may see values as sent: he may steer the data set's DAG (method PUT), and has VALUES too.

        Both, for a simple auth manager grants every reader what is not its own.
        """
        own = get_auth_manager().is_authorized_custom_view(method="GET", resource_name=VALUES, user=self.user)
        return bool(own) and self.may_see(dataset) and _may(self.user, dataset, "PUT")

    def may_start(self, dataset: str) -> bool:
        """Return whether he may start a run of the data set's DAG."""
        return self.may_see(dataset) and _may(self.user, dataset, "POST", DagAccessEntity.RUN)

    def may_publish(self) -> bool:
        """Return whether he may start a publication."""
        return _may_dag(self.user, SNAPSHOT_DAG, "POST", DagAccessEntity.RUN)

    def may_judge(self) -> bool:
        """Return whether he may answer in clerical review."""
        return _may_dag(self.user, IDENTITY_DAG, "POST", DagAccessEntity.RUN)

    def may_act(self) -> bool:
        """Return whether he may propose and confirm withdrawals."""
        return _may_dag(self.user, ACTS_DAG, "POST", DagAccessEntity.RUN)

    def require(self, dataset: str) -> None:
        """Refuse a data set that he may not see."""
        if not self.may_see(dataset):
            raise HTTPException(403, "无权查看该数据集 (not permitted)")

    def require_values(self, dataset: str) -> None:
        """Refuse values as sent to somebody who may not see them."""
        if not self.may_see_values(dataset):
            raise HTTPException(403, "无权查看原始取值 (values as sent are not permitted)")


def _may(user: Any, dataset: str, method: str, entity: DagAccessEntity | None = None) -> bool:
    return _may_dag(user, dag_id(dataset), method, entity)


def _may_dag(user: Any, wanted: str, method: str, entity: DagAccessEntity | None = None) -> bool:
    details = DagDetails(id=wanted, team_name=teams.team_of(wanted))
    return bool(get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user))


def _visible(user: Any, datasets: list[str]) -> frozenset[str] | None:
    wanted = {dag_id(name): name for name in datasets}
    if teams.are_used():
        permitted = {name for name in datasets if _may(user, name, "GET")}
    else:
        found = get_auth_manager().filter_authorized_dag_ids(dag_ids=set(wanted), user=user, method="GET")
        permitted = {wanted[name] for name in found}
    return None if len(permitted) == len(datasets) else frozenset(permitted)


def index(request: Request) -> HomeIndex:
    """Return what the app reads the home through."""
    found: HomeIndex = request.app.state.index
    return found


IndexDep = Annotated[HomeIndex, Depends(index)]


def reader(user: GetUserDep, home: IndexDep) -> Reader:
    """Return the reader behind a request; without a session Airflow answers 401 before this."""
    return Reader(user, _visible(user, home.datasets()))


ReaderDep = Annotated[Reader, Depends(reader)]


def note_values_shown(reader: Reader, dataset: str, what: str) -> None:
    """Write into Airflow's audit log that somebody looks at values as sent, before he does."""
    audit_log.write("chengxin.values_shown", reader.name, dag_id(dataset), {"dataset": dataset, "what": what})
