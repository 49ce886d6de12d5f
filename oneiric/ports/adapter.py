"""What every port shares: capabilities that can be asked for, and the three phases."""

from typing import Protocol

from oneiric.core.health import HealthReport


class Adapter(Protocol):
    """Announce what a provider can do beyond its port.

    A capability is a promise: asking the resolver for it gives a provider that
    keeps it. The same words stand in the provider's `Candidate`.
    """

    @property
    def capabilities(self) -> frozenset[str]:
        """The names of what it can do; never changes during its life."""
        ...


class Managed(Protocol):
    """Bring a provider up and down: the phases that the lifecycle calls.

    All three are optional for a component. Our own providers have all three and
    promise what stands here, so that one suite can hold them to it.
    """

    async def init(self) -> None:
        """Open what is needed; a second call without `cleanup` changes nothing.

        Raises:
            AdapterError: it cannot be opened; another `init` may be tried.
        """
        ...

    async def health(self) -> bool | HealthReport:
        """Tell whether a call would succeed now; never raise, and answer in bounded time.

        A provider that knows why it would not returns a report whose `detail` says so.
        Becomes true again by itself when the backend is back.
        """
        ...

    async def cleanup(self) -> None:
        """Close everything; a second call does nothing, and `init` works again.

        Calls in flight end with a result or an `AdapterError`, and none hangs.
        """
        ...
