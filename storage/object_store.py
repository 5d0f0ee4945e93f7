"""Object stores, by obstore: S3 and what speaks its language, Google Cloud Storage, Azure Data Lake Storage."""

from __future__ import annotations

import functools
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from schemas.object_path import ObjectPath, split
from storage.globs import Listed, match_keys

#: What an extra of the package has to be called for.
EXTRAS = {"s3": "s3", "gs": "gs", "abfss": "azure"}
#: A larger object is written in parts, and appears when the last one is there.
WHOLE_BYTES = 64 << 20
_PART_BYTES = 16 << 20
#: Requests that fail for no fault of ours are sent again so often, for so long at most.
_RETRIES = {"max_retries": 8, "retry_timeout": timedelta(seconds=60)}
_CODE = re.compile(r"<Code>([^<]*)</Code>(?:\s*<Message>([^<]*)</Message>)?")
_STATUS = re.compile(r"non-2xx status code: (\d+ [A-Za-z -]+)")
_DENIED = ("PermissionDeniedError", "UnauthenticatedError")
#: Who is asked for credentials at last: the machine, if it is one of a cloud.
_OF_MACHINES = ("169.254.169.254", "169.254.170.2", "metadata.google.internal")
_NO_CREDENTIALS = {
    "s3": "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "no credentials: set GOOGLE_APPLICATION_CREDENTIALS",
    "abfss": "no credentials: set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
}
_QUOTE = '"'
REPLACED = "it was replaced after it was found"


