"""What every command takes, declared as data; what it means is in `orders.py`."""

from __future__ import annotations

from bulkops.cli.emulator_options import EMULATOR
from bulkops.cli.listen_options import LISTEN
from bulkops.cli.parsing import Option, Verb, assignment, duration, not_negative, positive

JOB = (("JOB", "the job file (JSONL)"),)
RUN_DIR = Option(
    "--run-dir", takes=str, metavar="DIR", about="the run folder; default: JOB.run beside the job file"
)
OF_REHEARSAL = Option("--emulate", about="of the last rehearsal")
JSON = Option("--json", about="print it as JSON on stdout")
CHANGED = Option(
    "--changed",
    takes=str,
    metavar="keep|rerun",
    choices=("keep", "rerun"),
    about="when lines that were done have been edited or removed: go on, or also do edited ones again",
)
NO_BEFORE = Option(
    "--no-before",
    about="do not read what is changed beforehand; undo can then not take it back",
)
MAX_DELETE = Option("--max-delete", takes=int, metavar="N", about="refuse a job that has more left to delete")
YES = Option("--yes", about="delete without asking; needed where there is no terminal to ask on")
HEADER = Option(
    "--header",
    takes=str,
    metavar="FILE",
    about="a file with a header, which stands under that of the job; for jobs that tools write",
)
VAR = Option(
    "--var",
    takes=assignment,
    metavar="NAME=VALUE",
    several=True,
    about="the value of a var, which the job's header has to declare; may be repeated",
)
ACCOUNT = (
    Option("--account", takes=str, metavar="NAME", about="the account of the accounts file to use"),
    Option(
        "--api",
        takes=str,
        metavar="API",
        offers=("reference", "live"),
        about="the API profile: reference, or live, as the service speaks it today (default: what the accounts file "
        "says, else reference)",
    ),
    Option("--base-url", takes=str, metavar="URL", about="where the API is, up to and with /v1/convai"),
    Option(
        "--residency",
        takes=str,
        metavar="PLACE",
        offers=("global", "us", "eu", "in", "sg"),
        about="with --api live: where the workspace is, in place of --base-url",
    ),
    Option(
        "--tier",
        takes=str,
        metavar="TIER",
        offers=("standard", "pro", "enterprise"),
        about="standard (100 requests a minute), pro (500) or enterprise",
    ),
    Option(
        "--rate", takes=str, metavar="N/PERIOD", about="the limit itself, such as 100/min; wins over --tier"
    ),
    Option(
        "--reserve", takes=str, metavar="N%", about="leave so much of the limit to others: 20%, or 20/min"
    ),
    Option(
        "--exclusive", about="nobody else uses the key: go ahead of the even pace where the server lets us"
    ),
)
API_KEY_FILE = Option(
    "--api-key-file", takes=str, metavar="FILE", about="a file (mode 0600) that holds the API key"
)
ONLINE = (
    Option("--online", about="also read what would change, and show the differences; sends reads only"),
    Option(
        "--online-limit",
        takes=int,
        metavar="N",
        default=100,
        about="look at the agents of so many lines at most (100)",
    ),
    API_KEY_FILE,
)
RUNNING = (
    Option(
        "-j",
        "--jobs",
        takes=int,
        metavar="N",
        about="requests in flight, at most (default 16; 8 with --api live)",
    ),
    Option(
        "--poll-share",
        takes=str,
        metavar="N%",
        about="of the requests, looks at what is awaited get at most so many while others wait (10%; 40% when "
        "later operations wait for what is awaited)",
    ),
    API_KEY_FILE,
    Option(
        "--upload-root",
        takes=str,
        metavar="DIR",
        about="upload only files below this folder, following no links",
    ),
    Option("--halt", takes=str, metavar="fail=N|N%", about="stop when so many, or such a share, have failed"),
    Option("--max-requests", takes=int, metavar="N", about="stop after so many requests"),
    Option("--max-duration", takes=duration, metavar="TIME", about="stop after so long, such as 90m or 2h"),
    CHANGED,
    NO_BEFORE,
    MAX_DELETE,
    Option(
        "--drain",
        takes=not_negative,
        metavar="S",
        default=30.0,
        about="seconds for what is in flight when stopped (30)",
    ),
    Option(
        "--settle",
        takes=duration,
        metavar="TIME",
        default=60.0,
        about="what was in doubt for so long and is not in the API's listing had no effect (60s)",
    ),
    Option(
        "--stamp",
        takes=str,
        metavar="WAY,…",
        offers=("none", "suffix", "tag", "folder", "tag,folder"),
        about="mark what is made, so that what is in doubt is known again for sure: suffix ends the names of agents "
        "with a token (none); --api live: tag gives agents a tag (the default there), folder puts documents into a "
        "folder of the run",
    ),
    Option(
        "--timeout",
        takes=positive,
        metavar="S",
        default=300.0,
        about="seconds for one attempt of a request (300)",
    ),
    Option(
        "--give-up-after",
        takes=not_negative,
        metavar="S",
        default=300.0,
        about="seconds to wait for a server out of reach (300)",
    ),
    Option(
        "--time-scale",
        takes=positive,
        metavar="X",
        default=1.0,
        about="how many times as fast the emulator's clock runs",
    ),
)
RESCUE = Option(
    "--rescue",
    takes=str,
    metavar="DIR",
    about="where to save what is in flight when the run folder cannot be written (default: the system's"
    " folder for temporary files)",
)
UNSAFE_FS = Option("--unsafe-fs", about="use a run folder on a network file system, whose locks may not hold")
LOCK_WAIT = Option(
    "--lock-wait",
    takes=duration,
    metavar="T",
    default=0.0,
    about="how long to wait for another run of the job to end, such as 30s or 5m (default: not at all)",
)
ANOTHER_KEY = Option(
    "--another-key", about="go on with a new API key of the same account, in place of the one before"
)
SAFETY = (
    YES,
    LOCK_WAIT,
    RESCUE,
    ANOTHER_KEY,
    UNSAFE_FS,
)
TELLING = (
    Option("--json", about="print the summary as JSON on stdout at the end"),
    Option("--log-file", takes=str, metavar="FILE", about="write what happens to a log file as well"),
    Option(
        "--metrics", takes=str, metavar="FILE", about="write OpenMetrics to a file, for a textfile collector"
    ),
    Option("-q", "--quiet", about="print nothing unless something failed"),
)
EMULATE = Option(
    "--emulate",
    about="rehearse against a built-in local server, in a run folder of its own that begins anew each time",
)
LEDGER = Option(
    "--ledger",
    takes=str,
    metavar="RUN",
    several=True,
    about="a run folder, or its results.jsonl: documents that it uploaded are not uploaded again where lines say "
    "if_exists: skip; may be repeated",
)
RELIST = Option(
    "--relist", about="read the listings again whose rows the job names, and do what is new in them as well"
)
DRY_RUN = Option("-n", "--dry-run", about="only say what it would do, like plan")
POLICIES = ("reconcile", "retry", "skip", "ask")
POLICY = Option(
    "--in-doubt",
    takes=str,
    metavar="POLICY",
    default="reconcile",
    offers=POLICIES,
    about="what is done about operations in doubt: reconcile (default: ask the API), retry, skip, ask; or by kind: "
    "reconcile,conversation.create=retry",
)
IN_DOUBT = Option(
    "--in-doubt",
    takes=str,
    metavar="[=POLICY]",
    default="reconcile",
    bare="retry",
    offers=POLICIES,
    about="also send again what is in doubt; what did take effect is then there twice",
)

