"""Why a manifest, a trust root or what they point to was not taken, each with its own code.

InvalidError
├── InvalidManifestError      invalid-manifest        its form; carries every problem
├── InvalidEnvelopeError      invalid-envelope        no DSSE envelope
├── InvalidTrustError         invalid-trust           no trust root, or one that contradicts itself
├── InvalidKeyError           invalid-key             no Ed25519 key in a form we read
└── AddressError              bad-address             neither https nor a local file
RefusedError
├── TrustError                                        somebody may be lying
│   ├── UnsignedError         unsigned                the source demands signatures
│   ├── UnderSignedError      under-signed            fewer trusted keys than the threshold
│   ├── PayloadTypeError      wrong-payload-type      signed, but as something else
│   ├── WrongNameError        wrong-manifest          signed, but for another source
│   ├── ExpiredError          expired                 its time is over
│   ├── FutureError           issued-in-future        its time has not come
│   ├── RollbackError         rollback                older than what was seen
│   ├── ChangedError          changed-content         the version that was seen, other content
│   ├── RotationError         rotation                a root that does not follow ours
│   ├── SealedKeyError        sealed-key              a private key, and no right passphrase
│   └── ArtifactHostError     artifact-host           an artifact from where no signer may send
├── TrustStateError           trust-state-damaged     what was remembered of a source
├── FetchRefusedError                                 an answer that is not taken
│   ├── RedirectError         bad-redirect            to where it may not lead
│   ├── TooLongError          too-long                more bytes than may come
│   ├── EncodedError          content-encoded         packed, unasked
│   ├── CertificateError      untrusted-server        no good certificate
│   ├── AnswerError           unexpected-answer       a status without content
│   ├── WrongDigestError      wrong-digest            other bytes than announced
│   └── WrongLengthError      wrong-length            more or fewer than announced
└── WheelError                                        a wheel that is not loaded
    ├── DamagedWheelError     wheel-damaged           no whole wheel
    ├── WheelPathError        wheel-path              a file out of its place
    ├── WheelLinkError        wheel-link              a link or device
    ├── WheelTooLargeError    wheel-too-large         too much when unpacked
    ├── WheelTooManyError     wheel-too-many          too many files
    ├── WheelTagError         wheel-tag               not py3-none-any
    ├── WheelPythonError      wheel-python            for another Python
    ├── WheelRequirementError wheel-requirement       requires what is not installed
    ├── WheelCollisionError   wheel-collision         a name that is taken
    ├── SelfImportError       wheel-self-import       asks for itself by a text
    └── WheelLoadError        wheel-load              fails when it is imported
UnavailableError
├── FetchFailedError          fetch-failed            nobody answered
│   └── TooSlowError          too-slow                not within its time
└── BreakerOpenError          breaker-open            it failed too often; not asked
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneiric.errors import (
    InvalidError,
    JSONValue,
    Problem,
    RefusedError,
    UnavailableError,
)


class InvalidManifestError(InvalidError):
    """A document that is no manifest: all that is wrong with it, each with its place."""

    code = "invalid-manifest"

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"{source or 'the document'} is no manifest")
        self.source = source
        self.problems = tuple(problems)

    def details(self) -> Mapping[str, JSONValue]:
        return {"source": self.source, "problems": [each.as_json() for each in self.problems]}

    def lines(self) -> Sequence[str]:
        return [str(problem) for problem in self.problems]


class InvalidEnvelopeError(InvalidError):
    """Bytes that are no DSSE envelope."""

    code = "invalid-envelope"

    def __init__(self, source: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{source or 'the document'} is no envelope: {reason}", hint=hint)
        self.source = source
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"source": self.source, "reason": self.reason}


class InvalidTrustError(InvalidManifestError):
    """A trust root that cannot be one: a threshold nobody can reach, a key under another's name."""

    code = "invalid-trust"

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        super().__init__(source, problems)
        self._message = f"{source or 'the document'} is no trust root"


class InvalidKeyError(InvalidError):
    """Text that holds no Ed25519 key in a form that is read; never shows the text."""

    code = "invalid-key"


class TrustError(RefusedError):
    """What came from a source is not to be trusted; nothing of it was used."""

    code = "untrusted"

    def __init__(
        self,
        source: str,
        reason: str,
        *,
        hint: str = "",
        facts: Mapping[str, JSONValue] | None = None,
    ) -> None:
        super().__init__(f"{source}: {reason}", hint=hint)
        self.source = source
        self.reason = reason
        self.facts = dict(facts or {})

    def details(self) -> Mapping[str, JSONValue]:
        return {"source": self.source, "reason": self.reason, **self.facts}


class UnsignedError(TrustError):
    """No signature, from a source that has a trust root or is not local."""

    code = "unsigned"


class UnderSignedError(TrustError):
    """Too few distinct trusted keys signed these bytes."""

    code = "under-signed"


class PayloadTypeError(TrustError):
    """The signed bytes say that they are something else."""

    code = "wrong-payload-type"


class WrongNameError(TrustError):
    """A good manifest, of another name than the source is bound to."""

    code = "wrong-manifest"


class ExpiredError(TrustError):
    """The manifest or the trust root is beyond its time."""

    code = "expired"


class FutureError(TrustError):
    """Issued later than this machine's time allows."""

    code = "issued-in-future"


class RollbackError(TrustError):
    """An older version than the highest that was seen."""

    code = "rollback"


class ChangedError(TrustError):
    """The version that was seen already, with other content."""

    code = "changed-content"


class RotationError(TrustError):
    """A trust root that does not follow the present one."""

    code = "rotation"


class SealedKeyError(RefusedError):
    """A private key under a passphrase that was not given, or not the right one."""

    code = "sealed-key"


