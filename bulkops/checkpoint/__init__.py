"""What is remembered about a run: rows, who a line is, and reading; writing is in `store` and `memory`."""

from bulkops.checkpoint.identity import (
    KEY_SIZE,
    KeyIndex,
    Occurrences,
    digest,
    line_key,
    operation_key,
    prefix,
    run_key,
    spelled,
    tag_key,
)
from bulkops.checkpoint.interface import Checkpoint, Reader
from bulkops.checkpoint.reader import CheckpointReader, open_reader
from bulkops.checkpoint.rows import LineChecks, OperationRow, StateRow, StepRow, StepState

__all__ = [
    "KEY_SIZE",
    "Checkpoint",
    "CheckpointReader",
    "KeyIndex",
    "LineChecks",
    "Occurrences",
    "OperationRow",
    "Reader",
    "StateRow",
    "StepRow",
    "StepState",
    "digest",
    "line_key",
    "open_reader",
    "operation_key",
    "prefix",
    "run_key",
    "spelled",
    "tag_key",
]
