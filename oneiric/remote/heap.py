"""Make very many objects that stay, without the collector looking at all of them meanwhile."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

VERY_MANY = 10_000


@contextmanager
def settling() -> Iterator[None]:
    """Let what is made inside count as long there already when it ends.

    A full collection holds up every thread for as long as it takes to look at all objects
    there are. Making ten thousand offers would cause several; inside there are none, and what
    was made joins the oldest generation unseen, where the next ordinary one meets it. Of less,
    nothing joins: that would put the next full collection off, and again with every call.
    Objects that the process itself has frozen stay frozen, and a collector that is off stays off.

    >>> with settling():
    ...     offers = [[number] for number in range(10_000)]
    """
    if not gc.isenabled():
        yield
        return
    frozen = gc.get_freeze_count()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > VERY_MANY:
            gc.freeze()
            if not frozen:
                gc.unfreeze()
        gc.enable()
