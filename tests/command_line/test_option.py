"""The law of options: each is the same by flag and by file, or is refused with the same words."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line.option import Option
from pipelines import credit, errors, produce, relay, sales

PIPELINES = [each.PIPELINE for each in (credit, errors, produce, relay, sales)]
#: Texts that some options take, and others refuse.
TEXTS = st.sampled_from(
    [
        "1",
        "0",
        "7",
        "-3",
        "0.5",
        "1e3",
        "10m",
        "10m/5m",
        "1h",
        "all",
        "never",
        "1..3",
        "3..1",
        "50%",
        "a.jsonl",
        "a,b",
        "tcp://127.0.0.1:9",
        "sqlite:///x.db",
        "postgres://me:secret@h/db",
        "latest",
        "committed",
        "purchases=p",
        "--x",
    ]
) | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


def outcome(pipeline: Any, argv: list[str]) -> dict[str, object] | str:
    """Return the values that a command line gives, or why it is refused."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            values = vars(pipeline.parse(argv))
    except SystemExit:
        return said.getvalue()
    return {name: value for name, value in values.items() if name not in ("config", "mode", "beam")}


@given(st.data())
@settings(max_examples=60)
def test_an_option_is_the_same_by_flag_and_by_file(tmp_path_factory, data):
    pipeline = data.draw(st.sampled_from(PIPELINES))
    options = [option for group in pipeline.all_groups for option in group.options]
    option: Option = data.draw(st.sampled_from([each for each in options if each.name not in ("config", "mode")]))
    if option.values == "flag":
        texts, value, typed = [], data.draw(st.booleans()), [option.flag]
        typed = typed if value else []
    else:
        choices = st.sampled_from(tuple(option.choices)) if option.choices else TEXTS
        texts = data.draw(st.lists(TEXTS | choices, min_size=1, max_size=1 if option.values == "one" else 3))
        value = texts if len(texts) > 1 else texts[0]
        adds = len(texts) == 1 or option.values.endswith("added")
        typed = [f"{option.flag}={text}" for text in texts] if adds else [option.flag, *texts]
    file = tmp_path_factory.mktemp("c") / "c.toml"
    file.write_text(f"{option.flag.lstrip('-')} = {json.dumps(value, ensure_ascii=False)}\n", encoding="utf-8")
    by_flag, by_file = outcome(pipeline, typed), outcome(pipeline, ["--config", str(file)])
    if isinstance(by_flag, str):
        by_flag = "".join(line for line in by_flag.splitlines(keepends=True) if not line.startswith("warning: "))
    assert by_file == by_flag


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
def test_a_form_could_be_made_of_the_options(pipeline):
    for group in pipeline.all_groups:
        assert group.title
        for option in group.options:
            assert option.help
            default = pipeline.parse([]).__dict__[option.name]
            assert default == (False if option.values == "flag" else option.default)
