"""What argparse lacks: options from the environment, and errors that name the nearest word."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


class Parser(argparse.ArgumentParser):
    """A parser without abbreviations, whose errors say where help is."""

    def __init__(self, *arguments: object, **options: object) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(*arguments, **options)  # type: ignore[arg-type] # passed on as they came

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message}. `{self.prog} --help` lists what there is.\n")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            from difflib import get_close_matches

            known = [str(choice) for choice in action.choices]
            close = get_close_matches(str(value), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
            raise argparse.ArgumentError(
                None, f"there is no {action.metavar or action.dest} {value!r}; {hint}"
            )


def take_environment(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Give every option the value of its environment variable as default: `--max-x` that of `BULKOPS_MAX_X`."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list its options
        name = next((flag for flag in action.option_strings if flag.startswith("--")), None)
        if name is None or name == "--help":
            continue
        variable = "BULKOPS_" + name[2:].upper().replace("-", "_")
        text = environ.get(variable)
        if text is not None:
            action.default = _flag(parser, variable, text) if action.nargs == 0 else text


def _flag(parser: argparse.ArgumentParser, variable: str, text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        parser.error(f"{variable}={text!r} has to be 1 or 0")
    return word in _TRUE


def say(text: str) -> None:
    """Print for people, on stderr."""
    print(text, file=sys.stderr, flush=True)
