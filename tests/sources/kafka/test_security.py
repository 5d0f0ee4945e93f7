"""How to get in at Kafka brokers: what is read, what goes together, and what is never shown."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line.credentials import VARIABLES, read_security
from sources.kafka.security import AWS_IAM, SASL_PLAINTEXT, SASL_SSL, SCRAM, SSL, KafkaSecurity

WORD = "s3cret-word"
SCRAM_USER = f'mechanism = "SCRAM-SHA-512"\nusername = "me"\npassword = "{WORD}"\n'


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "kafka.toml") -> str:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


def refusal(path: str | None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ValueError, match=r"\S") as caught:
        read_security(path, environ or {})
    text = str(caught.value)
    assert "\n" not in text
    assert WORD not in text
    return text


def test_without_a_file_and_variables_a_broker_asks_for_nothing():
    assert read_security(None, {}) == KafkaSecurity()
    assert read_security("", {"PATH": "/bin"}) == KafkaSecurity()


def test_a_file_has_the_names_of_the_attributes(write, tmp_path):
    (tmp_path / "ca.pem").touch()
    path = write(SCRAM_USER + 'protocol = "sasl_ssl"\nca = "ca.pem"\n')
    assert read_security(path, {"KAFKA_USERNAME": "not me"}) == KafkaSecurity(
        SASL_SSL, "SCRAM-SHA-512", "me", WORD, ca=str(tmp_path / "ca.pem")
    )


def test_a_user_is_not_sent_without_encryption_unless_one_says_so(write, tmp_path):
    assert read_security(write(SCRAM_USER), {}).protocol == SASL_SSL
    assert read_security(write(SCRAM_USER + 'protocol = "SASL_PLAINTEXT"\n'), {}).protocol == SASL_PLAINTEXT
    (tmp_path / "ca.pem").touch()
    assert read_security(write('ca = "ca.pem"\n'), {}).protocol == SSL


@pytest.mark.parametrize(("line", "variable"), [("", "KAFKA_PASSWORD"), ('password_env = "OTHER"\n', "OTHER")])
def test_a_password_may_be_in_the_environment(write, line, variable):
    path = write('mechanism = "SCRAM-SHA-256"\nusername = "me"\n' + line)
    assert read_security(path, {variable: WORD}).password == WORD
    assert variable in refusal(path, {"KAFKA_PASSWORD": ""})


def test_variables_stand_for_a_file(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.touch()
    environ = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "scram-sha-256",
        "KAFKA_USERNAME": "me",
        "KAFKA_PASSWORD": WORD,
        "KAFKA_CA": str(ca),
        "KAFKA_CERTIFICATE": str(ca),
        "KAFKA_KEY": str(ca),
    }
    found = read_security(None, environ)
    assert found == KafkaSecurity(SASL_SSL, SCRAM[0], "me", WORD, ca=str(ca), certificate=str(ca), key=str(ca))


def test_a_password_alone_in_the_environment_is_for_other_runs():
    assert read_security(None, {"KAFKA_PASSWORD": WORD}) == KafkaSecurity()


@pytest.mark.parametrize("variable", ["KAFKA_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_looked_for_where_aws_looks_for_it(variable):
    found = read_security(None, {"KAFKA_SASL_MECHANISM": AWS_IAM, variable: "eu-west-1"})
    assert found == KafkaSecurity(SASL_SSL, AWS_IAM, region="eu-west-1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('protocol = "TLS"\n', "protocol must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, got 'TLS'"),
        ('mechanism = "PLAIN"\n', "mechanism must be one of SCRAM-SHA-256, .* got 'PLAIN'"),
        (f'username = "me"\npassword = "{WORD}"\n', "mechanism must be one of .*, got ''"),
        ('mechanism = "SCRAM-SHA-256"\n', "username is missing: SCRAM-SHA-256 needs it"),
        ('mechanism = "SCRAM-SHA-256"\nusername = "me"\n', "password is missing: neither it, nor password_env"),
        (SCRAM_USER + 'protocol = "SSL"\n', "mechanism is for SASL_PLAINTEXT and SASL_SSL, but the protocol is SSL"),
        ('protocol = "SASL_PLAINTEXT"\nmechanism = "AWS_MSK_IAM"\nregion = "x"\n', "protocol must be SASL_SSL for AWS"),
        ('mechanism = "AWS_MSK_IAM"\n', "region is missing"),
        ('mechanism = "AWS_MSK_IAM"\nregion = "x"\nusername = "me"\npassword = "x"\n', "username is not for AWS_MSK"),
        ('protocol = "PLAINTEXT"\nca = "kafka.toml"\n', "ca is for SSL and SASL_SSL, but the protocol is PLAINTEXT"),
        ('certificate = "kafka.toml"\n', "key is missing: the certificate is of no use without it"),
        ('key = "kafka.toml"\nprotocol = "SSL"\n', "certificate is missing: the key is of no use without it"),
        ('ca = "none.pem"\n', r"ca: there is no file /.*none\.pem"),
        (SCRAM_USER + 'password_env = "X"\n', "password and password_env are two ways"),
        ('username = "me"\npassword_env = "X"\n', "password_env names X, which is not set"),
        ('usrname = "me"\n', "unknown name 'usrname': did you mean username"),
        ("bootstrap = 1\n", "unknown name 'bootstrap': expected some of protocol, "),
        ("username = 1\n", "username must be a text in quotes, and not an empty one, got 1"),
        ('password = ""\n', "password must be a text in quotes, and not an empty one$"),
        ('mechanism = "SCRAM-SHA-256"\nusername = "a\\u0000b"\npassword = "x"\n', "username cannot have .* U.0000"),
        (f"password = {WORD}\n", "--kafka-security: .*, line 1: "),
        (f'[kafka]\npassword = "{WORD}"\n', r"takes names and values.* got \[kafka\]"),
        (b'username = "\xff"\n', "line 1: not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_is_told_in_one_line(write, text, says):
    path = write(text)
    message = refusal(path)
    assert re.search(says, message), message
    assert path in message


def test_a_file_that_is_not_there_and_one_that_is_no_toml(write, tmp_path):
    assert "cannot read" in refusal(str(tmp_path / "none.toml"))
    assert "expected a file ending in .toml" in refusal(write(SCRAM_USER, "kafka.yaml"))


INI = f"[SALES]\nmember_freq = 3\n[KAFKA]\nauth_method = sasl_scram\nsasl_username = me\nsasl_password = {WORD}\n"


def test_the_configuration_of_a_generator_has_a_section_for_it(write):
    wanted = KafkaSecurity("SASL_SSL", "SCRAM-SHA-512", "me", WORD)
    assert read_security(write(INI, "configuration.ini"), {}) == wanted
    plain = write(INI.replace("sasl_scram", "plaintext"), "plain.ini")
    assert read_security(plain, {}) == read_security(write("[KAFKA]\n", "empty.ini"), {}) == KafkaSecurity()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            INI.replace("sasl_scram", "magic"),
            r"auth_method in \[KAFKA\] of .*: expected plaintext or sasl_scram, got 'magic'",
        ),
        (INI.replace("sasl_username = me\n", ""), "username is missing: SCRAM-SHA-512 needs it"),
        (INI.replace(WORD, ""), "password is missing: SCRAM-SHA-512 needs it"),
        ("[SALES]\n", r"has no section \[KAFKA\]"),
    ],
)
def test_a_configuration_that_cannot_be_is_told_in_one_line(write, text, says):
    path = write(text, "configuration.ini")
    message = refusal(path)
    assert re.search(says, message), message
    assert path in message


def test_what_is_wrong_with_the_environment_is_told_as_such():
    message = refusal(None, {"KAFKA_SECURITY_PROTOCOL": "x"})
    assert message.startswith("the environment (KAFKA_...): protocol must be one of")


def test_the_password_is_not_shown_but_counts_and_travels():
    security = KafkaSecurity(SASL_SSL, SCRAM[0], "me", WORD)
    assert WORD not in repr(security) + str(security) + security.who
    assert security == pickle.loads(pickle.dumps(security))
    assert hash(security) == hash(pickle.loads(pickle.dumps(security)))
    assert security != KafkaSecurity(SASL_SSL, SCRAM[0], "me", "other")


@given(values=st.dictionaries(st.sampled_from(list(VARIABLES)), st.text("\0aé '\"\n", max_size=3)))
def test_no_value_is_answered_by_anything_but_an_error_of_one_line(values):
    try:
        KafkaSecurity(**values)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017 - some values are good
