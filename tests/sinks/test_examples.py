import doctest
import importlib
import pkgutil

import pytest

import sinks

MODULES = [module.name for module in pkgutil.iter_modules(sinks.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    flags = doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(importlib.import_module(f"sinks.{name}"), optionflags=flags).failed == 0
