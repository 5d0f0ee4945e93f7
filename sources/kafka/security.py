"""How to get in at Kafka brokers: who we are and whom we trust, from a file or from the environment.

Never from a command line, where passwords are for everybody to see.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from schemas.passwords import hold

PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL = PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
#: The identities of AWS, as Amazon's MSK takes them.
AWS_IAM = "AWS_MSK_IAM"
MECHANISMS = (*SCRAM, AWS_IAM)
_PATHS = ("ca", "certificate", "key")


@dataclass(frozen=True)
class KafkaSecurity:
    """How a client connects and who it says it is. Its ``repr`` has no password, and nor has what is pickled of it.

    Attributes:
        protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        mechanism: of SASL: SCRAM-SHA-256, SCRAM-SHA-512 or AWS_MSK_IAM.
        username: for SCRAM.
        password: for SCRAM; a text that is no :class:`schemas.passwords.Password` is known to this process only.
        ca: a file of the certificates to trust, PEM; without one, those that the system trusts.
        certificate: a file of our own certificate, PEM, for brokers that ask for one.
        key: a file of its key, PEM, without a password.
        region: of AWS.

    Raises:
        ValueError: these do not go together; the message begins with the name of the one to change.
    """

    protocol: str = PLAINTEXT
    mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = ""
    region: str = ""

    def __post_init__(self) -> None:
        for each in fields(self):
            if "\0" in getattr(self, each.name):
                raise ValueError(f"{each.name} cannot have the character U+0000 in it")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {self.protocol!r}")
        self._check_identity()
        self._check_tls()
        if self.password:
            object.__setattr__(self, "password", hold(self.password))

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is by TLS."""
        return self.protocol in {SSL, SASL_SSL}

    @property
    def is_sasl(self) -> bool:
        """Whether the broker asks for who we are."""
        return self.protocol in {SASL_PLAINTEXT, SASL_SSL}

    @property
    def who(self) -> str:
        """Whom the broker sees, for messages."""
        if self.mechanism == AWS_IAM:
            return "this identity of AWS"
        if self.is_sasl:
            return f"user {self.username!r}"
        if self.certificate:
            return f"certificate {self.certificate}"
        return f"clients without a {'certificate' if self.is_encrypted else 'user'}"

    def _check_identity(self) -> None:
        if not self.is_sasl:
            for name in ("mechanism", "username", "password"):
                if getattr(self, name):
                    raise ValueError(f"{name} is for SASL_PLAINTEXT and SASL_SSL, but the protocol is {self.protocol}")
            return
        if self.mechanism not in MECHANISMS:
            raise ValueError(f"mechanism must be one of {', '.join(MECHANISMS)}, got {self.mechanism!r}")
        if self.mechanism == AWS_IAM:
            if self.protocol != SASL_SSL:
                raise ValueError(f"protocol must be {SASL_SSL} for {AWS_IAM}, got {self.protocol!r}")
            for name in ("username", "password"):
                if getattr(self, name):
                    raise ValueError(f"{name} is not for {AWS_IAM}, which takes who you are from AWS's own settings")
            if not self.region:
                raise ValueError(f"region is missing, such as eu-west-1: {AWS_IAM} needs it")
            return
        for name in ("username", "password"):
            if not getattr(self, name):
                raise ValueError(f"{name} is missing: {self.mechanism} needs it")

    def _check_tls(self) -> None:
        for name in _PATHS:
            if getattr(self, name) and not self.is_encrypted:
                raise ValueError(f"{name} is for SSL and SASL_SSL, but the protocol is {self.protocol}")
        if bool(self.certificate) != bool(self.key):
            missing, given = ("key", "certificate") if self.certificate else ("certificate", "key")
            raise ValueError(f"{missing} is missing: the {given} is of no use without it")
