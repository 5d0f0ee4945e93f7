"""The schemes of addresses, and the paths of what is not on this machine: ``s3://bucket/key``, ``https://host/file``.

Such a path goes wherever that of a file goes. What is done with either is in :mod:`storage`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from schemas.passwords import withhold

#: Object stores that are read and written.
STORES = ("s3", "gs", "abfss")
#: What files may be behind that is not this machine; the last one can only be read.
REMOTE = (*STORES, "https")
_PREFIXES = tuple(f"{scheme}://" for scheme in REMOTE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//?)")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_AZURE = re.compile(r"[a-z0-9$][a-z0-9-]*@[a-z0-9]+\.dfs\.core\.[a-z.]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FORMS = {
    "s3": "s3://BUCKET/KEY",
    "gs": "gs://BUCKET/KEY",
    "abfss": "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH",
    "https": "https://HOST/PATH",
}


class ObjectPath(str):
    """The path of an object, with what was known of it when it was found.

    Attributes:
        size: its bytes.
        version: what changes when it is replaced: its ETag, or the time of its last change; empty if it has neither.
    """

    size: int
    version: str

    def __new__(cls, text: str, size: int, version: str) -> ObjectPath:
        """Make one of a path."""
        made = super().__new__(cls, text)
        made.size, made.version = size, version
        return made

    def __reduce__(self) -> tuple[Callable[..., ObjectPath], tuple[str, int, str]]:
        """Pickle what is known, too."""
        return ObjectPath, (str(self), self.size, self.version)

    def __repr__(self) -> str:
        """Return the path as it may be shown."""
        return repr(shown(str(self)))


class Parts(NamedTuple):
    """Where an object is: the scheme, the bucket (of ``https`` the host) and the key in it."""

    scheme: str
    bucket: str
    key: str


def scheme_of(text: str, known: Iterable[str], expected: str) -> str:
    """Return the scheme of an address; empty for a path, which may have a colon in it.

    >>> scheme_of("a:b/c", ["s3"], "a path or s3://"), scheme_of("s3://b/k", ["s3"], "a path or s3://")
    ('', 's3')

    Args:
        text: the address.
        known: the schemes that may be.
        expected: what may be, for the message.

    Raises:
        ValueError: it has another scheme, or a known one is written in another way; the message shows no password.
    """
    found = _SCHEME.match(text)
    if found is None:
        return ""
    scheme, is_whole = found[1], found[2] == "//"
    if is_whole and scheme in known:
        return scheme
    if not is_whole and scheme.lower() not in known:
        return ""
    is_secret = any(mark in text for mark in "@?")
    hint = f"did you mean {scheme.lower()}://?" if scheme.lower() in known else f"expected {expected}"
    raise ValueError(f"unknown scheme in {f'{found[0]}...' if is_secret else text!r}: {hint}")


def is_remote(path: object) -> bool:
    """Return whether a path is that of something that is not on this machine."""
    return isinstance(path, str) and path.startswith(_PREFIXES)


def shown(path: str) -> str:
    """Return a path as it may be shown: what follows the ``?`` of an address of the web may be a signature.

    >>> shown("https://host/april.csv?X-Amz-Signature=1f"), shown("s3://bucket/why?.csv")
    ('https://host/april.csv?...', 's3://bucket/why?.csv')
    """
    bare, found, _ = path.partition("?")
    return f"{bare}?..." if found and path.startswith("https://") else path


def bare(path: str) -> str:
    """Return a path without what follows the ``?`` of an address of the web, so that it ends as the file does."""
    return path.partition("?")[0] if path.startswith("https://") else path


def file_path(text: str, *, writes: bool = False) -> str:
    """Return the path that an address of a file means: a local one, or that of an object.

    >>> file_path("file:///data/x.csv"), file_path("x:1.csv"), file_path("s3://shop/x.csv")
    ('/data/x.csv', 'x:1.csv', 's3://shop/x.csv')

    Args:
        text: the address.
        writes: whether it is to be written.

    Raises:
        ValueError: it has another scheme, or there can be no such object; the message shows no password.
    """
    taken = STORES if writes else REMOTE
    scheme = scheme_of(text, ("file", *REMOTE), f"a path, {', '.join(f'{name}://' for name in taken)}")
    if scheme == "file":
        rest = text.removeprefix("file://")
        if not rest:
            raise ValueError(f"expected file://path, got {text!r}")
        return os.path.join(os.curdir, rest) if is_remote(rest) else rest  # noqa: PTH118 - Path would take the dot away
    if scheme:
        split(text)
        if writes and scheme not in taken:
            raise ValueError(f"{shown(text)!r} can only be read: expected a path, s3://, gs:// or abfss://")
    return withhold(text) if scheme == "https" else text


def path_to_write(text: str) -> str:
    """Return the path that an address means that is to be written; see :func:`file_path`."""
    return file_path(text, writes=True)


def local_path(text: str) -> str:
    """Return a path of this machine.

    Raises:
        ValueError: it is an address of something else; the message shows no password.
    """
    if scheme_of(text, REMOTE, "a path of this machine"):
        raise ValueError(f"expected a path of this machine, got {shown(text)!r}")
    return text


def split(path: str) -> Parts:
    """Return the parts of the path of an object.

    A key is taken as it stands, with all its blanks and percent signs; that of ``https`` is its path and query, which
    are encoded.

    Raises:
        ValueError: there can be no such object.
    """
    scheme, _, rest = path.partition("://")
    if scheme == "https":
        return _split_https(path)
    bucket, _, key = rest.partition("/")
    if not (_AZURE if scheme == "abfss" else _BUCKET).fullmatch(bucket):
        got = f"{path!r}" if "@" not in path or scheme == "abfss" else f"{scheme}:// with an @ in it"
        raise ValueError(f"expected {_FORMS[scheme]}, got {got}")
    parts = key.removesuffix("/").split("/") if key else []
    if any(part in {"", ".", ".."} for part in parts) or _CONTROL.search(key):
        raise ValueError(
            f"expected {_FORMS[scheme]}, without empty parts, '.', '..' and control characters, got {path!r}"
        )
    return Parts(scheme, bucket, key)


def _split_https(path: str) -> Parts:
    try:
        found = urlsplit(path)
        host = found.hostname and (found.netloc if found.port is None or found.port else "")
    except ValueError:
        host = None
    if not host or _CONTROL.search(path) or " " in path:
        raise ValueError(f"expected {_FORMS['https']}, with blanks written %20, got {shown(path)!r}")
    if "@" in host:
        # Not shown: it may be a password.
        raise ValueError("expected https:// without a user or password: they belong into ~/.netrc")
    if found.fragment:
        raise ValueError(f"a # in the name of a file is written %23, got {shown(path)!r}")
    return Parts("https", host, path.removeprefix(f"https://{host}").removeprefix("/"))


def inserted(path: str, text: str) -> str:
    """Return a path with a text behind the stem of its name.

    >>> inserted("out/totals.jsonl", "-2011"), inserted("s3://shop/totals.avro", "-*"), inserted("a.d/x", "-1")
    ('out/totals-2011.jsonl', 's3://shop/totals-*.avro', 'a.d/x-1')
    """
    folder, slash, name = path.rpartition("/")
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - Path would take one of the two slashes of a scheme away
    return f"{folder}{slash}{stem}{text}{suffix}"
