"""What stands behind a workflow whose nodes are data."""

from __future__ import annotations


class Declared:
    """Be the component of a workflow that its manifest declares in full: there is nothing to do."""
