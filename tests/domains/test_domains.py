"""The six namespaces, and the way into each by key."""

import pytest
from pydantic import ValidationError

from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.ref import DOMAINS
from oneiric.core.resolver import Resolver
from oneiric.domains import ALL, DomainBridge, DomainSettings
from oneiric.errors import InvalidRefError, NoCandidateError, PausedError


class Kettle:
    pass


class Pot:
    pass


def bridge(name: str = "service") -> DomainBridge:
    resolver = Resolver()
    for ref in ("service:tea", "service:soup", "task:tea"):
        resolver.register(Candidate(ref, "kettle", Kettle, priority=1, capabilities=["fast"]))
        resolver.register(Candidate(ref, "pot", Pot))
    return DomainBridge(ALL[name], LifecycleManager(resolver))


def test_the_domains_are_the_six_namespaces() -> None:
    """Section and group of entry points follow from the name."""
    assert tuple(ALL) == DOMAINS
    assert [(each.section, each.group) for each in ALL.values()] == [
        ("adapters", "oneiric.adapters"),
        ("services", "oneiric.services"),
        ("tasks", "oneiric.tasks"),
        ("events", "oneiric.events"),
        ("workflows", "oneiric.workflows"),
        ("actions", "oneiric.actions"),
    ]


def test_a_bridge_knows_the_keys_of_its_domain_only() -> None:
    """Keys are sorted; those of other domains are not among them."""
    assert bridge().keys() == ["soup", "tea"]
    assert bridge("task").keys() == ["tea"]
    assert bridge("event").keys() == []


def test_a_bridge_explains_by_key() -> None:
    """Its decisions are the resolver's own, one a key."""
    service = bridge()

    assert service.explain("tea") == service.lifecycle.resolver.explain("service:tea")
    assert [str(each.ref) for each in service.decisions()] == ["service:soup", "service:tea"]
    assert service.explain("tea@pot").standing("pot").place == "selected"


@pytest.mark.parametrize("key", ["", "../x", "a b", "task:tea", "tea@", "tea@x@y"])
def test_what_is_no_key_is_refused(key: str) -> None:
    """A key cannot lead out of its domain."""
    with pytest.raises(InvalidRefError):
        bridge().ref(key)


async def test_a_bridge_holds_what_it_is_asked_for() -> None:
    """By key, by provider, by capability; an unknown key is an error."""
    service = bridge()

    async with service.use("tea") as best, service.use("tea", provider="pot") as other:
        assert (type(best), type(other)) == (Kettle, Pot)
    async with service.use("tea@pot") as named, service.use("tea", needs=["fast"]) as fast:
        assert (type(named), type(fast)) == (Pot, Kettle)
    with pytest.raises(NoCandidateError):
        async with service.use("coffee"):
            pass
    await service.lifecycle.close()


async def test_a_bridge_pauses_drains_and_resumes_by_key() -> None:
    """Paused work is refused with who and why; other keys and domains go on."""
    service = bridge()

    paused = await service.pause("tea", note="descaling", actor="me")
    assert (str(paused.state), paused.note, paused.actor) == ("paused", "descaling", "me")
    with pytest.raises(PausedError, match="service:tea is paused by me: descaling"):
        async with service.use("tea"):
            pass
    async with service.use("soup"):
        pass
    report = await service.drain("tea", limit=1)
    assert report.in_flight == 0
    await service.resume("tea")
    async with service.use("tea"):
        pass
    await service.lifecycle.close()


def test_the_settings_of_a_domain_refuse_what_they_do_not_know() -> None:
    """A misspelled key is an error, and settings never change."""
    with pytest.raises(ValidationError):
        DomainSettings.model_validate({"selection": {}})
    settings = DomainSettings(selections={"cache": "memory"})
    with pytest.raises(ValidationError):
        settings.selections = {}
