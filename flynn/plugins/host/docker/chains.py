"""Chains of rules as `iptables -S` tells of them: whether a packet may be let pass before it comes to a certain rule.

An ACCEPT in one table does not count in the next, but ends the way through its own.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise

GOES_ON = frozenset("DROP MARK CONNMARK LOG NFLOG DSCP TOS TTL HL TCPMSS SET CLASSIFY".split())
"""Targets after which a packet comes to the next rule, or nowhere (iptables-extensions(8)). Others may let it pass."""

ENDS = re.compile(r"\n(?=-[PNA] )")
"""Where the next chain or rule begins: what is in quotes, as a comment is, may have lines of its own."""

Rule = Sequence[str]
Chains = Mapping[str, Sequence[Rule]]


def chains_of(text: str) -> Chains:
    """The rules of each chain of a table, in words. ValueError: where each begins cannot be told."""
    found: dict[str, list[Rule]] = {}
    for line in ENDS.split(text):
        option, chain, *words = shlex.split(line)
        rules = found.setdefault(chain, [])
        if option == "-A":
            rules.append(words)
    return found


def is_first(chains: Chains, hook: str, rule: Rule, cards: str) -> bool:
    """Whether all that comes from cards whose names begin so, and that is not dropped before, comes to the rule in the
    chain `hook`. False also where there is no such rule."""
    for words in chains.get(hook, ()):
        if list(words) == list(rule):
            return True
        if _lets_pass(chains, words, cards, at_hook=True):
            return False
    return False


def _lets_pass(chains: Chains, rule: Rule, cards: str, at_hook: bool = False) -> bool:
    """Whether it may end the way of such a packet. From a chain that another leads to, RETURN only leads back."""
    option, target = next((two for two in pairwise(rule) if two[0] in ("-j", "-g")), ("", ""))
    if not target or target in GOES_ON or not _asks(rule, cards):
        return False
    if target in chains:
        leads_back = option == "-j" or not at_hook
        return not leads_back or any(_lets_pass(chains, inner, cards) for inner in chains[target])
    return at_hook if target == "RETURN" else True


def _asks(rule: Rule, cards: str) -> bool:
    """Whether it may be about what comes from them: `+` stands for any rest of a name."""
    for no, option, card in zip(("", *rule), rule, rule[1:], strict=False):
        if option == "-i" and no != "!":
            name = card.removesuffix("+")
            return name.startswith(cards) or (name != card and cards.startswith(name))
    return True
