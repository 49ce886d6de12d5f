"""What a person can ask for and do about secrets: one method a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.runtime.rotation_report import RotationReport
from oneiric.runtime.secret_names import check_wanted, names_in, unknown_secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oneiric.runtime.operator import Operator


class SecretsOperator:
    """Answer for the commands about secrets, from the runtime of an operator."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def rotate(self, *, keys: Iterable[str] = (), every: bool = False) -> RotationReport:
        """Say that nothing is to be rotated here: no process but one that runs keeps a secret.

        No store is asked. A running orchestrator rotates with `runtime.secrets.rotate`.

        Raises:
            InvalidError: neither or both of keys and *every* are given.
            NotFoundError: nothing in the configuration names such a secret.
        """
        wanted, known = tuple(dict.fromkeys(keys)), names_in(self._operator.orchestrator.config)
        check_wanted(wanted, every=every)
        for name in wanted:
            if name not in known:
                hint = "no settings name it; oneiric config show --sources tells which do"
                raise unknown_secret(name, known, hint=hint)
        note = f"{self._operator.nobody}, and only one that runs keeps secrets"
        told = tuple(sorted(known)) if every else wanted
        return RotationReport(keys=told, applied="local", note=note)
