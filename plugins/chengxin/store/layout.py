"""Where everything lies below one home folder. Pure paths; nothing is created here."""

from dataclasses import dataclass
from pathlib import Path

VALIDATION = "validation.json.gz"
CUT = "cut-"  # what the names of tiers that recipients are granted begin with
ASSEMBLY = "assembly"  # all tables, of which every tier is cut: of this home only, never published


@dataclass(frozen=True)
class Layout:
    """The folders of a home."""

    home: Path

    def landing(self, dataset: str, batch_id: str) -> Path:
        """Received bytes: payload/* and receipt.json."""
        return self.home / "landing" / dataset / batch_id

    def batch(self, dataset: str, batch_id: str) -> Path:
        """All that was derived from one batch."""
        return self.home / "batches" / dataset / batch_id

    def standard(self, dataset: str, batch_id: str) -> Path:
        """standard-*.parquet, quarantine-*.parquet, issues-*.parquet, answers-*.parquet, summary.json."""
        return self.batch(dataset, batch_id) / "standard"

    def validation(self, dataset: str, batch_id: str) -> Path:
        """The evidence of its validation, a compressed document; see quality/evidence.py."""
        return self.batch(dataset, batch_id) / VALIDATION

    def tries(self, dataset: str, batch_id: str) -> Path:
        """How often a batch failed, and how; gone once it has an outcome."""
        return self.batch(dataset, batch_id) / "tries.json"

    def handled(self, dataset: str, batch_id: str) -> Path:
        """Which tasks of Airflow handled a batch, the newest last."""
        return self.batch(dataset, batch_id) / "handled.json"

    def links(self, dataset: str, batch_id: str, revision: int) -> Path:
        """Outcome of linking, one folder a revision."""
        return self.batch(dataset, batch_id) / f"links-{revision:04d}"

    @property
    def journal(self) -> Path:
        """The admissions, a chained journal; the order in which everything entered the data set."""
        return self.home / "admissions"

    @property
    def rejections(self) -> Path:
        """Publications that a person rejected, one numbered JSON file each; the next manifest tells of them."""
        return self.home / "rejections"

    def closings(self, dataset: str) -> Path:
        """Refused rows that a person settled, one numbered JSON file each."""
        return self.home / "closings" / dataset

    @property
    def acts(self) -> Path:
        """Legal acts on published records, a chained journal."""
        return self.home / "acts"

    @property
    def accesses(self) -> Path:
        """Who was shown personal values, one numbered JSON file each; below it what recipients were handed."""
        return self.home / "accesses"

    @property
    def notices(self) -> Path:
        """Notices of withdrawal to recipients, a chained journal."""
        return self.home / "notices"

    @property
    def served_notices(self) -> Path:
        """What the serving app knows of notices; derived, private, served to nobody but each its own recipient."""
        return self.home / "published" / "notices.json"

    @property
    def recipients(self) -> Path:
        """The tokens that recipients were given and that were revoked, one numbered JSON file each."""
        return self.home / "recipients"

    @property
    def served_recipients(self) -> Path:
        """What the serving app knows of recipients: their tier, days and digests of tokens; derived, private."""
        return self.home / "published" / "recipients.json"

    @property
    def judgements(self) -> Path:
        """The ledger of judgements on identity, one numbered JSON file each."""
        return self.home / "registry" / "judgements"

    @property
    def locks(self) -> Path:
        """Lock files, never data."""
        return self.home / "locks"

    def under_way(self, dataset: str) -> Path:
        """Which batch of a data set a process of this machine is busy with; stays behind where it is killed."""
        return self.locks / f"under-way-{dataset}.mark"

    @property
    def state(self) -> Path:
        """What the journal adds up to, derived; never data, may be deleted whenever nobody writes."""
        return self.home / "state"

    @property
    def work(self) -> Path:
        """Spill and scratch space; emptied at the start of every run."""
        return self.home / "work"

    @property
    def drafts(self) -> Path:
        """Snapshots being assembled, and those that a red check stopped."""
        return self.home / "drafts"

    def derivations(self, tier: str) -> Path:
        """What the files of a derived tier were made from, and until when they hold; never published."""
        return self.home / "derivations" / f"{tier}.json"

    @property
    def demo_key(self) -> Path:
        """The open tier's key in a home that the demo made; any other home is given its key from outside."""
        return self.home / "demo" / "token_key"

    @property
    def overlay(self) -> Path:
        """What readers are not to see although snapshots may still hold it; private, served to nobody."""
        return self.home / "published" / "overlay.json"

    def tier(self, tier: str) -> Path:
        """A sharing tier, or the tables that all are cut from, which are not published: snapshots/ and current.json."""
        return self.home / tier if tier == ASSEMBLY else self.home / "published" / tier

    def snapshot(self, tier: str, snapshot_id: str) -> Path:
        """One immutable snapshot of a tier."""
        return self.tier(tier) / "snapshots" / snapshot_id

    def pointer(self, tier: str) -> Path:
        """The file that names the current snapshot of a tier."""
        return self.tier(tier) / "current.json"
