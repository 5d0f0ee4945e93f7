"""Forms are made of the options of the command line, and say what it says."""

from __future__ import annotations

import importlib
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from command_line.main import PIPELINES
from pages.jobs.form import HIDDEN, describe_form, fill_in, place_of, shown_value, split_secrets, with_passwords

FOUND = [importlib.import_module(f"pipelines.{name}").PIPELINE for name in PIPELINES]
PRODUCE, RELAY = FOUND[0], FOUND[4]
ALL = pytest.mark.parametrize("pipeline", FOUND, ids=PIPELINES)
TEXT_FIELDS = [
    (option.flag, option.name)
    for group in RELAY.all_groups
    for option in group.options
    if option.values == "one" and option.check is option.type is option.choices is None and option.flag not in HIDDEN
]


@ALL
def test_a_form_has_every_option_that_a_job_of_a_page_can_use(pipeline):
    groups = json.loads(json.dumps(describe_form(pipeline, {})))
    flags = [option["flag"] for group in groups for option in group["options"]]
    known = [option.flag for group in pipeline.all_groups for option in group.options]
    assert flags == [flag for flag in known if flag not in HIDDEN]


@ALL
def test_an_empty_form_says_nothing(pipeline):
    described = describe_form(pipeline, {})
    values = {option["flag"]: option["value"] for group in described for option in group["options"]}
    assert fill_in(pipeline, values) == ([], {})


@settings(max_examples=15)  # each makes parsers of all options of Beam
@given(st.dictionaries(st.sampled_from(TEXT_FIELDS), st.text(max_size=20)))
@example({("--kafka-security", "kafka_security"): "\x00"})
def test_what_is_typed_into_a_field_is_the_value_of_that_option_and_of_no_other(typed):
    typed = {field: text for field, text in typed.items() if field[0] not in ("--config", "--mode", "--runner")}
    filled = fill_in(RELAY, {flag: text for (flag, _), text in typed.items()})
    assert filled.errors.keys() == {flag for (flag, _), text in typed.items() if "\0" in text}
    if filled.errors:
        return
    expected = vars(RELAY.parse([])) | {name: text.strip() for (_, name), text in typed.items() if text.strip()}
    found = vars(RELAY.parse(filled.arguments))
    unlike = {name for name in expected if found[name] != expected[name]} - {"beam", "beam_flags"}
    assert unlike == set()


@settings(max_examples=15)
@given(st.lists(st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=12), min_size=1))
def test_words_that_look_like_options_are_inputs(words):
    import shlex

    filled = fill_in(RELAY, {"--input": shlex.join(words)})
    if not filled.errors:
        assert RELAY.parse(filled.arguments).input == words


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        *(("--window", "5x"), ("--window", "--emit=1s"), ("--emit", "soon"), ("--max-records", "0"), ("--rate", "-1")),
        *(("--shape", "round"), ("--department", "none"), ("--department", "2 --window"), ("--input", "ftp://a/b")),
        *(("--output", "'"), ("--disorder", "1s 2s"), ("more", "'"), ("--value-format", "xml")),
        *(("--output", "a\x00.jsonl"), ("more", "\x00"), ("--input", "\ud800"), ("--rejected", "a\udfff")),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(flag, text):
    filled = fill_in(PRODUCE, {flag: text})
    assert filled.errors.keys() == {flag}
    assert "\n" not in filled.errors[flag]


def test_options_that_exclude_one_another_are_told_beside_one_of_them():
    errors = fill_in(PRODUCE, {"--speed": "2", "--rate": "3"}).errors
    assert errors == {"--rate": "not allowed with argument --speed"}


@pytest.mark.parametrize("values", [{"--what": "1"}, {"--quiet": True}, {"--input": 3}, {"--input": "x" * 20_000}])
def test_what_no_field_has_is_refused(values):
    assert fill_in(PRODUCE, values).errors


def test_options_of_beam_are_known_and_others_are_not():
    assert fill_in(PRODUCE, {"more": "--flink_master=localhost:8081 --parallelism 2"}).errors == {}
    assert "unknown option --paralelism" in fill_in(PRODUCE, {"more": "--paralelism=2"}).errors[""]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("wrong usage: argument --window: expected a time", "--window"),
        ("wrong usage: max-records is for files", "--max-records"),
        ("wrong usage: --from committed goes on exactly where", "--from"),
        ("wrong usage: there is no file tape.tsv", ""),
        ("wrong usage: --unheard-of is not --window", "--window"),
    ],
)
def test_an_error_finds_its_field(line, place):
    assert place_of(line, ["--window", "--max-records", "--from"]) == place


def test_an_option_with_a_password_is_in_no_list_of_processes():
    seen, secret = split_secrets(["--window=1h", "--output=a.jsonl", "--output=postgresql://me:pw@db/shop"])
    assert seen == ["--window=1h"]
    assert secret == {"output": ["a.jsonl", "postgresql://me:pw@db/shop"]}


def test_a_password_cannot_overrule_a_file():
    errors = fill_in(PRODUCE, {"--config": "a.toml", "--output": "postgresql://me:pw@db/shop"}).errors
    assert "beside --config" in errors["--config"]


def test_a_form_that_was_masked_keeps_its_passwords():
    before = {"--output": "postgresql://me:pw@db/shop", "--window": "1h"}
    masked = {flag: shown_value(value) for flag, value in before.items()}
    assert masked["--output"] == "postgresql://me:***@db/shop"
    assert with_passwords(masked, before) == before
    changed = {"--output": "postgresql://you:***@db/shop"}
    assert with_passwords(changed, before) == changed
