"""What stops a task before it begins, or goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneiric.errors import InvalidError, JSONValue, LockedError, Problem, RefusedError


class TaskError(InvalidError):
    """A task that cannot be tried: everything that is wrong with it, at once."""

    code = "invalid-task"

    def __init__(self, task: str, problems: Sequence[Problem], *, hint: str = "") -> None:
        super().__init__(f"the task {task} cannot be tried", hint=hint)
        self.task = task
        self.problems = tuple(problems)

    def details(self) -> Mapping[str, JSONValue]:
        """Return the task and each problem."""
        return {"task": self.task, "problems": [each.as_json() for each in self.problems]}

    def lines(self) -> Sequence[str]:
        """Return one line for each problem."""
        return [f"{each.key}: {each.what}" for each in self.problems]


class TaskRefusedError(TaskError, RefusedError):
    """A task that asks what may not be asked here, and has no other fault."""

    code = "task-refused"
    exit_code = RefusedError.exit_code


class TaskBusyError(LockedError):
    """Another run of the task is under way: two would deploy over each other."""

    code = "task-busy"

    def __init__(self, task: str, run_id: str) -> None:
        super().__init__(
            f"the task {task} is under way as run {run_id or 'of this process'}",
            hint="wait until it is over, or cancel it",
        )
        self.task = task
        self.run_id = run_id

    def details(self) -> Mapping[str, JSONValue]:
        """Return the task and its run."""
        return {"task": self.task, "run_id": self.run_id}


class TaskChangedError(RefusedError):
    """A run was begun with another task, or under another configuration; carries what differs."""

    code = "task-changed"

    def __init__(self, task: str, run_id: str, changes: Sequence[str]) -> None:
        super().__init__(
            f"the task {task} is not what the run {run_id} was begun with",
            hint="put back what it was begun with, or try the task anew, without --resume",
        )
        self.task = task
        self.run_id = run_id
        self.changes = tuple(changes)

    def details(self) -> Mapping[str, JSONValue]:
        """Return the task, its run and what differs."""
        return {"task": self.task, "run_id": self.run_id, "changes": list(self.changes)}

    def lines(self) -> Sequence[str]:
        """Return one line for each step that differs."""
        return self.changes
