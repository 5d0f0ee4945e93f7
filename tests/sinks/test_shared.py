"""What is borrowed is opened once, closed once, and never left open."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sinks.shared import Shared


class Thing:
    """Counts how often it was closed."""

    def __init__(self, key: str) -> None:
        self.key, self.closed, self.has_failed = key, 0, False

    def close(self) -> None:
        self.closed += 1


class Borrowers(RuleBasedStateMachine):
    """Borrowers come and go in any order, and things fail meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Thing] = []
        self.lent: list[Thing] = []
        self.shared: Shared[str, Thing] = Shared(self.make, Thing.close, lambda thing: thing.has_failed)

    def make(self, key: str) -> Thing:
        self.made.append(Thing(key))
        return self.made[-1]

    @rule(key=st.sampled_from("ab"))
    def borrow(self, key: str) -> None:
        usable = [thing for thing in self.lent if thing.key == key and not thing.has_failed]
        thing = self.shared.borrow(key)
        assert thing is (usable[0] if usable else self.made[-1])
        self.lent.append(thing)

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if self.lent:
            thing = self.lent.pop(data.draw(st.integers(0, len(self.lent) - 1)))
            self.shared.give_back(thing.key, thing)

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        if self.lent:
            data.draw(st.sampled_from(self.lent)).has_failed = True

    @invariant()
    def what_nobody_has_is_closed_and_what_somebody_can_use_is_open(self) -> None:
        lent = Counter(map(id, self.lent))
        for thing in self.made:
            if not lent[id(thing)]:
                assert thing.closed >= 1
            elif not thing.has_failed:
                assert thing.closed == 0

    def teardown(self) -> None:
        while self.lent:
            thing = self.lent.pop()
            self.shared.give_back(thing.key, thing)
        assert all(thing.closed for thing in self.made)


TestBorrowers = Borrowers.TestCase


def test_what_cannot_be_opened_is_not_lent() -> None:
    def refuse(key: str) -> Thing:
        raise OSError(key)

    shared: Shared[str, Thing] = Shared(refuse, Thing.close)
    for _ in range(2):
        with pytest.raises(OSError, match="a"):
            shared.borrow("a")
