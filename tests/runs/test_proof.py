"""Proofs: evidence that keeps no secrets, and a chain that shows what was done to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.documents import canonical, digest, parse
from oneiric.errors import DocumentError, InvalidError, JSONValue, ProofError
from oneiric.runs.body import Provenance
from oneiric.runs.proof import EXCERPT_LIMIT, Proof, ProofOutcome, verify_chain
from oneiric.text.redaction import MASK

AT = "2026-11-21T09:00:00.000000Z"
DIGEST = digest("request")
BY = Provenance("http", "1.2", DIGEST, DIGEST)
PASSED = Proof(
    claim="the service is healthy",
    subject="https://api.example.com/health",
    kind="live",
    outcome=ProofOutcome.PASSED,
    at=AT,
    by=BY,
    digests={"request": DIGEST, "response": digest("response")},
    excerpts={"response": '{"status": "ok"}'},
    facts={"user": "test@example.com", "status": 200, "asserted": [{"name": "status"}]},
)
AS_JSON: Mapping[str, JSONValue] = {
    "claim": "the service is healthy",
    "subject": "https://api.example.com/health",
    "kind": "live",
    "outcome": "pass",
    "at": AT,
    "by": {"provider": "http", "version": "1.2", "manifest": DIGEST, "decision": DIGEST},
    "digests": {"request": DIGEST, "response": digest("response")},
    "excerpts": {"response": '{"status": "ok"}'},
    "facts": {"user": "test@example.com", "status": 200, "asserted": [{"name": "status"}]},
    "previous": "",
}

texts = st.text(st.characters(exclude_categories=["Cs"]))
hostile = st.lists(
    st.sampled_from(
        ["://", "u:p@", "token=", "a=", "7", "password=hunter2", " ", "…", MASK, "@", "x"]
    )
).map("".join)
said = texts | hostile
names = st.text(min_size=1, max_size=8, alphabet="abcdef")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | said,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
proofs = st.builds(
    Proof,
    claim=said.filter(bool),
    subject=said.filter(bool),
    kind=names,
    outcome=st.sampled_from(ProofOutcome),
    at=st.just(AT),
    by=st.builds(Provenance, names, names),
    digests=st.dictionaries(names, values.map(digest), max_size=2),
    excerpts=st.dictionaries(names | st.just("password"), said, max_size=2),
    facts=st.dictionaries(names, values, max_size=3),
)
chains = st.lists(proofs, min_size=1, max_size=6)


def chained(each: Sequence[Proof]) -> list[Proof]:
    """Return the proofs as a chain, each after the one before it."""
    chain: list[Proof] = []
    for proof in each:
        chain.append(proof.after(chain[-1] if chain else None))
    return chain


def test_a_proof_says_who_checked_what_when_and_with_which_outcome() -> None:
    """The JSON of a proof has these fields and no others, and its digest is that of its JSON."""
    assert PASSED.as_json() == AS_JSON
    assert PASSED.digest == digest(AS_JSON)
    assert Proof.from_json(json.loads(json.dumps(AS_JSON))) == PASSED


@given(proofs)
def test_any_proof_comes_back_from_its_line(proof: Proof) -> None:
    """A line of canonical JSON gives the same proof with the same digest."""
    read = Proof.from_json(parse(canonical(proof.as_json()), "json"))

    assert read == proof
    assert read.digest == proof.digest


@given(chains)
def test_any_chain_as_it_was_made_has_no_problem(each: list[Proof]) -> None:
    """What nobody touched verifies, with its recorded head and without."""
    chain = chained(each)

    assert verify_chain(chain) == []
    assert verify_chain(chain, head=chain[-1].digest) == []
    assert [later.previous for later in chain[1:]] == [earlier.digest for earlier in chain[:-1]]


@given(chains, st.data())
def test_any_change_of_an_entry_shows(each: list[Proof], data: st.DataObject) -> None:
    """Whichever entry says something else, and wherever, the chain does not verify."""
    chain = chained(each)
    at = data.draw(st.integers(0, len(chain) - 1))
    other = data.draw(proofs.map(lambda proof: replace(proof, previous=chain[at].previous)))
    changed = [*chain[:at], other, *chain[at + 1 :]]

    assert bool(verify_chain(changed, head=chain[-1].digest)) is (other != chain[at])


@given(chains, st.data())
def test_any_dropped_entry_shows(each: list[Proof], data: st.DataObject) -> None:
    """An entry that is missing shows, the last ones by the recorded head."""
    chain = chained(each)
    start = data.draw(st.integers(0, len(chain) - 1))
    end = data.draw(st.integers(start + 1, len(chain)))

    assert verify_chain([*chain[:start], *chain[end:]], head=chain[-1].digest)


@given(chains, st.data())
def test_any_other_order_shows(each: list[Proof], data: st.DataObject) -> None:
    """Entries in another order than that in which they were made show, with no head at all."""
    chain = chained(each)
    shuffled = data.draw(st.permutations(chain))

    assert bool(verify_chain(shuffled)) is (shuffled != chain)


@given(chains)
def test_an_entry_that_stands_twice_shows(each: list[Proof]) -> None:
    """Who repeats a proof in the chain does not get two."""
    chain = chained(each)

    assert verify_chain([*chain, chain[-1]])


def test_problems_name_the_entry_and_what_was_done_to_it() -> None:
    """A dropped or changed entry, another order and a lost end are told apart."""
    one, two, three = chained([replace(PASSED, kind=kind) for kind in ("a", "b", "c")])
    lost = "it follows what is missing or was changed"

    assert [str(each) for each in verify_chain([one, three])] == [f"2: {lost} (chain)"]
    assert [str(each) for each in verify_chain([one, replace(two, kind="x"), three])] == [
        f"3: {lost} (chain)"
    ]
    assert [str(each) for each in verify_chain([two, one, three])] == [
        "1: it follows entry 2 (chain)",
        "2: it follows nothing (chain)",
        "3: it follows entry 1 (chain)",
    ]
    end = "the end is not the one recorded: entries are missing there, or the last was changed"
    assert [str(each) for each in verify_chain([one, two], head=three.digest)] == [
        f"2: {end} (chain)"
    ]
    assert [each.key for each in verify_chain([], head=one.digest)] == ["0"]
    assert verify_chain([], head="") == []
    assert [each.key for each in verify_chain([two])] == ["1"]


def test_defect_validation_c3_a_proof_keeps_no_secrets() -> None:
    """Credentials in URLs, in texts and in fields named like secrets are masked when it is made."""
    proof = replace(
        PASSED,
        subject="https://me:pw@api.example.com/?token=t0k",
        claim="login with password=hunter2 works",
        excerpts={"response": "set-cookie: a; api_key=k3y", "authorization": "Bearer b"},
        facts={"headers": {"Authorization": "Bearer b"}, "tries": 2},
    )

    text = canonical(proof.as_json()).decode()
    assert [secret for secret in ("pw", "t0k", "hunter2", "k3y", "Bearer") if secret in text] == []
    assert proof.facts == {"headers": {"Authorization": MASK}, "tries": 2}


def test_defect_validation_b3_an_excerpt_has_a_limit() -> None:
    """A body of any size leaves an excerpt of a few thousand characters."""
    proof = replace(PASSED, excerpts={"response": "x" * 50_000})

    assert len(proof.excerpts["response"]) == EXCERPT_LIMIT
    assert proof.excerpts["response"].endswith(" …")
    assert Proof.from_json(proof.as_json()) == proof


def test_defect_validation_c5_a_proof_cannot_be_changed() -> None:
    """Neither its fields nor its tables can be set, and it copies what it is given."""
    facts: dict[str, JSONValue] = {"status": 200}
    proof = replace(PASSED, facts=facts)
    facts["status"] = 500

    assert proof.facts == {"status": 200}
    with pytest.raises(FrozenInstanceError):
        proof.outcome = ProofOutcome.FAILED  # type: ignore[misc]
    with pytest.raises(TypeError):
        proof.facts["status"] = 500  # type: ignore[index]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"outcome": "passed"}, "outcome: it must be one of pass, fail, inconclusive"),
        ({"claim": ""}, "claim: it must be a text, and not empty"),
        ({"kind": 7}, "kind: it must be a text, and not empty"),
        ({"at": "2026-11-21 09:00"}, "at: it must be RFC 3339 in UTC with microseconds and Z"),
        ({"at": None}, "at: it must be RFC 3339 in UTC with microseconds and Z"),
        ({"previous": "sha256:x"}, "previous: it must be a digest"),
        ({"digests": {"request": "md5:1"}}, "digests: it must be a table of digests"),
        ({"digests": []}, "digests: it must be a table of digests"),
        ({"excerpts": {"response": 5}}, "excerpts: it must be a table of texts"),
        ({"facts": [1]}, "facts: it must be a table"),
        ({"by": {"provider": "x", "who": "me"}}, "proof: it is not as a proof would write it"),
        ({"excerpts": {"response": "token=t0k"}}, "proof: it is not as a proof would write it"),
        ({"digest": DIGEST}, "digest: it has no such field"),
    ],
)
def test_what_is_no_proof_is_refused(wrong: Mapping[str, JSONValue], told: str) -> None:
    """A field that is unknown, missing or of the wrong form is named."""
    with pytest.raises(ProofError) as caught:
        Proof.from_json({**AS_JSON, **wrong})

    assert told in caught.value.lines()
    assert caught.value.code == "invalid-proof"
    assert isinstance(caught.value, InvalidError)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Whoever reads a ledger sees every fault of a line."""
    nothing: list[JSONValue] = [None, [], {}]
    for value in nothing:
        with pytest.raises(ProofError) as caught:
            Proof.from_json(value)
        assert "claim: it must be a text, and not empty" in caught.value.lines()
        assert len(caught.value.lines()) > 3
    with pytest.raises(ProofError, match="this is no proof"):
        replace(PASSED, outcome="pass")  # type: ignore[arg-type]
    with pytest.raises(ProofError) as caught:
        replace(PASSED, by=("http", "1.2"))  # type: ignore[arg-type]
    assert caught.value.lines() == ["by: it must be a Provenance"]


def test_facts_are_json() -> None:
    """A fact that is no JSON is refused with its path."""
    with pytest.raises(DocumentError, match=r"facts\.when"):
        replace(PASSED, facts={"when": object()})  # type: ignore[dict-item]


def test_every_pair_of_a_chain_is_bound() -> None:
    """The same evidence twice makes two entries with digests of their own."""
    chain = chained([PASSED, PASSED, PASSED])

    assert all(later.previous == earlier.digest for earlier, later in pairwise(chain))
    assert len({proof.digest for proof in chain}) == 3