AGAIN = (RUN_DIR, HEADER, VAR, LEDGER, *ACCOUNT, *RUNNING, RESCUE, UNSAFE_FS, POLICY)
"""What the command that continues repeats, since it says what a run may do to the account, and with which files."""
ONCE = (EMULATE, RELIST, DRY_RUN, YES, LOCK_WAIT, ANOTHER_KEY, *TELLING)
"""What it leaves out: it is agreed to for one run, or says only how a run begins and what it tells."""

WRITTEN = (
    Option("--out", takes=str, metavar="FILE", about="the job file to write; default: stdout"),
    Option("--force", about="replace a job file that is there"),
)
MODEL = Option(
    "--model",
    takes=str,
    metavar="MODEL",
    default="e5_mistral_7b",
    about="the embedding model (e5_mistral_7b)",
)
NO_INDEX = Option("--no-index", about="only upload")
INCLUDE = Option(
    "--include",
    takes=str,
    metavar="GLOB",
    several=True,
    about="only files that match, such as '*.md'",
)
NEW = {
    "upload": Verb(
        "upload the documents of a folder, and index them",
        (("FOLDER", "the folder; those in it too"),),
        options=(
            MODEL,
            NO_INDEX,
            INCLUDE,
            Option(
                "--if-exists",
                takes=str,
                metavar="create|skip",
                choices=("create", "skip"),
                about="what the lines say of a document with the same content and name; skip lets later runs know it",
            ),
            *WRITTEN,
        ),
    ),
    "replace": Verb(
        "replace the documents of a folder that have changed, in every agent that has them, without a gap",
        (("FOLDER", "the folder; those in it too"),),
        options=(
            Option(
                "--ledger",
                takes=str,
                metavar="RUN",
                several=True,
                required=True,
                about="the run folder, or the results.jsonl, of a run that uploaded them; may be repeated, later count",
            ),
            Option("--remove", about="also take documents out of the agents that have no file in the folder"),
            MODEL,
            NO_INDEX,
            INCLUDE,
            *WRITTEN,
        ),
    ),
    "clone": Verb(
        "clone an agent for every row of a CSV file, whose columns say what differs",
        options=(
            Option(
                "--from-csv",
                takes=str,
                metavar="FILE",
                required=True,
                about="the CSV file; columns such as conversation_config.agent.language are set, others noted as meta",
            ),
            Option("--agent", takes=str, metavar="ID", required=True, about="the agent to clone"),
            Option(
                "--id", takes=str, metavar="COLUMN", about="the column of the lines' ids; default: the first"
            ),
            Option(
                "--name",
                takes=str,
                metavar="COLUMN",
                about="the column of the agents' names; default: name, where there is one",
            ),
            *WRITTEN,
        ),
    ),
    "export": Verb(
        "export the conversations of a list",
        options=(
            Option(
                "--ids",
                takes=str,
                metavar="FILE",
                required=True,
                about="the file with the ids, one on each line; or CSV, or JSON lines",
            ),
            Option("--column", takes=str, metavar="COLUMN", about="it is CSV, and this column has the ids"),
            Option(
                "--field", takes=str, metavar="FIELD", about="it is JSON lines, and this field has the ids"
            ),
            *WRITTEN,
        ),
    ),
    "migrate": Verb(
        "copy the agents of one account to another, with what they use; reads the first, and writes to none",
        (("[AGENT…]", "the ids of the agents; default: all of the account"),),
        options=(
            Option("--from", takes=str, metavar="NAME", required=True, about="the account to read"),
            Option("--to", takes=str, metavar="NAME", required=True, about="the account to copy to"),
            Option(
                "--tools",
                takes=str,
                metavar="FILE",
                about="bodies of tools as JSON lines, each with the `source_id` that agents know it by",
            ),
            Option(
                "--documents",
                takes=str,
                metavar="FOLDER",
                about="the folder with the files of documents, named by their ids or as the documents are",
            ),
            Option(
                "--id-map",
                takes=str,
                metavar="FILE",
                several=True,
                about="what takes the place of which id: id_map.jsonl of another run, or CSV with old and new",
            ),
            Option(
                "--if-exists",
                takes=str,
                metavar="WAY",
                choices=("skip", "update", "error", "create"),
                default="skip",
                about="what is done where an agent has the name there: skip (default), update, error, create another",
            ),
            MODEL,
            NO_INDEX,
            *WRITTEN,
        ),
        account_and_pace=tuple(
            option for option in ACCOUNT if option.name in {"api", "base_url", "residency", "rate"}
        ),
    ),
}

