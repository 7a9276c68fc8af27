"""Programs that are wrong on purpose, which every harness has to find out; and two that tell or do more."""

from __future__ import annotations

import sys

NO_INTENTS = """
from bulkops.checkpoint.store import SqliteCheckpoint

async def intend(self, step):
    pass

SqliteCheckpoint.intend = intend
"""
"""Nothing is written down before it is sent."""

BLIND_RETRY = """
import bulkops.lifecycle as lifecycle

honest = lifecycle.classify

def classify(*given, **more):
    verdict = honest(*given, **more)
    doubtful = verdict in (lifecycle.Verdict.DOUBT, lifecycle.Verdict.ID_UNKNOWN)
    return lifecycle.Verdict.AGAIN if doubtful else verdict

lifecycle.classify = classify
"""
"""A request whose answer was lost is sent again, as most clients do."""

NORMAL = """
import bulkops.checkpoint.opening as opening

opening._PRAGMAS = tuple(pragma.replace("synchronous=FULL", "synchronous=NORMAL") for pragma in opening._PRAGMAS)
"""
"""The checkpoint does not wait for the disk."""

IGNORED_FAILURES = """
import sqlite3
import bulkops.checkpoint.writer as writer

honest = writer.commit

def commit(connection, batch):
    try:
        honest(connection, batch)
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

writer.commit = commit
"""
"""What the disk refuses is passed over."""

ACKNOWLEDGED = """
import os
from bulkops.checkpoint.store import SqliteCheckpoint

told = os.open(os.environ["ACKNOWLEDGED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
intend, close_operation, close_done = (
    SqliteCheckpoint.intend, SqliteCheckpoint.close_operation, SqliteCheckpoint.close_done
)

async def intends(self, step):
    await intend(self, step)
    os.write(told, f"intent {step.key.hex()} {step.number}\\n".encode())

async def closes(self, row, **more):
    await close_operation(self, row, **more)
    os.write(told, f"end {row.key.hex()} 0\\n".encode())

def closes_done(self, row, hear):
    def heard(failure):
        if failure is None:
            os.write(told, f"end {row.key.hex()} 0\\n".encode())
        hear(failure)

    close_done(self, row, heard)

SqliteCheckpoint.intend, SqliteCheckpoint.close_operation = intends, closes
SqliteCheckpoint.close_done = closes_done
"""
"""Not wrong: it tells, in a file, what the checkpoint has acknowledged as durable, the moment it does."""
SHORT_LOG = """
import bulkops.checkpoint.writer as writer

writer._LOG_PAGES = 12
"""
"""Not wrong: the log is copied into the database, and begun anew, every few commits."""


def program(source: str) -> tuple[str, ...]:
    """Return the words that start the command with a change to it."""
    return (sys.executable, "-c", f"{source}\nimport sys\nfrom bulkops.cli import main\nsys.exit(main())")
