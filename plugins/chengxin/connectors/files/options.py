"""The delivery options of connector file_drop."""

from functools import lru_cache
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from chengxin.connectors.base import Options
from chengxin.connectors.files.names import Pattern, Sequence

Companion = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^/]*$")]


class Complete(Options):
    """How to tell that a delivery is complete; exactly one of the three.

    marker: name of an empty file put last, such as `{name}.ok`. manifest: name of a file that lists the delivery's
    files with size or checksum, such as `{name}.md5` or `清单_{date}.csv`. stable: seconds without a change.
    Names may hold `{name}` (the file's own), `{stem}` (without its suffix) and the fields of the pattern.
    """

    marker: Companion | None = None
    manifest: Companion | None = None
    stable: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.marker, self.manifest, self.stable)) != 1:
            raise ValueError("complete 须且只能写 marker、manifest、stable 之一")
        return self

    @property
    def companion(self) -> str | None:
        """Return the template of the file that comes with the delivery."""
        return self.marker or self.manifest


class FileDropOptions(Options):
    """Options of a file drop.

    connection: name of an SFTP server or object store; without it the folder lies in the inbox. folder: below the inbox
    (CHENGXIN_INBOX, else <home>/inbox) or below the connection's own folder. pattern: glob on the file name, which may
    hold fields (`处罚_{date}_{seq}.csv`, see file_names); with a `/` it is matched against the path below the folder,
    and subfolders are searched. Files that differ in `{part}` only are one delivery. complete: how to tell that a
    delivery is complete. checksum: suffix of a file beside each delivery that holds its sha256 (`.sha256`); short for
    complete: {manifest: "{name}.sha256"}. sequence: whether `{seq}` begins anew in each period or runs on.
    """

    connection: str | None = None
    folder: str = "."
    pattern: Annotated[str, Field(min_length=1)] = "*"
    complete: Complete | None = None
    checksum: Annotated[str, Field(pattern=r"^\.\w+$")] | None = None
    sequence: Sequence = "per_date"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        fields = pattern_of(self.pattern).fields
        if self.complete and self.checksum:
            raise ValueError("checksum 与 complete 不能同时写")
        if "part" in fields and not self.complete:
            raise ValueError("pattern 含 {part}（一次报送多个文件）时须写明 complete：怎样才算到齐")
        return self

    @property
    def completeness(self) -> Complete | None:
        """Return how completeness is told, the default of the place included."""
        if self.checksum:
            return Complete(manifest=f"{{name}}{self.checksum}")
        return self.complete


@lru_cache
def pattern_of(text: str) -> Pattern:
    """Return the pattern of a name, read once."""
    return Pattern(text)