OUT_FOLDER = Option(
    "--out", takes=str, metavar="DIR", default="exports", about="the folder of the exports (default: exports)"
)
_FOR_EXPORTS = ("--jobs", "--poll-share", "--api-key-file", "--halt", "--max-requests", "--max-duration", "--drain",
    "--timeout", "--give-up-after", "--time-scale")  # fmt: skip
EXPORT = {
    "conversations": Verb(
        "export the conversations that are not exported yet, and say what is missing; from cron, for years",
        options=(
            Option(
                "--ids-from",
                takes=str,
                metavar="SOURCE",
                several=True,
                about="where conversations are known from: the spool of listen, a file of ids, a run folder, or "
                "listing (--api live); may be repeated",
            ),
            Option(
                "--since",
                takes=str,
                metavar="TIME",
                about="created from then on: 2026-11-22, 2026-11-22T08:00:00Z, or watermark:NAME for what came "
                "since the last time",
            ),
            Option(
                "--until",
                takes=str,
                metavar="TIME",
                about="created before then; a backfill, which leaves watermarks alone",
            ),
            Option(
                "--lookback",
                takes=duration,
                metavar="TIME",
                default=172_800.0,
                about="conversations named again that are younger than the watermark (or --since) less this are read "
                "again, for a new analysis (48h)",
            ),
            OUT_FOLDER,
            Option(
                "--format",
                takes=str,
                metavar="FORMAT",
                default="jsonl",
                choices=("jsonl", "csv", "parquet"),
                about="of the rows: jsonl (default), csv or parquet",
            ),
            Option("--text", about="write each transcript as text, too"),
            Option(
                "--redact",
                takes=str,
                metavar="FIELD",
                several=True,
                about="a dotted path of what is not to be stored, such as analysis.extracted_data; may be repeated",
            ),
            Option("--drop-text", about="store no transcripts"),
            Option(
                "--wait",
                takes=str,
                metavar="TIME",
                default="10m",
                about="how long to wait for conversations that are not over (10m); then they are pending",
            ),
            Option("--accept-missing", about="give up what the API does not have; it is not asked for again"),
        ),
        account_and_pace=ACCOUNT,
        running=tuple(option for option in RUNNING if option.flags[-1] in _FOR_EXPORTS),
        safety=(LOCK_WAIT, RESCUE, ANOTHER_KEY, UNSAFE_FS),
        telling=TELLING,
    ),
    "verify": Verb(
        "check the files and rows of exports against their manifests; sends nothing",
        (("DIR", "the folder of the exports"),),
        options=(JSON,),
    ),
    "report": Verb(
        "write one HTML file about exports: day by day, what is pending and what is missing",
        (("DIR", "the folder of the exports"),),
    ),
}

