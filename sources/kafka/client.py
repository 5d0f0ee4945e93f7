"""Kafka brokers: the settings of a client of theirs, a first contact, and errors of one line.

``confluent_kafka`` is an extra, and is loaded when the first client is made.
"""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sources.kafka.security import AWS_IAM, KafkaSecurity

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, KafkaException

_LOGGER = logging.getLogger("librdkafka")
#: How brokers see us, beside the address.
CLIENT_ID = "transaction-streams"
#: After a broker has come back, the longest time until it is tried again.
_RECONNECT_MILLISECONDS = 1_000
#: How often a client asks who leads the partitions: while a broker comes back it may be told that nobody does, and
#: would believe that for five minutes.
_METADATA_MILLISECONDS = 5_000
_POLL_SECONDS = 0.05
#: So that it is our own clock that ends the wait.
_SPARE_SECONDS = 5.0
#: How librdkafka says where an error comes from, and what it was doing.
_BROKER = re.compile(r"^(?:\w+://)?\S+:\d+/(?:bootstrap|\d+): ")
_STATE = re.compile(r" \(after \d+ms in state \w+(?:, \d+ identical error\(s\) suppressed)?\)")
_THREAD = re.compile(r"^\[thrd:.*?\]: ")
_NOISE = re.compile(
    r"error:[0-9A-F]+:[^:]*::|\b(?:Broker|Local): |SASL authentication error: |, verify that ssl.*|"
    r"Authentication failed during authentication due to |"
    r"(?:FindCoordinator response error|[A-Z]+ worker coordinator request failed): "
)
_NAMES = {
    "ssl.ca.location": "ca",
    "ssl.certificate.location": "certificate",
    "ssl.key.location": "key",
    "security.protocol": "protocol",
}
_WHERE = "see --kafka-security"
_HUNG_UP = "Disconnected"
#: What librdkafka says of TLS, under several codes.
_TLS = re.compile(r"SSL alert|SSL handshake failed")


class BrokerError(OSError):
    """A broker cannot be reached, or refuses; the message is one line, and says nothing of passwords."""


