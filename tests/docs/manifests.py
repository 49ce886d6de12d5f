"""Manifests, envelopes, trust roots and keys as a reference page: prose, and every field."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from oneiric.documents import parse
from oneiric.domains.workflows.spec import NodeSpec, WorkflowSpec
from oneiric.remote.envelope import LONGEST, MANIFEST, MOST_SIGNATURES, TRUST, Envelope
from oneiric.remote.manifest import LIMITS, MOST_ENTRIES
from oneiric.remote.security import MEMORY, ROUNDS
from oneiric.remote.times import SKEW
from oneiric.remote.trust import Role, Roles, TrustedKey, TrustRoot
from oneiric.runtime.manifest_draft import LARGEST_ARTIFACT, LASTS
from tests.architecture.source import House
from tests.docs.manifest_schema import MODELS
from tests.docs.markdown import HEADER
from tests.docs.settings import meanings, model_table
from tests.runtime.publishing import ALICE, publisher

EXAMPLE = """\
schema: oneiric.manifest/2
name: acme
version: 7
entries:
  - domain: adapter
    key: cache
    provider: acme
    factory: acme.cache:AcmeCache
    priority: 10
    capabilities: [ttl]
    owner: platform-team
    license: BSD-3-Clause
"""
_SHORT = 48
KEPT = """\
## What is remembered of a source

Under `.oneiric_cache/trust/SOURCE/`, mode 0700, so that an old manifest is never taken for a new
one:

| file | holds |
|---|---|
| `state.json` | the highest version that was verified, and who could sign it then |
| `manifest.dsse.json` | the last verified envelope, as received; verified again at every start |
| `2.root.json`, … | the trust roots after the pinned one, as they were received |

```json
{
  "schema": "oneiric.trust-state/1",
  "version": 7,
  "digest": "sha256:…",
  "keys": [],
  "root": 2,
  "etag": "",
  "kept": "sha256:…",
  "last_success": "2026-11-20T09:30:00.000000Z"
}
```

`digest` is that of the payload, `kept` that of the kept file; `root` is the last trust root that
was taken. A file that is damaged, or gone while others tell of it, is the error
`trust-state-damaged`: with it gone nobody could tell that a manifest is older than one that was
seen. Deleting the folder begins anew with the pinned root.

## Artifacts

Each lies at `.oneiric_cache/artifacts/SHA256/content`, with what was unpacked of a wheel beside it
in `unpacked`. It is hashed again before every use and may be deleted while nothing runs. A sync of
all sources deletes those that none has needed for `remote.artifact_grace_seconds`, 30 days unless
set otherwise; what serves or is up in its own process stays.

A wheel is loaded when it

- is tagged `py3-none-any`, has no compiled code and no files for elsewhere, and is for this Python;
- requires only what is installed: nothing is ever installed for it;
- has a name, and modules, that nothing installed has;
- has at most 5,000 files, 256 MiB unpacked, and no file in another place than its own;
- never asks for its own modules or distribution by a text, as `import_module("shop.prices")` does.
  Import statements, relative names and `importlib.resources.files(package)` are fine.

Its modules live under its digest, so two versions of one package can serve at the same time. Their
classes are different ones: what they share with others has to come from what is installed.
"""


def manifests_page(_house: House) -> str:
    """Return the page; its examples are made by the code that it tells of."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        maker = publisher(Path())
        packed = maker.manifests.pack(maker.write(EXAMPLE)).data
        envelope = json.loads(maker.signed(ALICE, text=EXAMPLE).read_bytes())
        root = Envelope.parse(maker.root(ALICE).read_bytes()).payload
    envelope["payload"] = f"{envelope['payload'][:_SHORT]}…"
    parts = [*_manifest(packed), *_envelope(envelope), *_trust(root), *_key(), KEPT]
    return "\n".join([HEADER, *parts])