VERBS = {
    "plan": Verb(
        "validate a job, and say what a run would do; sends nothing, or reads with --online",
        JOB,
        options=(RUN_DIR, HEADER, VAR, CHANGED, NO_BEFORE, JSON),
        account_and_pace=ACCOUNT,
        looking=ONLINE,
    ),
    "run": Verb(
        "do a job; run it again and it continues",
        JOB,
        options=(RUN_DIR, HEADER, VAR, LEDGER, EMULATE, RELIST, DRY_RUN, POLICY),
        account_and_pace=ACCOUNT,
        running=RUNNING,
        safety=SAFETY,
        telling=TELLING,
    ),
    "retry": Verb(
        "do what failed or is blocked again",
        JOB,
        options=(RUN_DIR, HEADER, VAR, LEDGER, IN_DOUBT),
        account_and_pace=ACCOUNT,
        running=RUNNING,
        safety=SAFETY,
        telling=TELLING,
    ),
    "resolve": Verb(
        "settle an operation in doubt by hand",
        (*JOB, ("ID", "the operation: its id, ID[N] for one of several, or what in_doubt.jsonl names")),
        options=(
            RUN_DIR,
            Option("--adopt", takes=str, metavar="ENTITY", about="it took effect: this is what it made"),
            Option("--retry", about="send it again; it may then be there twice"),
            Option("--skip", about="give it up"),
            RESCUE,
        ),
    ),
    "undo": Verb(
        "write the job that takes back what a run did, for review; what cannot be taken back is told",
        JOB,
        options=(
            RUN_DIR,
            *WRITTEN,
            Option("--even-if-changed", about="also take back what was changed since the run"),
            OF_REHEARSAL,
        ),
    ),
    "status": Verb("say where a job stands, also while it runs", JOB, options=(RUN_DIR, OF_REHEARSAL, JSON)),
    "results": Verb(
        "print the results of a job as JSONL, CSV or Parquet",
        JOB,
        options=(
            RUN_DIR,
            Option(
                "--format",
                takes=str,
                metavar="FORMAT",
                default="jsonl",
                choices=("jsonl", "csv", "parquet"),
                about="jsonl, csv or parquet",
            ),
            Option("--select", takes=str, metavar="FIELD,…", about="only these, such as id,status,agent_id"),
            Option("--failed", about="only what is not done"),
            OF_REHEARSAL,
        ),
    ),
    "report": Verb(
        "write one HTML file that says what happened, also while it runs",
        JOB,
        options=(
            RUN_DIR,
            Option(
                "--out",
                takes=str,
                metavar="FILE",
                about="the file to write; default: report.html in the run folder",
            ),
            OF_REHEARSAL,
        ),
    ),
    "export": Verb(
        "export conversations into a data set that can be verified, a little more each time", (), EXPORT
    ),
    "new": Verb(
        "write a job file, for review: from a folder, a CSV file, a list of ids, an account", (), NEW
    ),
    "kinds": Verb(
        "list the kinds of operations and their fields", (("[KIND]", "only this one"),), options=(JSON,)
    ),
    "schema": Verb(
        "print the JSON Schema of a job file's lines, for editors",
        (("[KIND]", "only of lines of this kind"),),
        options=(
            Option(
                "--job",
                takes=str,
                metavar="JOB",
                about="of the lines of this job: knows its header, and so which fields are missing",
            ),
            HEADER,
        ),
    ),
    "completion": Verb(
        "print what completes commands, options and files in a shell",
        (("SHELL", "bash, zsh or fish"),),
    ),
    "doctor": Verb(
        "say whether keys, servers, limits, clock and job files are as they should be; three reads an account",
        (("[JOB…]", "job files to look into, with the accounts that they name"),),
        options=(API_KEY_FILE, JSON),
        account_and_pace=(
            Option(
                "--account",
                takes=str,
                metavar="NAME",
                several=True,
                about="the account of the accounts file to look at, in place of those of the jobs; may be repeated",
            ),
            *(option for option in ACCOUNT if option.name != "account"),
        ),
    ),
    "emulate": Verb(
        "start the local server that speaks the API",
        **EMULATOR,
    ),
    "listen": Verb(
        "receive webhooks, and keep what is delivered in a spool, durably and once",
        **LISTEN,
        api=tuple(option for option in ACCOUNT if option.name == "api"),
    ),
}
