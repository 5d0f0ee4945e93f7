"""Options from a file: what is read, what wins, and what a file that cannot be is told."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line.config_file import CONFIG, PACE, parse_with_file
from schemas.values_file import read_section

EXCLUSIVE = (PACE, ("wide", "narrow"))


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "config.toml") -> str:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="prog", allow_abbrev=False)
    made.add_argument("--input", nargs="+", action="extend")
    pace = made.add_mutually_exclusive_group()
    for name in ("--speed", "--rate", "--interval"):
        pace.add_argument(name)
    shape = made.add_mutually_exclusive_group()
    shape.add_argument("--wide", action="store_true")
    shape.add_argument("--narrow", action="store_true")
    made.add_argument("--max-records", type=int)
    made.add_argument("--department", nargs="+", default=["2"])
    made.add_argument("--quiet", action="store_true")
    made.add_argument("--job_name")
    made.add_argument("rest", nargs="*")
    made.add_argument("--experiments", action="append")
    CONFIG.add_to(made)
    return made


def parsed(*argv: str, **more) -> argparse.Namespace:
    return parse_with_file(parser(), argv, exclusive=EXCLUSIVE, **more).values


def said(path: str, mode: str | None = None, **more) -> dict[str, object]:
    """Return what a file says: the values that are no defaults."""
    found = vars(parsed("--config", path, *([] if mode is None else ["--mode", mode]), **more))
    defaults = vars(parser().parse_args([]))
    return {name: value for name, value in found.items() if value != defaults[name] and name not in ("config", "mode")}


def section_of(values: dict[str, object]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def test_keys_at_the_top_are_for_all_modes_and_a_mode_comes_before_them(write):
    path = write('rate = 1\nmax-records = 5\n[fast]\nrate = 2\n[modes.slow]\nrate = 3\ninput = "a"\n')
    assert said(path, "fast") == {"max_records": 5, "rate": "2"}
    assert said(path, "slow") == {"max_records": 5, "rate": "3", "input": ["a"]}


@pytest.mark.parametrize("mode", ["real_data", "REAL_DATA", "Real_Data"])
def test_a_section_is_found_without_regard_to_case(write, mode):
    path = write("[DEFAULT]\nrate = 1\n[TEST]\nrate = 2\n[REAL_DATA]\nMax_Records = 7\n", "config.ini")
    assert said(path, mode) == {"rate": "1", "max_records": 7}
    assert read_section(path, mode).mode == ("REAL_DATA" if mode == "REAL_DATA" else mode)


@pytest.mark.parametrize(("name", "text"), [("c.toml", "[only]\nrate = 2\n"), ("c.INI", "[ONLY]\nrate = 2\n")])
def test_the_only_section_need_not_be_named(write, name, text):
    path = write(text, name)
    assert said(path) == {"rate": "2"}
    assert read_section(path, None).mode.lower() == "only"


def test_a_file_without_sections_needs_no_mode(write):
    assert said(write("rate = 2\n")) == {"rate": "2"}
    assert said(write("[DEFAULT]\nrate = 2\n", "c.ini")) == {"rate": "2"}
    assert said(write("")) == {}


def test_names_are_written_with_either_stroke_and_options_as_they_are_typed(write):
    path = write("max_records = 1\njob-name = 'x'\n")
    assert said(path) == {"max_records": 1, "job_name": "x"}


def test_values_are_texts_numbers_dates_and_lists(write):
    path = write(
        "rate = 0.5\njob_name = 2011-04-01\ninput = ['a b', '--x']\ndepartment = [1, 2]\nexperiments = ['x', '--y']\n"
    )
    assert said(path) == {
        "rate": "0.5",
        "job_name": "2011-04-01",
        "input": ["a b", "--x"],
        "department": ["1", "2"],
        "experiments": ["x", "--y"],
    }
    path = write("[DEFAULT]\ninput =\n  a b\n  100%\n", "c.ini")
    assert said(path) == {"input": ["a b", "100%"]}
    assert said(write("input = []\n")) == {}


@pytest.mark.parametrize("text", ["true", "1", "'yes'", "'ON'", "'True'"])
def test_a_flag_is_turned_on(write, text):
    assert said(write(f"quiet = {text}\n")) == {"quiet": True}


@pytest.mark.parametrize("text", ["false", "0", "'no'", "'Off'"])
def test_a_flag_is_left_off(write, text):
    assert said(write(f"quiet = {text}\n")) == {}


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((), {"input": ["a", "b"], "rate": "5", "department": ["3", "4"], "max_records": 9, "quiet": True}),
        (("--input", "z"), {"input": ["z"], "rate": "5"}),
        (("--input=y", "--input", "z"), {"input": ["y", "z"]}),
        (("--department", "7"), {"department": ["7"], "input": ["a", "b"]}),
        (("--speed", "2"), {"speed": "2", "rate": None}),
        (("--interval=1..3",), {"interval": "1..3", "rate": None}),
        (("--narrow",), {"narrow": True, "wide": False}),
        (("--max-records", "1"), {"max_records": 1}),
        (("--", "--rate"), {"rest": ["--rate"], "rate": "5", "department": ["3", "4"]}),
        (("x",), {"rest": ["x"], "department": ["3", "4"]}),
    ],
)
def test_the_command_line_wins(write, argv, expected):
    path = write('input = ["a", "b"]\nrate = 5\ndepartment = [3, 4]\nmax-records = 9\nquiet = true\nwide = true\n')
    # The file is named first, so that what stands behind ``--`` is no option.
    found = vars(parsed(f"--config={path}", *argv))
    assert {name: found[name] for name in expected} == expected


def test_a_mode_replaces_the_pace_of_all_modes(write):
    path = write("rate = 5\n[modes.a]\nspeed = 60\n[modes.b]\nquiet = true\n")
    assert (parsed("--config", path, "--mode", "a").rate, parsed("--config", path, "--mode", "a").speed) == (None, "60")
    assert parsed("--config", path, "--mode", "b").rate == "5"


def test_without_a_file_nothing_changes():
    assert parsed("--rate", "1") == parser().parse_args(["--rate", "1"])


def test_a_mode_needs_a_file():
    with pytest.raises(ValueError, match=r"^mode is a section of a --config file, got --mode x without one$"):
        parsed("--mode", "x")


def test_a_program_may_have_keys_of_its_own(write):
    def translate(section):
        seen.append(section)
        values = dict(section.values)
        return {"input": f"exec:{values.pop('script_name')}", **values}

    seen = []
    path = write("[DEFAULT]\nscript_name = x\nrate = 3\n", "c.ini")
    found = parsed("--config", path, "--speed", "2", translate=translate)
    assert (found.input, found.speed, found.rate) == (["exec:x"], "2", None)
    assert seen[0].given == {"config", "speed", "rate", "interval", "unpaced"}
    assert seen[0].place == path


@pytest.mark.parametrize(
    ("name", "text", "mode", "message"),
    [
        ("c.toml", "rat = 3\n", None, r"^unknown option 'rat' in .*c\.toml: did you mean rate\?$"),
        (
            "c.ini",
            "[A]\nmax-record = 3\n",
            "a",
            r"^unknown option 'max_record' in .*\[a\]: did you mean max_records\?$",
        ),
        ("c.toml", "zzzzzzzz = 3\n", None, r"^unknown option 'zzzzzzzz' in .*c\.toml$"),
        ("c.toml", "[a]\n[modes.b]\n", "c", r"c\.toml has no section \[c\]: it has \[a\], \[b\]$"),
        ("c.ini", "[A]\n[B]\n", "c", r"c\.ini has no section \[c\]: it has \[A\], \[B\]$"),
        ("c.ini", "", "c", r"c\.ini has no section \[c\]: it has none$"),
        ("c.ini", "[A]\n[B]\n", None, r"^--mode must say which section of .*c\.ini to read: \[A\], \[B\]$"),
        ("c.toml", "rate = 1\nspeed = \n", None, r"c\.toml, line 2: Invalid value$"),
        ("c.toml", "rate = 1\nspeed = '", None, r"c\.toml, line 2: "),
        ("c.toml", "rate = 1\nrate = 2\n", None, r"c\.toml, line 2: Cannot overwrite a value$"),
        ("c.ini", "rate = 1\n", None, r"c\.ini, line 1: expected a \[SECTION\] first$"),
        ("c.ini", "[A]\nrate = 1\n[A]\n", None, r"c\.ini, line 3: a second section \[A\]$"),
        ("c.ini", "[A]\nrate = 1\nrate = 2\n", None, r"c\.ini, line 3: a second rate in \[A\]$"),
        ("c.ini", "[A]\nrate = 1\nspeed\n", None, r"c\.ini, line 3: expected NAME = VALUE$"),
        ("c.toml", b"rate = 1\nx = '\xff'\n", None, r"c\.toml, line 2: not UTF-8$"),
        ("c.toml", "max-records = 1\nmax_records = 2\n", None, r"^max_records stands twice in .*c\.toml$"),
        ("c.toml", "[modes]\nrate = 1\n", None, r"^\[modes\] of .*c\.toml takes tables only, got rate = 1$"),
        ("c.toml", "quiet = 'maybe'\n", None, r"^quiet in .*c\.toml: expected true or false, got 'maybe'$"),
        (
            "c.toml",
            "rate = true\n",
            None,
            r"^rate in .*c\.toml: expected a text, a number or a list of them, got True$",
        ),
        ("c.toml", "rate = [[1]]\n", None, r"got \[1\]$"),
        ("c.toml", "[a.rate]\nx = 1\n", None, r"^rate in .*\[a\]: expected a text, .*, got \{'x': 1\}$"),
        ("c.yaml", "rate: 1\n", None, r"^expected a file ending in \.toml or \.ini, got '.*c\.yaml'$"),
    ],
)
def test_a_file_that_cannot_be_is_told_in_one_line(write, name, text, mode, message):
    with pytest.raises(ValueError, match=message) as raised:
        said(write(text, name), mode)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"^cannot read .*none\.toml: No such file or directory$"):
        read_section(tmp_path / "none.toml", None)
    (tmp_path / "folder.ini").mkdir()
    with pytest.raises(ValueError, match=r"^cannot read .*: Is a directory$"):
        read_section(tmp_path / "folder.ini", None)


def test_an_editor_may_put_a_mark_before_the_text(write):
    assert said(write(b"\xef\xbb\xbf[DEFAULT]\r\nrate = 1\r\n", "c.ini")) == {"rate": "1"}
    assert said(write(b"\xef\xbb\xbfrate = 1\r\n")) == {"rate": "1"}


@given(
    st.dictionaries(st.sampled_from(["max-records", "quiet", "wide"]), st.sampled_from(["0", "1"])),
    st.dictionaries(st.sampled_from(["max-records", "quiet", "wide"]), st.sampled_from(["0", "1"])),
    st.none() | st.integers(0, 9),
)
def test_the_command_line_comes_before_the_mode_and_the_mode_before_all_modes(for_all, own, records):
    folder = Path(__file__).parent
    made = {}
    for name, texts in (
        ("toml", section_of(for_all) + "[m]\n" + section_of(own)),
        ("ini", "[DEFAULT]\n" + section_of(for_all) + "[M]\n" + section_of(own)),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "read_bytes", lambda _, texts=texts: texts.encode())
            argv = ["--config", str(folder / f"c.{name}"), "--mode", "m"]
            made[name] = parsed(*argv, *([] if records is None else ["--max-records", str(records)]))
    both = for_all | own
    for found in made.values():
        expected = int(both["max-records"]) if "max-records" in both else None
        assert found.max_records == (expected if records is None else records)
        assert (found.quiet, found.wide) == tuple(both.get(name) == "1" for name in ("quiet", "wide"))


SHOP = "[DEFAULT]\nquiet = 1\n[ONE]\nrate = 3\n[TWO]\nMax-Records = 7\n"
TOGETHER = ("ONE", "TWO", "THREE")


def test_sections_that_belong_together_are_read_as_one(write):
    section = read_section(write(SHOP, "c.ini"), None, (), TOGETHER)
    assert section.values == {"quiet": "1", "ONE.rate": "3", "TWO.max_records": "7"}
    assert (section.mode, section.place) == ("", str(section.file))
    toml = read_section(write("quiet = true\n[TWO]\nmax-records = 7\n"), None, (), TOGETHER)
    assert toml.values == {"quiet": True, "TWO.max_records": 7}


def test_other_sections_and_a_named_one_are_modes(write):
    assert read_section(write(SHOP, "c.ini"), "two", (), TOGETHER).values == {"quiet": "1", "max_records": "7"}
    assert read_section(write("[A]\nrate = 1\n", "c.ini"), None, (), TOGETHER).values == {"rate": "1"}


def test_a_stray_section_is_told(write):
    with pytest.raises(ValueError, match=r"^unknown section \[FOUR\] in .*: expected \[ONE\], \[TWO\], \[THREE\]$"):
        read_section(write(SHOP + "[FOUR]\n", "c.ini"), None, (), TOGETHER)
    with pytest.raises(ValueError, match=r"^rate_x stands twice in .* \[ONE\]$"):
        read_section(write("[ONE]\nrate-x = 1\nrate_x = 1\n", "c.ini"), None, (), TOGETHER)


def test_what_belongs_together_is_translated(write):
    def translate(section):
        return {name.rpartition(".")[2]: value for name, value in section.values.items()}

    found = said(write(SHOP, "c.ini"), translate=translate, together=TOGETHER)
    assert found == {"quiet": True, "rate": "3", "max_records": 7}
