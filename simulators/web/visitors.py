"""Visitors of a web server: people and bots, each with an IP address that nobody else has."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulators.engine.byte_layout import Ints, Texts, table

MAX_VISITORS = 1_000_000
#: How many people there are for each bot; there is always one of each kind.
_PEOPLE_PER_BOT = 400
_LEAST_BOTS = 3
_SHARE_IPV6 = 0.4
_POPULATION_STREAM = 81

_PRIVATE_NET = int(ipaddress.IPv4Address("10.0.0.0"))
_DOCUMENTATION_NET = int(ipaddress.IPv6Address("2001:db8::"))
# Odd, so that each number below a power of two goes to another one below it.
_SPREAD = 2_654_435_761
_PRIVATE_BITS, _SUBNET_BITS, _INTERFACE_BITS = 24, 32, 64


@dataclass(frozen=True, eq=False)
class Visitors:
    """The population of one seed; visitors are numbers, people first, bots behind them.

    Attributes:
        people: how many; those with a small number come more often.
        bots: how many.
        addresses: the IP address of each as text, IPv6 in its canonical form.
    """

    people: int
    bots: int
    addresses: Texts

    @property
    def monitor(self) -> int:
        """The bot that looks whether the server is there."""
        return self.people

    def draw_people(self, rng: np.random.Generator, count: int) -> Ints:
        """Draw who comes: a few come all the time, most of them now and then."""
        return (self.people * rng.random(count) ** 2).astype(np.int64)


@lru_cache(maxsize=2)
def make_visitors(people: int, seed: int) -> Visitors:
    """Make a population.

    Addresses are of 10.0.0.0/8 and of 2001:db8::/32, which are nobody's. Bots have IPv4.
    """
    bots = max(_LEAST_BOTS, people // _PEOPLE_PER_BOT)
    count = people + bots
    rng = np.random.default_rng([seed, _POPULATION_STREAM])
    offset = int(rng.integers(1 << _SUBNET_BITS))
    spread = (np.arange(count, dtype=np.uint64) * np.uint64(_SPREAD) + np.uint64(offset)).tolist()
    interfaces = rng.integers(1 << _INTERFACE_BITS - 1, size=count).tolist()
    is_ipv6 = rng.random(count) < _SHARE_IPV6
    is_ipv6[people:] = False
    texts = []
    for number, interface, has_ipv6 in zip(spread, interfaces, is_ipv6.tolist(), strict=True):
        if has_ipv6:
            subnet = number % (1 << _SUBNET_BITS)
            texts.append(str(ipaddress.IPv6Address(_DOCUMENTATION_NET | subnet << _INTERFACE_BITS | interface)))
        else:
            texts.append(str(ipaddress.IPv4Address(_PRIVATE_NET | number % (1 << _PRIVATE_BITS))))
    return Visitors(people, bots, table(texts))
