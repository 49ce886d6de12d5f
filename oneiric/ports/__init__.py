"""What can be replaced: one Protocol a port, its typed reference, and the errors they share.

Nothing here touches network, disk, database, terminal or environment.
"""

from oneiric.ports.adapter import Adapter, Managed
from oneiric.ports.cache import CACHE, Cache, CacheValue, InvalidationFeed
from oneiric.ports.errors import (
    AdapterError,
    ConflictError,
    DependencyMissingError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from oneiric.ports.http import HTTP, Headers, HTTPClient, HTTPResponse, HTTPStream, RequestOptions
from oneiric.ports.queue import QUEUE, Queue, QueueConsumer, QueueMessage, QueueProducer
from oneiric.ports.secrets import SECRETS, SecretStore, SecretWriter
from oneiric.ports.storage import STORAGE, ObjectData, ObjectStore, Presign, StoredObject

__all__ = [
    "CACHE",
    "HTTP",
    "QUEUE",
    "SECRETS",
    "STORAGE",
    "Adapter",
    "AdapterError",
    "Cache",
    "CacheValue",
    "ConflictError",
    "DependencyMissingError",
    "HTTPClient",
    "HTTPResponse",
    "HTTPStream",
    "Headers",
    "InvalidRequestError",
    "InvalidationFeed",
    "Managed",
    "NotFoundError",
    "NotSupportedError",
    "ObjectData",
    "ObjectStore",
    "PermissionDeniedError",
    "Presign",
    "Queue",
    "QueueConsumer",
    "QueueMessage",
    "QueueProducer",
    "RateLimitedError",
    "RequestOptions",
    "SecretStore",
    "SecretWriter",
    "StoredObject",
    "UnavailableError",
]