def _manifest(packed: bytes) -> Iterator[str]:
    yield f"""\
# Manifests, trust roots and keys

For whoever publishes components or reads what others published. How to go about it is told under
[publish a manifest](../how-to/publish-a-manifest.md) and [rotate keys](../how-to/rotate-keys.md).

A **manifest** brings candidates from afar. It is written as YAML, TOML or JSON, packed into
canonical JSON (RFC 8785), and signed as an envelope. A **trust root** says whose signatures count.

## Manifest

As it is written:

```yaml
{EXAMPLE}```

As `oneiric manifest pack` makes it, on one line and with its keys sorted:

```json
{_pretty(packed)}
```

- Fields that nobody knows are errors, with the nearest spelling; those that begin with `x-` are the
  publisher's own, are signed with the rest, and are left out when a manifest is read.
- Times are RFC 3339 with a zone; YAML and TOML may leave them unquoted. Where `issued` or `expires`
  is missing, `pack` and `sign` take now, and {LASTS.days} days from now.
- `version` rises with every change: whoever has seen 7 takes neither 6 nor another 7.
- Two entries for one offer, `domain:key@provider`, are wrong, both.
- `entries` is a list of [entries](#entry), at most {MOST_ENTRIES:,}. A document has at most
  {LIMITS.max_bytes >> 20} MiB and {LIMITS.max_depth} levels.
- When it is written, an `artifact` may have a `path`, seen from the manifest, instead of `sha256`
  and `length`: `pack` takes both from the file, of at most {LARGEST_ARTIFACT >> 20} MiB.

`oneiric manifest lint` says everything that is wrong, with file and line. Who applies a manifest
refuses the whole where its head is wrong, and puts single entries that are wrong in quarantine.

Editors check and complete it by [a JSON Schema](manifest.schema.json), which is made from the same
models as the tables below. Many take its address from a first line such as

```yaml
# yaml-language-server: $schema=docs/reference/manifest.schema.json
```
"""
    for model in MODELS:
        yield from _fields(model, "###")
        if model.__name__ == "Entry":
            yield "What `event_topics`, `event_filters` and `retry_policy` mean, is told under"
            yield "[handle events](../how-to/handle-events.md); what is in a `dag`, under"
            yield "[run a workflow](../how-to/run-a-workflow.md) and here:\n"
            yield from model_table(WorkflowSpec, "`dag`")
            yield from model_table(NodeSpec, "a node of its `nodes`")


def _envelope(told: object) -> Iterator[str]:
    yield f"""\
## Envelope

DSSE, version 1.0: the exact bytes that were signed as base64, what they are, and who signed.

```json
{json.dumps(told, indent=2, ensure_ascii=False)}
```

`payloadType` is `{MANIFEST}` or
`{TRUST}`. What is signed is
`DSSEv1 LENGTH TYPE LENGTH PAYLOAD`, the lengths in bytes, so that a signature over one kind of
document is none over another. A signature is Ed25519. `keyid` says which key to try; a key counts
once, however often it signed. There are at most {MOST_SIGNATURES} signatures and
{LONGEST >> 20} MiB.
"""


def _trust(root: bytes) -> Iterator[str]:
    yield f"""\
## Trust root

Whom a source trusts, itself signed, in an envelope. Whoever trusts the publisher pins a copy.

```json
{_pretty(root)}
```

- It is replaced only by version N+1, signed by as many root keys of version N as that asks for, and
  by as many of its own. The publisher puts it beside the manifest as `<N+1>.root.json`.
- A manifest is trusted if as many manifest keys as `threshold` says signed it, none of them in
  `revoked`, and if both it and the newest root are within their times; clocks may differ by
  {SKEW.seconds // 60} minutes.
- A factory has to lie under a package in `factories`, and an artifact on a host in `hosts`, of as
  many keys that signed. Whoever applies it may allow less.
- Where rotations take away as many manifest keys as had to sign, the version of manifests may begin
  anew: whoever had those keys could have made it as high as they liked.
"""
    for model in (TrustRoot, TrustedKey, Roles, Role):
        yield from _fields(model, "###")


def _key() -> Iterator[str]:
    told = parse(ALICE.write(), "json")
    yield f"""\
## Keys

Keys are Ed25519. The id of a key is the SHA-256 of its 32 public bytes, in hexadecimal.

A command takes a key by the name of a file; as `secret:NAME` from the secrets adapter, whichever
serves; and a public one as `public:TEXT`. These forms are read:

| form | private | public |
|---|---|---|
| the file that `oneiric manifest keygen` writes, sealed or not | yes | yes |
| PEM, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write it | yes | yes |
| PKCS#8, SPKI as base64 or hexadecimal | yes | yes |
| the 32 bytes as base64 or hexadecimal | yes | as `public:TEXT` |

A file of 32 bare bytes is not read where a public key is asked for: it does not say which half it
holds, and the private one must not be published.

A key file is readable by its owner only and never written over without `--force`:

```json
{json.dumps(told, indent=2)}
```

Sealed with a passphrase it has, instead of `seed`, a `box` (XSalsa20-Poly1305, nonce first) that
Argon2id opens: `kdf`, `salt`, `rounds` (at most {ROUNDS}) and `memory` in bytes (at most
{MEMORY >> 20} MiB).
"""


def _fields(model: type, level: str) -> Iterator[str]:
    yield f"{level} {model.__name__}\n"
    text = " ".join((model.__doc__ or "").partition("\n\n")[0].split())
    yield f"{text}\n"
    yield from model_table(model, "field", meanings(model))


def _pretty(data: bytes) -> str:
    return json.dumps(json.loads(data), indent=2)