class ArtifactHostError(TrustError):
    """An artifact from a host that too few of the signers may name."""

    code = "artifact-host"


class AddressError(InvalidError):
    """An address that nothing is fetched from; never shows what follows the host."""

    code = "bad-address"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address or 'the address'} cannot be fetched: {reason}")
        self.address = address
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"address": self.address, "reason": self.reason}


class FetchRefusedError(RefusedError):
    """An answer that is not taken, however often one asks; nothing of it was used."""

    code = "fetch-refused"

    def __init__(self, origin: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{origin}: {reason}", hint=hint)
        self.origin = origin
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"origin": self.origin, "reason": self.reason}


class RedirectError(FetchRefusedError):
    """A redirect to where it may not lead, or one too many."""

    code = "bad-redirect"


class TooLongError(FetchRefusedError):
    """More bytes than may come, declared or received."""

    code = "too-long"


class EncodedError(FetchRefusedError):
    """Content in an encoding that was not asked for: it is never unpacked."""

    code = "content-encoded"


class CertificateError(FetchRefusedError):
    """A server that cannot show that it is who it should be."""

    code = "untrusted-server"


class AnswerError(FetchRefusedError):
    """An answer with a status that carries no content, and that asking again would not change."""

    code = "unexpected-answer"

    def __init__(self, origin: str, status: int) -> None:
        super().__init__(origin, f"answered {status}")
        self.status = status

    def details(self) -> Mapping[str, JSONValue]:
        return {**super().details(), "status": self.status}


class WrongDigestError(FetchRefusedError):
    """Other content than was announced; it was thrown away."""

    code = "wrong-digest"


class WrongLengthError(FetchRefusedError):
    """Another length than was announced; it was thrown away."""

    code = "wrong-length"


class FetchFailedError(UnavailableError):
    """Nobody answered, or not with what was asked for; carries how often it was tried."""

    code = "fetch-failed"

    def __init__(
        self,
        origin: str,
        reason: str,
        *,
        attempts: int = 1,
        opened_seconds: float = 0.0,
        hint: str = "",
    ) -> None:
        tries = f" ({attempts} attempts)" if attempts > 1 else ""
        opened = f"; it is left alone for {opened_seconds:g} s" if opened_seconds else ""
        super().__init__(f"{origin}: {reason}{tries}{opened}", hint=hint)
        self.origin = origin
        self.reason = reason
        self.attempts = attempts
        self.opened_seconds = opened_seconds

    def details(self) -> Mapping[str, JSONValue]:
        return {
            "origin": self.origin,
            "reason": self.reason,
            "attempts": self.attempts,
            "opened_seconds": self.opened_seconds,
        }


class TooSlowError(FetchFailedError):
    """The whole answer did not come within its time."""

    code = "too-slow"


class BreakerOpenError(UnavailableError):
    """A server that failed again and again is left alone for a while; it was not asked."""

    code = "breaker-open"

    def __init__(self, origin: str, *, seconds: float, until: str, failures: int, why: str) -> None:
        super().__init__(
            f"{origin} was not asked: it failed {failures} times in a row, last: {why}",
            hint=f"it is asked again in {seconds:.0f} s, at {until}",
        )
        self.origin = origin
        self.seconds = seconds
        self.until = until
        self.failures = failures
        self.why = why

    def details(self) -> Mapping[str, JSONValue]:
        return {
            "origin": self.origin,
            "retry_in_seconds": round(self.seconds, 3),
            "until": self.until,
            "failures": self.failures,
            "why": self.why,
        }


class TrustStateError(RefusedError):
    """What was remembered of a source is damaged or gone, so a rollback could not be seen."""

    code = "trust-state-damaged"

    def __init__(self, path: str, reason: str, *, folder: str) -> None:
        super().__init__(
            f"{path}: {reason}",
            hint=f"look for who changed it; to begin anew with the pinned root, delete {folder}",
        )
        self.path = path
        self.reason = reason
        self.folder = folder

    def details(self) -> Mapping[str, JSONValue]:
        return {"path": self.path, "reason": self.reason, "folder": self.folder}


class WheelError(RefusedError):
    """A wheel that is not loaded: which, and why; nothing of it was run."""

    code = "bad-wheel"

    def __init__(self, wheel: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{wheel}: {reason}", hint=hint)
        self.wheel = wheel
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"wheel": self.wheel, "reason": self.reason}


class DamagedWheelError(WheelError):
    """An archive that cannot be read, or that lacks what every wheel has."""

    code = "wheel-damaged"


class WheelPathError(WheelError):
    """A file that would lie outside the wheel's folder, or where another one lies."""

    code = "wheel-path"


class WheelLinkError(WheelError):
    """A link or device in the archive."""

    code = "wheel-link"


class WheelTooLargeError(WheelError):
    """More bytes when unpacked than a wheel may have, or too many for its length."""

    code = "wheel-too-large"


class WheelTooManyError(WheelError):
    """More files than a wheel may have."""

    code = "wheel-too-many"


class WheelTagError(WheelError):
    """Not for every Python 3 on every machine: compiled, or with files for elsewhere."""

    code = "wheel-tag"


class WheelPythonError(WheelError):
    """For another version of Python."""

    code = "wheel-python"


class WheelRequirementError(WheelError):
    """Something that it requires is not installed; nothing is ever installed for it."""

    code = "wheel-requirement"


class WheelCollisionError(WheelError):
    """A name that this installation has already."""

    code = "wheel-collision"


class SelfImportError(WheelError):
    """It asks for itself by a name that another version of it might answer to."""

    code = "wheel-self-import"


class WheelLoadError(WheelError):
    """Its code could not be imported, or has no such factory."""

    code = "wheel-load"
