"""What is said about a job that cannot be run."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from bulkops.cli.parsing import say
from bulkops.jobfile.problems import PROBLEMS_SHOWN, problems_text

if TYPE_CHECKING:
    from bulkops.errors import JobError


def tell_problems(error: JobError) -> None:
    """Print what is wrong with a job: the first hundred problems, and where all of them stand."""
    say(problems_text(error.problems))
    number = len(error.problems)
    if number > PROBLEMS_SHOWN:
        with tempfile.NamedTemporaryFile(
            "w", prefix="bulkops-problems-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.writelines(f"{problem}\n" for problem in error.problems)
        say(f"All of them: {file.name}")
    say(f"bulkops: {number:,} problem{'s' if number > 1 else ''}; nothing was sent")
