"""Where a raster lies: a file, a ``/vsi`` path of GDAL, or an address on the web."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

Location = Path | str
"""A file's path, or a name that only GDAL can open."""

WEB = ("http://", "https://")
CURL = "/vsicurl/"
ANSWER_SECONDS = 10

REMOTE_OPTIONS = {
    # No listing of the folder, but masks and tables that lie beside are still looked for.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # The header of a large file in one request.
    "GDAL_INGESTED_BYTES_AT_OPEN": "65536",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    # Windows overlap: what one has read, the next need not.
    "VSI_CACHE": "TRUE",
    # A run of hours meets a server that is busy; GDAL by itself gives up at once.
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
}


def located(text: str) -> Location:
    """What the user named: a path, or for addresses and ``/vsi`` paths what GDAL opens."""
    if text.startswith(WEB):
        return CURL + text
    return text if text.startswith("/vsi") else Path(text)


def file_name(location: Location) -> str:
    """The last part of its name, without what an address asks for after a question mark."""
    if isinstance(location, Path):
        return location.name
    text = location.removeprefix(CURL)
    return PurePosixPath(urlsplit(text).path if text.startswith(WEB) else text).name


def web_version(location: str) -> str | None:
    """An address without what signs it, and what the server says of the file's version.

    None: it is no address on the web, or the server says nothing that would tell a change.
    """
    address = location.removeprefix(CURL)
    if not address.startswith(WEB):
        return None
    try:
        with urlopen(Request(address, method="HEAD"), timeout=ANSWER_SECONDS) as answer:
            told = [answer.headers.get(name) for name in ("ETag", "Last-Modified")]
            length = answer.headers.get("Content-Length")
    except (OSError, ValueError):
        return None
    if not any(told):
        return None
    known = " ".join(part for part in (*told, f"{length} bytes" if length else None) if part)
    return f"{urlsplit(address)._replace(query='', fragment='').geturl()} ({known})"