class ObjectStore:
    """A bucket (or container), reached as the environment says.

    Credentials are those of the usual variables (``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``,
    ``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_ACCOUNT_KEY`` and so on) or those that the machine has. They are
    looked up in the process that reads or writes, and are in no job.
    """

    def __init__(self, scheme: str, bucket: str) -> None:
        """Prepare it; nothing is asked of the store yet.

        Raises:
            ValueError: the extra is missing, or the environment has no such profile.
        """
        try:
            import obstore  # noqa: PLC0415 - an extra
            import obstore.exceptions  # noqa: PLC0415
        except ImportError:
            extra = EXTRAS[scheme]
            raise ValueError(f"{scheme}:// needs obstore: pip install 'transaction-streams[{extra}]'") from None
        self._obstore = obstore
        self._scheme, self._bucket = scheme, bucket
        self._root = f"{scheme}://{bucket}"
        self._store = _MAKE[scheme](bucket)

    def find(self, pattern: str) -> list[ObjectPath]:
        """See :class:`storage.place.Place`."""
        key = split(pattern).key
        with self._told(f"cannot look into {pattern!r}"):
            if key and not key.endswith("/"):
                with suppress(FileNotFoundError):
                    return [self._found(self._obstore.head(self._store, key))]
            known: dict[str, ObjectPath] = {}

            def listed(folder: str, is_deep: bool) -> Listed:
                found = self._list(folder, is_deep=is_deep)
                known.update({split(path).key: path for path in found[0]})
                return Listed([split(path).key for path in found[0]], found[1])

            keys = list(match_keys(key, listed))
            if not keys and key and not key.endswith("/"):
                keys = list(match_keys(f"{key}/", listed))
            return [known[key] for key in sorted(keys)]

    def stat(self, path: str) -> ObjectPath:
        """See :class:`storage.place.Place`."""
        with self._told(f"cannot read {path!r}"):
            return self._found(self._obstore.head(self._store, split(path).key))

    def open(self, path: ObjectPath) -> StoredObject:
        """See :class:`storage.place.Place`."""
        return StoredObject(self, path)

    def fetch(self, path: ObjectPath, start: int, stop: int) -> memoryview:
        """Return bytes of an object, if it is the one that was found; see :class:`storage.read_ahead.Source`."""
        options: dict[str, Any] = {"range": (start, stop)}
        if path.version.startswith('"'):
            options["if_match"] = path.version
        with self._told(""):
            found = self._obstore.get(self._store, split(path).key, options=options)
            if (found.meta["size"], _version(found.meta)) != (path.size, path.version):
                raise OSError(REPLACED)
            return memoryview(found.bytes())

    def write(self, path: str, data: bytes | IO[bytes]) -> None:
        """See :class:`storage.place.Place`."""
        size = len(data) if isinstance(data, bytes) else data.seek(0, os.SEEK_END)
        is_large = size > WHOLE_BYTES
        if not isinstance(data, bytes):
            data.seek(0)
            data = data if is_large else data.read()
        with self._told(""):
            self._obstore.put(self._store, split(path).key, data, use_multipart=is_large, chunk_size=_PART_BYTES)

    def check_writable(self, path: str) -> None:
        """See :class:`storage.place.Place`; an empty object beside it is written and removed."""
        key = split(path).key
        if not key or key.endswith("/"):
            raise IsADirectoryError("it is a folder")
        folder, slash, name = key.rpartition("/")
        probe = f"{folder}{slash}.{name[:40]}.{uuid.uuid4().hex}.tmp"
        with self._told(""):
            self._obstore.put(self._store, probe, b"", use_multipart=False)
            self._obstore.delete(self._store, probe)

    def _list(self, folder: str, *, is_deep: bool) -> tuple[list[ObjectPath], list[str]]:
        prefix = f"{folder}/" if folder else None
        if is_deep:
            metas = [meta for page in self._obstore.list(self._store, prefix) for meta in page]
            return list(map(self._found, metas)), []
        found = self._obstore.list_with_delimiter(self._store, prefix)
        return list(map(self._found, found["objects"])), list(found["common_prefixes"])

    def _found(self, meta: Any) -> ObjectPath:
        return ObjectPath(f"{self._root}/{meta['path']}", meta["size"], _version(meta))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn what the store or the client says into an OSError of one line.

        Args:
            what: what cannot be done; empty if whoever asked says it.
        """
        try:
            yield
        except (OSError, self._obstore.exceptions.BaseError) as error:
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | PermissionError):
                raise
            kind, reason = self._reason(error)
            raise kind(f"{what}: {reason}" if what else reason) from None

    def _reason(self, error: Exception) -> tuple[type[OSError], str]:
        """Return why a request failed: the code and the text of the store, or what the client has met."""
        text = str(error)
        code, status = _CODE.search(text), _STATUS.search(text)
        kind, reason = OSError, text.partition("\n")[0].rpartition(" - ")[2] or type(error).__name__
        if any(host in text for host in _OF_MACHINES):
            kind, reason = PermissionError, _NO_CREDENTIALS[self._scheme]
        elif code and code[1] == "NoSuchBucket":
            kind, reason = FileNotFoundError, f"there is no bucket {self._bucket!r}"
        elif isinstance(error, FileNotFoundError):
            kind, reason = FileNotFoundError, "there is no such object, or no such bucket"
        elif type(error).__name__ in _DENIED or (status and status[1].startswith(("401", "403"))):
            kind, reason = PermissionError, f"permission denied{f' ({code[1]})' if code else ''}"
        elif type(error).__name__ == "PreconditionError":
            reason = REPLACED
        elif code:
            reason = f"{code[2] or 'the store refuses'} ({code[1]})"
        elif status:
            reason = f"the store answers {status[1].strip()}"
        return kind, reason


class StoredObject:
    """An object that is read; see :class:`storage.read_ahead.Source`."""

    def __init__(self, store: ObjectStore, path: ObjectPath) -> None:
        """Note what it was when it was found."""
        self.size = path.size
        self._store, self._path = store, path

    def fetch(self, start: int, stop: int) -> memoryview:
        """Return bytes of it."""
        return self._store.fetch(self._path, start, stop)

    def close(self) -> None:
        """Do nothing: the client is there for others, too."""


@functools.lru_cache(64)
def open_store(scheme: str, bucket: str, process: int) -> ObjectStore:
    """Return a bucket, the same whenever it is asked for in a process.

    The threads of the client are not there in a process that was forked off, which would wait for them: another process
    is told so.

    Raises:
        ValueError: see :class:`ObjectStore`.
    """
    if _USED and process not in _USED:
        raise ValueError(f"{scheme}:// was used before this process was forked off; start it anew instead (spawn)")
    _USED.add(process)
    return ObjectStore(scheme, bucket)


#: The process whose client this is.
_USED: set[int] = set()


def _version(meta: Any) -> str:
    """Return what tells an object from the one that replaces it: some stores list ETags without their quotes."""
    tag = meta["e_tag"] or ""
    if tag.startswith("W/"):
        return str(tag)
    return f'"{tag.strip(_QUOTE)}"' if tag else str(meta["version"] or meta["last_modified"])


def _s3(bucket: str) -> Any:
    from obstore.store import S3Store  # noqa: PLC0415 - an extra

    environ = os.environ
    options: dict[str, Any] = {"retry_config": _RETRIES}
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    is_named = environ.get("AWS_PROFILE") or not (
        environ.get("AWS_ACCESS_KEY_ID") or environ.get("AWS_SKIP_SIGNATURE") or environ.get("AWS_ROLE_ARN")
    )
    if is_named and (session := _profile()) is not None:
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - an extra

        options["credential_provider"] = Boto3CredentialProvider(session)
        endpoint = endpoint or session._session.get_scoped_config().get("endpoint_url")
        if session.region_name:
            options["region"] = session.region_name
    if endpoint:
        # A bucket is a folder of such a server, as a rule, and no host of its own.
        options |= {"endpoint": endpoint, "client_options": {"allow_http": endpoint.startswith("http://")}}
        options["virtual_hosted_style_request"] = environ.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST") == "true"
    return S3Store(bucket, **options)


def _profile() -> Any:
    """Return the session of a profile of AWS, None where there is none.

    Raises:
        ValueError: there is none of that name, or boto3, which knows how profiles get credentials, is missing.
    """
    name = os.environ.get("AWS_PROFILE")
    files = (os.environ.get(f"AWS_{kind}_FILE", f"~/.aws/{at}") for kind, at in _PROFILE_FILES)
    if not (name or any(Path(file).expanduser().is_file() for file in files)):
        return None
    try:
        import boto3  # noqa: PLC0415 - an extra
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an extra
    except ImportError:
        raise ValueError("a profile of AWS needs boto3: pip install 'transaction-streams[s3]'") from None
    try:
        session = boto3.Session(profile_name=name)
        return session if session.get_credentials() else None
    except BotoCoreError as error:
        raise ValueError(f"cannot use the profile of AWS: {error}") from None


_PROFILE_FILES = (("SHARED_CREDENTIALS", "credentials"), ("CONFIG", "config"))


def _gs(bucket: str) -> Any:
    from obstore.store import GCSStore  # noqa: PLC0415 - an extra

    return GCSStore(bucket, retry_config=_RETRIES)


def _azure(bucket: str) -> Any:
    from obstore.store import AzureStore  # noqa: PLC0415 - an extra

    container, _, host = bucket.partition("@")
    return AzureStore(container, account_name=host.partition(".")[0], retry_config=_RETRIES)


_MAKE = {"s3": _s3, "gs": _gs, "abfss": _azure}
