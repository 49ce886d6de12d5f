"""The built-in actions as data: listing them imports none of them.

All have stack level 0, so that a stack laid over the distribution's outranks them whatever
its priorities.
"""

from collections.abc import Mapping
from types import MappingProxyType

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin

_NOTHING: Mapping[str, str] = MappingProxyType({})
_HTTP: Mapping[str, str] = MappingProxyType({"http": "adapter:http"})


def _kit(
    key: str,
    provider: str,
    name: str,
    priority: int,
    *capabilities: str,
    settings: str = "",
    requires: Mapping[str, str] = _NOTHING,
    blocking: bool = False,
) -> Candidate:
    """Offer `action:<key>`, the class *name* in the file that is called after the key."""
    home = f"oneiric.actions.{key.replace('.', '_')}"
    return Candidate(
        f"action:{key}",
        f"builtin-{provider}",
        f"{home}:{name}",
        settings_model=f"{home}:{settings}" if settings else None,
        requires=requires,
        capabilities=capabilities,
        priority=priority,
        blocking=blocking,
    )


PLUGIN = Plugin(
    [
        _kit(
            "compression.encode",
            "compression",
            "CompressionEncode",
            450,
            "compress",
            "decompress",
            settings="CompressionSettings",
            blocking=True,
        ),
        _kit("compression.hash", "hash", "CompressionHash", 445, "hash", blocking=True),
        _kit("workflow.orchestrate", "workflow-orchestrator", "WorkflowOrchestrate", 430, "plan"),
        _kit(
            "serialization.encode",
            "serialization",
            "SerializationEncode",
            430,
            "encode",
            "decode",
            settings="SerializationSettings",
            blocking=True,
        ),
        _kit("workflow.audit", "workflow-audit", "WorkflowAudit", 425, "audit", "redact"),
        _kit("workflow.notify", "workflow-notify", "WorkflowNotify", 420, "notify"),
        _kit("workflow.retry", "workflow-retry", "WorkflowRetry", 415, "retry"),
        _kit(
            "http.fetch",
            "http-fetch",
            "HttpFetch",
            405,
            "http",
            settings="FetchSettings",
            requires=_HTTP,
        ),
        _kit(
            "security.signature",
            "security-signature",
            "SecuritySignature",
            400,
            "sign",
            blocking=True,
        ),
        _kit("data.transform", "data-transform", "DataTransform", 395, "transform"),
        _kit(
            "security.secure",
            "security-secure",
            "SecuritySecure",
            390,
            "token",
            "password",
            "compare",
            blocking=True,
        ),
        _kit("data.sanitize", "data-sanitize", "DataSanitize", 390, "sanitize", "redact"),
        _kit("debug.console", "debug-console", "DebugConsole", 390, "debug", "redact"),
        _kit("validation.schema", "validation-schema", "ValidationSchema", 385, "validate"),
        _kit(
            "event.dispatch",
            "event-dispatch",
            "EventDispatch",
            370,
            "webhook",
            "dry-run",
            settings="DispatchSettings",
            requires=_HTTP,
        ),
        _kit("automation.trigger", "automation-trigger", "AutomationTrigger", 365, "rules"),
        _kit("task.schedule", "task-schedule", "TaskSchedule", 360, "cron", "interval"),
    ]
)
