"""What can be replaced: one Protocol a port, its typed reference, and the errors they share.

Nothing here touches network, disk, database, terminal or environment.
"""

from oneiric.ports.adapter import Adapter, Managed
from oneiric.ports.cache import (
    CACHE,
    TTL_LIMIT,
    Cache,
    CacheValue,
    InvalidationFeed,
    check_counter,
    check_key,
    check_ttl,
    pack_value,
    unpack_value,
)
from oneiric.ports.dead_letters import DeadLetter, DeadLetters
from oneiric.ports.errors import (
    AdapterError,
    ConflictError,
    DependencyMissingError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from oneiric.ports.http import (
    HTTP,
    Headers,
    HTTPClient,
    HTTPResponse,
    HTTPStream,
    HTTPVerbs,
    RequestOptions,
    origin,
    retry_after,
)
from oneiric.ports.identity import IDENTITY, Identity, Principal
from oneiric.ports.messaging import (
    MESSAGING,
    MessageLevel,
    Messenger,
    NotificationMessage,
    SendResult,
)
from oneiric.ports.monitoring import MONITORING, Monitor
from oneiric.ports.queue import QUEUE, Queue, QueueConsumer, QueueMessage, QueueProducer
from oneiric.ports.schedules import Progress, ScheduleProgress
from oneiric.ports.secrets import SECRETS, SecretStore, SecretWriter
from oneiric.ports.storage import (
    STORAGE,
    ObjectAliases,
    ObjectData,
    ObjectStore,
    Presign,
    StoredObject,
    check_object_key,
    check_range,
)

__all__ = [
    "CACHE",
    "HTTP",
    "IDENTITY",
    "MESSAGING",
    "MONITORING",
    "QUEUE",
    "SECRETS",
    "STORAGE",
    "TTL_LIMIT",
    "Adapter",
    "AdapterError",
    "Cache",
    "CacheValue",
    "ConflictError",
    "DeadLetter",
    "DeadLetters",
    "DependencyMissingError",
    "HTTPClient",
    "HTTPResponse",
    "HTTPStream",
    "HTTPVerbs",
    "Headers",
    "Identity",
    "InvalidRequestError",
    "InvalidationFeed",
    "Managed",
    "MessageLevel",
    "Messenger",
    "Monitor",
    "NotFoundError",
    "NotSupportedError",
    "NotificationMessage",
    "ObjectAliases",
    "ObjectData",
    "ObjectStore",
    "PermissionDeniedError",
    "Presign",
    "Principal",
    "Progress",
    "Queue",
    "QueueConsumer",
    "QueueMessage",
    "QueueProducer",
    "RateLimitedError",
    "RequestOptions",
    "ScheduleProgress",
    "SecretStore",
    "SecretWriter",
    "SendResult",
    "StoredObject",
    "UnauthenticatedError",
    "UnavailableError",
    "check_counter",
    "check_key",
    "check_object_key",
    "check_range",
    "check_ttl",
    "origin",
    "pack_value",
    "retry_after",
    "unpack_value",
]
