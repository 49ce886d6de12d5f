"""Look at a runtime and change it from IPython; needs the extra `shell`."""

from oneiric.shell.admin import AdminShell

__all__ = ["AdminShell"]
