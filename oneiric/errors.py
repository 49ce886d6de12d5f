"""Every error that Oneiric raises on purpose, as one tree.

    OneiricError                      1  failed
    ├── InvalidError                  2  invalid usage or input
    │   ├── InvalidRefError              a reference is not `domain:key`
    │   ├── InvalidCandidateError        an offer that no registry would take
    │   ├── InvalidPathError             a path that leaves its root, or is no plain file
    │   ├── DocumentError                bytes that are not one strict JSON, YAML or TOML value
    │   ├── ConfigError                  settings that are wrong, and where
    │   ├── PlanError                    a plan that cannot be run
    │   ├── ProofError                   what is no proof
    │   ├── IllegalMoveError             an event that cannot happen to a run as it stands
    │   └── RunExistsError               there is a run of that id already
    ├── RefusedError                  3  refused: policy, trust, activity
    │   ├── PausedError                  the component takes no new work
    │   ├── ForbiddenFactoryError        the factory is under no allowed prefix
    │   ├── UnauthenticatedError         a caller did not prove who they are
    │   ├── PlanChangedError             the run was begun with another plan
    │   └── PolicyRefusedError           a policy denies it
    │       └── ApprovalRequiredError 4  it has to be approved first
    ├── UnavailableError              5  unavailable or timed out
    │   ├── LockedError                  another holds what this one needs (exit code 3)
    │   ├── StoreError                   a store cannot be read or written
    │   ├── ClosedError                  the manager was closed, or never had a loop
    │   └── LeaseLostError               another holder claimed the run
    ├── NotFoundError                 6  not found
    │   ├── NoCandidateError             nobody may serve
    │   └── UnknownSelectionError        a selection names nobody
    ├── ComponentError                1  foreign code failed: which, in which phase, why
    ├── StoppedError                  1  the work of a step should not go on
    └── BugError                      1  a mistake in the program itself

The number is the exit code of a command that ends with the error. A room may
derive its own errors from these; `code` is public and stable, wording is not.
An error keeps facts; `str()`, `render()` and `as_json()` turn them into text late.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import ClassVar, Self, TypeAlias

JSONValue: TypeAlias = (
    "bool | int | float | str | Sequence[JSONValue] | Mapping[str, JSONValue] | None"
)
"""What JSON can say: the only values that cross a door of the house."""


class OneiricError(Exception):
    """State what went wrong, with a public code, the facts, and what to do.

    >>> error = OneiricError("the shelf is full", hint="oneiric shelf clear")
    >>> print(error.render())
    error[failed]: the shelf is full
    hint: oneiric shelf clear
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self._message = message
        self._hint = hint

    @property
    def message(self) -> str:
        """One line that says what was wrong and where."""
        return self._message

    @property
    def hint(self) -> str:
        """What to do about it, or an empty string."""
        return self._hint

    def details(self) -> Mapping[str, JSONValue]:
        """Return the facts as JSON, without secrets."""
        return {}

    def lines(self) -> Sequence[str]:
        """Return further lines for a person, between message and hint."""
        return ()

    def again(self) -> Self:
        """Return an equal error without traceback, for another caller to be given."""
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__.update(self.__dict__)
        twin.args = self.args
        return twin

    def __str__(self) -> str:
        return "\n".join((self.message, *(f"  {line}" for line in self.lines())))

    def render(self) -> str:
        """Return the form that commands print on stderr."""
        tail = f"\nhint: {self.hint}" if self.hint else ""
        return f"error[{self.code}]: {self}{tail}"

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"error": {"code", "message", "details", "hint"}}`."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "details": dict(self.details()),
                "hint": self.hint,
            }
        }


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word closest in spelling to *word*, or an empty string.

    Of references those of one domain are compared by their keys, for that they share the
    domain says nothing.

    >>> nearest("adaptor", ["adapter", "service"])
    'adapter'
    >>> nearest("adapter:cash", ["adapter:cache", "adapter:http"]), nearest("task:x", ["task:y"])
    ('adapter:cache', '')
    """
    words = list(known)
    head = word[: word.find(":") + 1]
    own = [each.removeprefix(head) for each in words if each.startswith(head)]
    close = get_close_matches(word.removeprefix(head), own, n=1, cutoff=0.6)
    if close or not head:
        return f"{head}{close[0]}" if close else ""
    others = [each for each in words if not each.startswith(head)]
    return next(iter(get_close_matches(word, others, n=1, cutoff=0.8)), "")


def unknown(word: str, known: Iterable[str]) -> str:
    """Return *word*, and the known one that may have been meant.

    >>> unknown("colour", ["color", "size"]), unknown("x", ["color"])
    ('colour; did you mean color?', 'x')
    """
    close = nearest(word, known)
    return f"{word}; did you mean {close}?" if close else word


class InvalidError(OneiricError):
    """Invalid usage or input."""

    code = "invalid"
    exit_code = 2


class InvalidRefError(InvalidError):
    """A reference that is not `domain:key` or `domain:key@provider`."""

    code = "invalid-ref"

    def __init__(self, text: object, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{text!r} is not a reference: {reason}", hint=hint)
        self.text = text
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"text": str(self.text), "reason": self.reason}


class InvalidCandidateError(InvalidError):
    """An offer that no registry would take, and where it came from."""

    code = "invalid-candidate"

    def __init__(self, offer: str, reason: str, *, origin: str, hint: str = "") -> None:
        super().__init__(f"the offer {offer} from {origin} is invalid: {reason}", hint=hint)
        self.offer = offer
        self.reason = reason
        self.origin = origin

    def details(self) -> Mapping[str, JSONValue]:
        return {"offer": self.offer, "reason": self.reason, "origin": self.origin}


class InvalidPathError(InvalidError):
    """A path that leaves its root, follows a link out of it, or is no plain file."""

    code = "invalid-path"

    def __init__(self, path: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{path}: {reason}", hint=hint)
        self.path = path
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"path": self.path, "reason": self.reason}


class DocumentError(InvalidError):
    """Bytes that are not one strict JSON, YAML or TOML value.

    `reason` is a stable word (`too-large`, `too-deep`, `duplicate-key`, …),
    `line` counts from 1, `path` leads to the value (`entries.3.key`); either of
    the two may be missing, never both unless the bytes as a whole are refused.
    """

    code = "invalid-document"

    def __init__(
        self,
        reason: str,
        problem: str,
        *,
        source: str = "",
        line: int | None = None,
        path: str = "",
    ) -> None:
        place = ":".join(part for part in (source, str(line) if line else "", path) if part)
        super().__init__(f"{place}: {problem}" if place else problem)
        self.reason = reason
        self.problem = problem
        self.source = source
        self.line = line
        self.path = path

    def details(self) -> Mapping[str, JSONValue]:
        return {
            "reason": self.reason,
            "problem": self.problem,
            "source": self.source,
            "line": self.line,
            "path": self.path,
        }


class Problem:
    """One thing that is wrong with settings: the key, what, and where it was written."""

    __slots__ = ("key", "origin", "what")

    def __init__(self, key: str, what: str, origin: str) -> None:
        self.key = key
        self.what = what
        self.origin = origin

    def __str__(self) -> str:
        return f"{self.key}: {self.what} ({self.origin})"

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"key", "what", "origin"}`."""
        return {"key": self.key, "what": self.what, "origin": self.origin}


class ConfigError(InvalidError):
    """Settings that are wrong: all problems at once, each with where it was written."""

    code = "invalid-config"

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def details(self) -> Mapping[str, JSONValue]:
        return {"problems": [problem.as_json() for problem in self.problems]}

    def lines(self) -> Sequence[str]:
        return [str(problem) for problem in self.problems]


class PlanError(InvalidError):
    """A plan that cannot be run: everything that is wrong with it, at once."""

    code = "invalid-plan"

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"the plan {name} cannot be run" if name else "this is no plan")
        self.name = name
        self.problems = tuple(problems)

    def details(self) -> Mapping[str, JSONValue]:
        return {"plan": self.name, "problems": [problem.as_json() for problem in self.problems]}

    def lines(self) -> Sequence[str]:
        return [f"{problem.key}: {problem.what}" for problem in self.problems]


class ProofError(InvalidError):
    """What is no proof: everything that is wrong with it, at once."""

    code = "invalid-proof"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("this is no proof")
        self.problems = tuple(problems)

    def details(self) -> Mapping[str, JSONValue]:
        return {"problems": [problem.as_json() for problem in self.problems]}

    def lines(self) -> Sequence[str]:
        return [f"{problem.key}: {problem.what}" for problem in self.problems]


class IllegalMoveError(InvalidError):
    """An event that cannot happen to a run or step as it stands."""

    code = "illegal-move"


class RunExistsError(InvalidError):
    """There is a run of that id already."""

    code = "run-exists"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is a run {run_id} already", hint=f"oneiric run show {run_id}")
        self.run_id = run_id


class RefusedError(OneiricError):
    """Refused by policy, trust or activity."""

    code = "refused"
    exit_code = 3


class PausedError(RefusedError):
    """The component is paused or draining and takes no new work."""

    code = "paused"

    def __init__(self, ref: str, state: str, *, note: str = "", actor: str = "") -> None:
        by = f" by {actor}" if actor else ""
        why = f": {note}" if note else ""
        super().__init__(
            f"{ref} is {state}{by}{why}", hint="resume it, or wait until it is resumed"
        )
        self.ref = ref
        self.state = state
        self.note = note
        self.actor = actor

    def details(self) -> Mapping[str, JSONValue]:
        return {"ref": self.ref, "state": self.state, "note": self.note, "actor": self.actor}


class ForbiddenFactoryError(RefusedError):
    """A factory named by text that lies under no allowed prefix."""

    code = "forbidden-factory"

    def __init__(self, target: str, reason: str, *, allowed: Iterable[str] = ()) -> None:
        self.allowed = tuple(sorted(allowed))
        super().__init__(
            f"{target} may not be loaded: {reason}",
            hint="add its package to [plugins] allowed_prefixes if you trust it",
        )
        self.target = target
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"target": self.target, "reason": self.reason, "allowed": list(self.allowed)}


class UnauthenticatedError(RefusedError):
    """A caller that did not say who it is, or not so that it is believed."""

    code = "unauthenticated"


class PlanChangedError(RefusedError):
    """A run was begun with another plan; carries what differs."""

    code = "plan-changed"

    def __init__(self, run_id: str, name: str, changes: Iterable[str]) -> None:
        super().__init__(
            f"the run {run_id} was begun with another plan {name}",
            hint="force it to go on: steps that changed, and all after them, are done again",
        )
        self.run_id = run_id
        self.changes = tuple(changes)

    def details(self) -> Mapping[str, JSONValue]:
        return {"run_id": self.run_id, "changes": list(self.changes)}

    def lines(self) -> Sequence[str]:
        return self.changes


class PolicyRefusedError(RefusedError):
    """A policy denies it; carries what the verdict says."""

    code = "policy-refused"

    def __init__(self, asked: str, reason: str, verdict: Mapping[str, JSONValue]) -> None:
        super().__init__(f"{asked}: {reason}")
        self.asked = asked
        self.verdict = verdict

    def details(self) -> Mapping[str, JSONValue]:
        return {"asked": self.asked, "verdict": self.verdict}


class ApprovalRequiredError(PolicyRefusedError):
    """A policy allows it only once somebody has approved it."""

    code = "approval-required"
    exit_code = 4


class UnavailableError(OneiricError):
    """Unavailable or timed out; the same call may succeed later."""

    code = "unavailable"
    exit_code = 5


class LockedError(UnavailableError):
    """Another process holds what this one needs. The exit code is that of a refusal."""

    code = "locked"
    exit_code = 3


class StoreError(UnavailableError):
    """A store that cannot be read or written; names the file and the cause."""

    code = "store"


class ClosedError(UnavailableError):
    """The manager was closed, or belongs to another or to no event loop."""

    code = "closed"


class LeaseLostError(UnavailableError):
    """Another holder claimed the run: nothing that this one did since is recorded."""

    code = "lease-lost"

    def __init__(self, run_id: str, holder: str) -> None:
        super().__init__(f"{holder} no longer holds the run {run_id}")
        self.run_id = run_id
        self.holder = holder


class NotFoundError(OneiricError):
    """Something named does not exist."""

    code = "not-found"
    exit_code = 6

    def __init__(self, what: str, name: str, *, known: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(f"no {what} {name}", hint=hint)
        self.what = what
        self.name = name
        self.known = tuple(known)

    @property
    def hint(self) -> str:
        """The known name that is nearest in spelling, looked for only now; else what was given."""
        close = nearest(self.name, self.known)
        return f"did you mean {close}?" if close not in ("", self.name) else super().hint

    def details(self) -> Mapping[str, JSONValue]:
        return {"what": self.what, "name": self.name, "known": list(self.known)}


class NoCandidateError(NotFoundError):
    """Nobody may serve a reference; carries each offer and why it was rejected."""

    code = "no-candidate"

    def __init__(
        self, ref: str, rejected: Sequence[tuple[str, str]], *, known: Iterable[str]
    ) -> None:
        super().__init__("candidate for", ref, known=known)
        self.ref = ref
        self.rejected = tuple(rejected)

    @property
    def message(self) -> str:
        nobody = "may serve" if self.rejected else "is registered for"
        return f"no candidate {nobody} {self.ref}"

    @property
    def hint(self) -> str:
        explain = f"oneiric explain {self.ref.partition('@')[0]}" if self.rejected else ""
        return super().hint or explain

    def lines(self) -> Sequence[str]:
        width = max((len(provider) for provider, _ in self.rejected), default=0)
        return [f"{provider:<{width}}  {reason}" for provider, reason in self.rejected]

    def details(self) -> Mapping[str, JSONValue]:
        rejected = [{"provider": name, "reason": why} for name, why in self.rejected]
        return {"ref": self.ref, "rejected": rejected}


class UnknownSelectionError(NotFoundError):
    """A selection or request names a provider that nobody offers, or that may not serve."""

    code = "unknown-selection"

    def __init__(
        self,
        ref: str,
        provider: str,
        origin: str,
        *,
        known: Iterable[str],
        why: str = "",
        hint: str = "",
    ) -> None:
        super().__init__("provider", provider, known=known, hint=hint)
        self.ref = ref
        self.provider = provider
        self.origin = origin
        self.why = why

    @property
    def message(self) -> str:
        reason = self.why or "nobody offers it"
        return f"{self.origin} selects {self.provider} for {self.ref}, but {reason}"

    @property
    def hint(self) -> str:
        return self._hint or super().hint or f"oneiric explain {self.ref}"

    def lines(self) -> Sequence[str]:
        return [f"offered: {', '.join(self.known) or 'nothing'}"]

    def details(self) -> Mapping[str, JSONValue]:
        return {
            "ref": self.ref,
            "provider": self.provider,
            "origin": self.origin,
            "why": self.why,
            "known": list(self.known),
        }


class ComponentError(OneiricError):
    """Foreign code failed: which component, in which phase, and why.

    `__cause__` keeps the original exception where there is one.
    """

    code = "component-failed"

    def __init__(
        self,
        ref: str,
        provider: str,
        phase: str,
        reason: str,
        *,
        cause: BaseException | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(f"{ref}@{provider} failed in {phase}: {reason}", hint=hint)
        if cause is not None:
            self.__cause__ = cause
        self.ref = ref
        self.provider = provider
        self.phase = phase
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {
            "ref": self.ref,
            "provider": self.provider,
            "phase": self.phase,
            "reason": self.reason,
        }


class StoppedError(OneiricError):
    """The work of a step should not go on: its run is canceled, or another holder has it."""

    code = "stopped"


class BugError(OneiricError):
    """A mistake in the program itself."""

    code = "bug"
