"""The one error that a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Bad input, told in three parts: what was got, what was expected, what to do next.

    The command line prints it without a traceback and exits with code 2.

    Args:
        got: what was found, naming the file or value.
        expected: what would have been right.
        next_step: what the user can do now, as a command where there is one.
    """

    exit_code = 2

    def __init__(self, got: str, expected: str = "", next_step: str = "") -> None:
        self.got = got
        self.expected = expected
        self.next_step = next_step
        super().__init__(self.message())

    def message(self) -> str:
        """The parts that are present, one a line."""
        lines = [self.got]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.next_step:
            lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)