@dataclass(frozen=True)
class Brokers:
    """Where the brokers are, and how to get in. Its ``repr`` has no password.

    Attributes:
        servers: ``host:port``, with commas between them.
        security: how to get in.
    """

    servers: str
    security: KafkaSecurity = KafkaSecurity()

    @property
    def address(self) -> str:
        """How messages name them."""
        return f"kafka://{self.servers}"

    def refusal(self, topic: str, error: KafkaError) -> BrokerError:
        """Return what to raise where the user may not read a topic, whichever request was told so first."""
        return BrokerError(f"{self.address} lets {self.security.who} not read {topic}: {explain(error)}")

    def config(self) -> dict[str, Any]:
        """Return the settings that every client needs; those of the caller go over them.

        What librdkafka logs goes to the logger ``librdkafka``, when the client is polled, and nothing to stderr.

        Raises:
            ValueError: an extra is missing.
        """
        require_kafka()
        security = self.security
        settings: dict[str, Any] = {
            "bootstrap.servers": self.servers,
            "client.id": CLIENT_ID,
            "security.protocol": security.protocol,
            "reconnect.backoff.max.ms": _RECONNECT_MILLISECONDS,
            "topic.metadata.refresh.interval.ms": _METADATA_MILLISECONDS,
            "log.connection.close": False,
            "logger": _Log(),
        }
        if security.mechanism == AWS_IAM:
            _require_signer()
            settings |= {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": functools.partial(_sign_token, security.region)}
        elif security.is_sasl:
            settings |= {
                "sasl.mechanism": security.mechanism,
                "sasl.username": security.username,
                "sasl.password": security.password,
            }
        files = {
            "ssl.ca.location": security.ca,
            "ssl.certificate.location": security.certificate,
            "ssl.key.location": security.key,
        }
        return settings | {name: path for name, path in files.items() if path}

    def check(self, topics: Sequence[str] = (), seconds: float = 10.0, group: str = "") -> list[str]:
        """Make a first contact, and return those of the topics that do not exist yet; it makes none of them.

        Args:
            topics: their names.
            seconds: how long to wait for somebody to answer. A refusal is told at once.
            group: a group of consumers whose offsets are to be read.

        Raises:
            BrokerError: nobody answers, or they refuse.
            ValueError: an extra is missing.
        """
        require_kafka()
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicCollection  # noqa: PLC0415 (an extra)

        contact = _Contact(self, seconds)
        longer = seconds + _SPARE_SECONDS
        # A client that waited for the garbage collector with questions open might be found by it in librdkafka's own
        # thread, when an answer comes there, and that ends the process.
        with contact.open() as client:
            if topics:
                futures = client.describe_topics(TopicCollection(list(topics)), request_timeout=longer)
            else:
                futures = {"": client.describe_cluster(request_timeout=longer)}
            groups = [ConsumerGroupTopicPartitions(group)] if group else []
            offsets = [client.list_consumer_group_offsets([one], request_timeout=longer)[group] for one in groups]
            contact.wait(client, [*futures.values(), *offsets])
        for future in offsets:
            contact.is_missing(f"{self.address}, group {group},", future)
        return [
            name for name, future in futures.items() if contact.is_missing(f"{self.address}/{name}".rstrip("/"), future)
        ]


def require_kafka() -> ModuleType:
    """Return ``confluent_kafka``, which is an extra.

    Raises:
        ValueError: it is missing; the message says what to install.
    """
    try:
        import confluent_kafka  # noqa: PLC0415 (an extra)
    except ImportError:
        raise ValueError("kafka:// needs confluent-kafka: pip install 'transaction-streams[kafka]'") from None
    return confluent_kafka


def explain(error: KafkaError | KafkaException) -> str:
    """Return what an error says, in one line: without where librdkafka was, and under our own names of settings."""
    inner = error.args[0] if isinstance(error, Exception) and error.args else error
    text = getattr(inner, "str", inner.__str__)()
    return _plain(text) or str(inner)


def _plain(text: str) -> str:
    text = _THREAD.sub("", " ".join(text.split()))
    text = _STATE.sub("", _BROKER.sub("", text))
    text = _NOISE.sub("", text).strip().rstrip(":.")
    for theirs, ours in _NAMES.items():
        text = text.replace(theirs, ours)
    return text


class _Log:
    """Hands on what librdkafka logs. As what matters comes as an error, too, no line of it is a warning."""

    def log(self, level: int, message: str, *values: object) -> None:
        _LOGGER.log(min(level, logging.INFO), message, *values)


class _Contact(_Log):
    """A first contact with brokers, and why it fails."""

    def __init__(self, brokers: Brokers, seconds: float) -> None:
        self._brokers = brokers
        self._seconds = seconds
        self._last_words = ""
        self._refusal: KafkaError | None = None

    def open(self) -> Any:
        """Return a client that has begun to connect.

        Raises:
            BrokerError: of settings that cannot be, such as a file that has no certificate in it.
        """
        from confluent_kafka import KafkaException  # noqa: PLC0415 (an extra)
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 (an extra)

        settings = self._brokers.config()
        if "oauth_cb" in settings:
            self._try_token(settings["oauth_cb"])
        try:
            return AdminClient(settings | self._ears)
        except KafkaException as error:
            reason = explain(error).removeprefix("Failed to create admin client: ")
            raise self._error(f"cannot connect to {self._brokers.address}: {reason}; {_WHERE}") from None

    def log(self, level: int, message: str, *values: object) -> None:
        super().log(level, message, *values)
        self._last_words = _plain(str(values[-1]) if values else message)

    def wait(self, client: Any, futures: Sequence[Future[Any]]) -> None:
        """Wait until all have been answered.

        Raises:
            BrokerError: they refuse, or nobody answers in time.
        """
        deadline = time.monotonic() + self._seconds
        while not all(future.done() for future in futures):
            client.poll(_POLL_SECONDS)
            if self._refusal is not None:
                raise self._refused(self._refusal)
            if time.monotonic() >= deadline:
                raise self._nobody()

    def is_missing(self, what: str, future: Future[Any]) -> bool:
        """Return whether that is not there.

        Raises:
            BrokerError: they refuse, or have not answered.
        """
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 (an extra)

        try:
            future.result()
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return True
            if code < 0:  # no answer of a broker, but librdkafka's own
                self._last_words = explain(error)
                raise self._nobody() from None
            raise self._error(f"{what} refuses {self._brokers.security.who}: {explain(error)}") from None
        return False

    def _try_token(self, sign: Callable[[str], object]) -> None:
        """Librdkafka waits ten seconds for a token that does not come, and does not say why it does not."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (an extra)

        try:
            sign("")
        except (BotoCoreError, ClientError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise self._error(f"cannot sign in at {self._brokers.address} with AWS: {reason}") from None

    def _take_error(self, error: KafkaError) -> None:
        if error.code() == error._AUTHENTICATION or _is_of_tls(error):
            self._refusal = self._refusal or error

    def _refused(self, error: KafkaError) -> BrokerError:
        brokers = self._brokers
        what = f"{brokers.address} refuses {brokers.security.who}"
        if _is_of_tls(error):
            what = f"no encrypted connection to {brokers.address}"
        return self._error(f"{what}: {explain(error)}; {_WHERE}")

    def _nobody(self) -> BrokerError:
        if _HUNG_UP in self._last_words:
            who = self._brokers.security.who
            return self._error(f"{self._brokers.address} hangs up on {who}: it may want another protocol; {_WHERE}")
        reason = f": {self._last_words}" if self._last_words else ""
        return self._error(f"nobody answers at {self._brokers.address} within {self._seconds:g} s{reason}")

    @property
    def _ears(self) -> dict[str, Any]:
        # Of a broker that hangs up, there is nothing but that to be heard.
        return {"logger": self, "error_cb": self._take_error, "log.connection.close": True}

    @staticmethod
    def _error(text: str) -> BrokerError:
        return BrokerError(" ".join(text.split()))


def _is_of_tls(error: KafkaError) -> bool:
    return error.code() == error._SSL or _TLS.search(error.str()) is not None


def _require_signer() -> None:
    try:
        import aws_msk_iam_sasl_signer  # noqa: F401, PLC0415 (an extra)
    except ImportError:
        raise ValueError(
            f"{AWS_IAM} needs aws-msk-iam-sasl-signer-python: pip install 'transaction-streams[msk]'"
        ) from None


def _sign_token(region: str, _settings: str) -> tuple[str, float]:
    """Return a token for Amazon's MSK, and when it ends, in seconds since 1970."""
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 (an extra)

    try:
        token, end_milliseconds = MSKAuthTokenProvider.generate_auth_token(region)
    except AttributeError:  # of None, which it takes for credentials
        raise ValueError("no credentials of AWS found") from None
    return token, end_milliseconds / 1_000
