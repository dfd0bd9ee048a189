"""Members of archives: which are data, under which names, and how a refusal shows them."""

import re
from fnmatch import fnmatchcase

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryMismatch

TARS = (".tar", ".tar.gz", ".tgz")
PACKED = (".zip", ".gz", *TARS)
#: Suffixes of packers that are not read; the message asks for zip.
UNREAD = (".rar", ".7z", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".lz4", ".z", ".cab", ".arj", ".lzh")
SUFFIXES = {
    "csv": (".csv", ".txt"), "tsv": (".tsv", ".txt", ".csv"),
    "json": (".json",), "jsonl": (".jsonl", ".json", ".ndjson"),
    "xlsx": (".xlsx",), "xls": (".xls",), "xml": (".xml",), "fixed": (".txt", ".dat", ".csv"),
}  # fmt: skip
NOISE = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._[^/]*$|~\$[^/]*$)", re.IGNORECASE)
REPORT = "请核对后重新打包报送"


def is_telling(pattern: str) -> bool:
    """Return whether a pattern covers more of a name than its suffix: 数据_*.csv does, *.csv does not."""
    return len(re.sub(r"[*?\[\]]", "", pattern.rpartition(".")[0])) >= 2


def header_of(head: bytes, spec: FileSpec) -> bytes:
    """Return the lines of a delimited text down to its column names, as bytes; empty where there are none."""
    if spec.format not in {"csv", "tsv"} or not spec.header:
        return b""
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()[: spec.header + spec.header_rows - 1]
    return b"\n".join(line.strip() for line in lines) if lines and len(lines[-1]) > 8 else b""


def is_chosen(archive: str, name: str, spec: FileSpec) -> bool:
    """Return whether a member is data; a member that nobody declared refuses the archive."""
    if spec.member:
        return fnmatchcase(name, spec.member) or fnmatchcase(name.rsplit("/", 1)[-1], spec.member)
    if NOISE.search(name):
        return False
    if name.lower().endswith(SUFFIXES[spec.format]):
        return True
    if name.lower().endswith(PACKED + UNREAD):
        raise refused(archive, f"里面的“{shown(name)}”又是一个压缩包；请只压缩一层")
    raise refused(archive, f"里面的“{shown(name)}”不像 {spec.format} 文件；请在合同 file.member 写明要读哪些文件")


def checked_name(archive: str, raw: str) -> str:
    """Return a member's name with `/` between its parts; refuse what points outside or cannot be shown."""
    name = raw.replace("\\", "/")
    outside = name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/")
    if outside:
        raise refused(archive, f"里面的“{shown(name)}”指向压缩包之外；{REPORT}")
    if not name.strip("/ ") or not name.isprintable():
        raise refused(archive, f"里面的文件名“{shown(name)}”含有控制字符或为空；{REPORT}")
    return name.removeprefix("./")


def decoded(raw: bytes) -> str:
    """Return the text of a member's name: UTF-8, GB18030, or escapes where it is neither."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("ascii", "backslashreplace")


def file_name(member: str) -> str:
    """Return the last part of a member's name, short enough for any file system; its suffix stays."""
    name = member.rsplit("/", 1)[-1]
    return name if len(name.encode()) <= 200 else name[-60:]


def shown(name: str) -> str:
    """Return a name that is safe to print, 80 characters at most."""
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= 80 else f"{text[:80]}…"


def refused(archive: str, why: str) -> DeliveryMismatch:
    """Return the error that holds a delivery for one of its archives."""
    return DeliveryMismatch(f"文件“{shown(archive)}”{why}")
