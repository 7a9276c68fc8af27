"""The main job on real input: what `make demo` runs.

The documents are those that are on every machine after set-up: the licence files and the long descriptions of the
installed distributions. Everything else follows from them: agents cloned from one golden agent, a tool, a suite of
simulations, and the export of the conversations that the built-in server starts with.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from importlib.metadata import Distribution

DEMO = Path("demo")
JOB = DEMO / "demo.jsonl"
DOCUMENTS = DEMO / "documents"
LEAST_DOCUMENTS = 40
CONVERSATIONS = 200
LANGUAGES = [
    "cs",
    "da",
    "de",
    "el",
    "en",
    "es",
    "fi",
    "fr",
    "hi",
    "hu",
    "it",
    "ja",
    "ko",
    "nl",
    "pl",
    "pt",
    "ro",
    "sv",
    "tr",
    "uk",
]


def main() -> int:
    """Write the demo's job, run it, and show where the results are."""
    bulkops = [sys.executable, "-m", "bulkops"]
    shutil.rmtree(DEMO, ignore_errors=True)
    number = gather(DOCUMENTS)
    _say(f"{number} real documents gathered in {DOCUMENTS}/")
    _call([*bulkops, "new", "upload", str(DOCUMENTS), "--out", str(JOB)])
    with JOB.open("ab") as job:
        job.writelines(orjson.dumps(line) + b"\n" for line in more_lines())
    _call([*bulkops, "plan", str(JOB)])
    code = _call([*bulkops, "run", str(JOB), "--emulate", "--time-scale", "10"])
    folder = DEMO / "demo.emulated.run"
    _say("")
    _say("Where the results are:")
    for name, what in (
        ("results.jsonl", "one row for each operation"),
        ("created.jsonl", "every id that was made"),
        ("transcripts/", f"{sum(1 for _ in (folder / 'transcripts').iterdir())} exported conversations"),
        ("lists/agents.jsonl", "the account's agents afterwards"),
        ("summary.json", "the counts, which add up"),
    ):
        _say(f"  {folder / name}  {what}")
    _say(f"  bulkops results {JOB} --emulate --format csv   the same as a table")
    return code


def gather(folder: Path) -> int:
    """Copy the licence files and long descriptions of the installed distributions; return how many there are."""
    folder.mkdir(parents=True)
    number = 0
    for distribution in sorted(distributions(), key=lambda found: found.name.lower()):
        for name, content in _documents(distribution):
            (folder / f"{distribution.name}-{name}").write_bytes(content)
            number += 1
    if number < LEAST_DOCUMENTS:
        raise SystemExit(
            f"only {number} documents found among the installed distributions; run `make clean demo`"
        )
    return number


def _documents(distribution: Distribution) -> list[tuple[str, bytes]]:
    found = {}
    for file in distribution.files or ():
        if "dist-info" in str(file) and file.name.upper().startswith(
            ("LICENSE", "LICENCE", "COPYING", "NOTICE")
        ):
            found[file.name] = Path(str(file.locate())).read_bytes()
    description = distribution.metadata.get_payload()  # type: ignore[attr-defined] # an email.message.Message
    if isinstance(description, str) and description.strip():
        found["description.md"] = description.encode("utf-8", "replace")
    return [(name, content) for name, content in found.items() if content.strip()]


def more_lines() -> list[dict[str, object]]:
    """Return the lines that follow the documents."""
    prompt = {
        "prompt": "You answer questions about open source packages.",
        "llm": "gpt-4o",
        "temperature": 0.3,
    }
    golden = {
        "name": "Golden agent",
        "conversation_config": {
            "agent": {
                "prompt": {**prompt, "tool_ids": ["${ref:weather#tool_id}"]},
                "first_message": "Hello {{user_name}}, how can I help?",
                "language": "en",
            }
        },
    }
    weather = {
        "name": "get_weather",
        "description": "Fetch current weather for a city",
        "url": "https://api.weather.com/v1/current",
        "method": "GET",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "headers": {"Authorization": "Bearer {{secret__weather_api_key}}"},
    }
    lines: list[dict[str, object]] = [
        {"id": "weather", "op": "tool.create", "body": weather},
        {"id": "golden", "op": "agent.create", "body": golden},
    ]
    lines += [
        {
            "id": f"support-{language}",
            "op": "agent.clone",
            "agent_id": "${ref:golden#agent_id}",
            "name": f"Support {language}",
            "set": {
                "conversation_config": {
                    "agent": {
                        "language": language,
                        "prompt": {"prompt": f"Answer in the language {language!r}."},
                    }
                }
            },
        }
        for language in LANGUAGES
    ]
    lines += [
        {
            "id": f"simulation-{number}",
            "op": "agent.simulate",
            "agent_id": "${ref:golden#agent_id}",
            "repeat": 2,
            "body": {
                "scenario": f"A customer asks for a refund of order #{12340 + number}",
                "user_messages": ["I want a refund", "I ordered it last week"],
                "success_criteria": ["Agent acknowledges request", "Agent provides timeline"],
            },
        }
        for number in range(1, 6)
    ]
    lines += [
        {"op": "conversation.export", "conversation_id": f"conv_seed_{number:04d}"}
        for number in range(1, CONVERSATIONS + 1)
    ]
    everybody = [f"support-{language}" for language in LANGUAGES]
    lines.append({"id": "agents", "op": "agent.list", "needs": everybody})
    return lines


def _call(command: list[str]) -> int:
    _say(f"\n$ {' '.join(['bulkops', *command[3:]])}")
    return subprocess.run(command, check=False).returncode


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
