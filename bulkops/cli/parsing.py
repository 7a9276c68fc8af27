"""Command lines → options. Cron starts many, so nothing is imported here: argparse alone doubles Python's start.

An option is declared once, as data; its value comes from the command line, else from its environment variable
(`--max-x`: `BULKOPS_MAX_X`), else it is the default. Errors name the nearest word.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, NoReturn, TextIO

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})
_ENDLESS = float("inf")
WIDTH = 110
COLUMN = 28


class Options:
    """The options of a call, as attributes: `--run-dir` is `run_dir`."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...


class Option:
    """One option: its flags (the last one names it), what it takes and what it is for.

    `takes` makes a value of its text and raises ValueError for what cannot be one; None makes it a flag. An
    option that is `several` collects its values in a list. `bare` is the value of the flag alone; another one
    follows it after `=`. One that is `required` has to be given. `offers` are words that shells complete.
    """

    def __init__(
        self,
        *flags: str,
        about: str,
        takes: Callable[[str], Any] | None = None,
        metavar: str = "",
        default: Any = None,
        choices: Sequence[str] = (),
        several: bool = False,
        bare: str | None = None,
        required: bool = False,
        offers: Sequence[str] = (),
    ) -> None:
        self.flags = flags
        self.about = about
        self.takes = takes
        self.metavar = metavar
        self.default = False if takes is None else default
        self.choices = choices
        self.bare = bare
        self.several = several
        self.required = required
        self.offers = offers or choices

    @property
    def name(self) -> str:
        """The attribute that holds its value."""
        return self.flags[-1].lstrip("-").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that gives it a default."""
        return f"BULKOPS_{self.name.upper()}"


class Verb:
    """What a command takes: arguments (those in brackets may be left out, `[A…]` are any number) and groups of options.

    One that has `verbs` takes one of them as its first word, and then what that one takes.
    """

    def __init__(
        self,
        about: str,
        arguments: Sequence[tuple[str, str]] = (),
        verbs: Mapping[str, Verb] | None = None,
        /,
        **groups: Sequence[Option],
    ) -> None:
        self.about = about
        self.arguments = arguments
        self.verbs = verbs or {}
        self.groups = groups

    @property
    def options(self) -> Iterator[Option]:
        """All options, those of its verbs included."""
        for group in self.groups.values():
            yield from group
        for verb in self.verbs.values():
            yield from verb.options


def positive(text: str) -> float:
    """Return a number greater than 0 that is not endless."""
    number = float(text)
    if not 0 < number < _ENDLESS:
        raise ValueError(text)
    return number


def not_negative(text: str) -> float:
    """Return a number from 0 that is not endless."""
    return positive(text) if float(text) else 0.0


def duration(text: str) -> float:
    """Return the seconds of `30s`, `5m`, `2h` or `7d`; a mere number counts seconds."""
    if text[-1:].isdigit():
        return not_negative(text)
    from bulkops.operation import seconds

    return seconds(text)


def size(text: str) -> int:
    """Return the bytes of `512KiB`, `25MiB` or `1GiB`; a mere number counts bytes."""
    number = text.rstrip("KMGiB")
    unit = text[len(number) :]
    if unit not in _SIZES or int(number) < 1:
        raise ValueError(text)
    return int(number) * _SIZES[unit]


def assignment(text: str) -> str:
    """Return a `NAME=VALUE` as it is."""
    name, equals, _ = text.partition("=")
    if not equals or not name.isascii() or not name.isidentifier():
        raise ValueError(text)
    return text


_SIZES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_KINDS = {
    int: "a whole number",
    float: "a number",
    positive: "a number greater than 0",
    not_negative: "a number from 0",
    duration: "a duration such as 30s, 5m or 2h",
    size: "a size such as 512KiB, 25MiB or 1GiB",
    assignment: "NAME=VALUE, with letters, digits and _ in the name",
}


class UsageExit(Exception):
    """The call ends here: 0 after help, 2 after an error, whose message was printed."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def read(command: str, verb: Verb, words: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """Return the options of a call; UsageExit when there is nothing to do.

    Where the verb has verbs of its own, the option `verb` says which one was called.
    """
    if not verb.verbs:
        return _Reading(command, verb, environ).read(list(words))
    first = words[0] if words else ""
    if first not in verb.verbs:
        _without_verb(command, verb, first)
    options = read(f"{command} {first}", verb.verbs[first], words[1:], environ)
    options.verb = first
    return options


def _without_verb(command: str, verb: Verb, first: str) -> NoReturn:
    if first in {"-h", "--help"}:
        print("\n".join(_help(command, verb)))
        raise UsageExit(0)
    names = ", ".join(verb.verbs)
    if not first or first.startswith("-"):
        _refuse(command, f"say first what: {names}")
    _refuse(command, f"there is no {first!r}{near(first, verb.verbs) or f'; there are: {names}'}")


class _Reading:
    def __init__(self, command: str, verb: Verb, environ: Mapping[str, str]) -> None:
        self._command = command
        self._verb = verb
        self._environ = environ
        self._by_flag = {flag: option for option in verb.options for flag in option.flags}

    def read(self, words: list[str]) -> Options:
        values = {option.name: self._default(option) for option in self._verb.options}
        arguments: list[str] = []
        while words:
            word = words.pop(0)
            if word == "--":
                arguments += words
                break
            if word in {"-h", "--help"}:
                print("\n".join(_help(self._command, self._verb)))
                raise UsageExit(0)
            if word.startswith("-") and word != "-":
                self._take(word, words, values)
            else:
                arguments.append(word)
        named = self._named(arguments)
        for option in self._verb.options:
            if option.required and values[option.name] is None:
                flag = option.flags[-1]
                self._refuse(f"{flag} is missing: {flag} {option.metavar}")
        return Options(**values, **named)

    def _take(self, word: str, words: list[str], values: dict[str, Any]) -> None:
        flag, equals, text = word.partition("=")
        option = self._by_flag.get(flag)
        if option is None and not word.startswith("--"):
            # -j64 is -j 64
            flag, equals, text = word[:2], "=" if word[2:] else "", word[2:]
            option = self._by_flag.get(flag)
        if option is None:
            self._refuse(f"there is no option {word!r}{near(flag, self._by_flag)}")
        if option.takes is None:
            if equals:
                self._refuse(f"{flag} takes no value")
            values[option.name] = True
            return
        if not equals and option.bare is not None:
            text = option.bare
        elif not equals:
            if not words:
                self._refuse(f"{flag} needs a value: {flag} {option.metavar}")
            text = words.pop(0)
        value = self._value(option, flag, text)
        values[option.name] = [*(values[option.name] or []), value] if option.several else value

    def _default(self, option: Option) -> Any:
        text = self._environ.get(option.variable)
        if text is None:
            return option.default
        if option.takes is not None:
            value = self._value(option, option.variable, text)
            return [value] if option.several else value
        if text.strip().lower() not in _TRUE | _FALSE:
            self._refuse(f"{option.variable}={text!r} has to be 1 or 0")
        return text.strip().lower() in _TRUE

    def _value(self, option: Option, source: str, text: str) -> Any:
        assert option.takes is not None
        if option.choices and text not in option.choices:
            hint = near(text, option.choices) or f"; there are: {', '.join(option.choices)}"
            self._refuse(f"{source}: there is no {text!r}{hint}")
        try:
            return option.takes(text)
        except ValueError:
            kind = _KINDS.get(option.takes, "something else")
            self._refuse(f"{source} takes {kind}, not {text!r}")

    def _named(self, given: list[str]) -> dict[str, str | None]:
        names = [name for name, _ in self._verb.arguments]
        for missing in names[len(given) :]:
            if not missing.startswith("["):
                self._refuse(f"{missing} is missing: bulkops {self._command} {' '.join(names)}")
        many = names[-1:] and names[-1].endswith("…]")
        if many:
            given = [*given[: len(names) - 1], given[len(names) - 1 :]]  # type: ignore[list-item] # the last takes all
        if len(given) > len(names):
            self._refuse(f"{given[len(names)]!r} is one argument too many")
        padded = [*given, *[None] * (len(names) - len(given))]
        return {name.strip("[]…").lower(): text for name, text in zip(names, padded, strict=True)}

    def _refuse(self, message: str) -> NoReturn:
        _refuse(self._command, message)


def _refuse(command: str, message: str) -> NoReturn:
    say(f"bulkops {command}: {message} (`bulkops {command} --help`)")
    raise UsageExit(2)


def _help(command: str, verb: Verb) -> Iterator[str]:
    required = "".join(f" {option.flags[-1]} {option.metavar}" for option in verb.options if option.required)
    arguments = "".join(f" {name}" for name, _ in verb.arguments)
    taken = f" {'|'.join(verb.verbs)} …" if verb.verbs else f" [OPTION]…{required}{arguments}"
    yield f"usage: bulkops {command}{taken}"
    yield ""
    yield f"{verb.about[0].upper()}{verb.about[1:]}."
    for name, below in verb.verbs.items():
        yield ""
        yield from _help(f"{command} {name}", below)
    if verb.arguments:
        yield ""
        for name, about in verb.arguments:
            yield from _entry(name, about)
    for title, group in verb.groups.items():
        yield ""
        yield f"{title.replace('_', ' ')}:"
        for option in group:
            yield from _entry(f"{', '.join(option.flags)} {option.metavar}".rstrip(), option.about)


def _entry(head: str, about: str) -> Iterator[str]:
    line = f"  {head:<{COLUMN - 3}} " if len(head) < COLUMN - 2 else f"  {head}\n{'':<{COLUMN}}"
    length = COLUMN
    for word in about.split():
        if length + len(word) > WIDTH:
            line, length = f"{line.rstrip()}\n{'':<{COLUMN}}", COLUMN
        line += f"{word} "
        length += len(word) + 1
    yield line.rstrip()


def near(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the word that was probably meant, or nothing."""
    best = min(known, key=lambda other: _distance(word, other), default="")
    return f"; did you mean {best!r}?" if best and _distance(word, best) <= max(1, len(word) // 3) else ""


def _distance(a: str, b: str) -> int:
    """Return how many letters, or swaps of neighbours, make one word of the other (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, above, row = row, before, [i]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and other == a[i - 2]:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]


def say(text: str) -> None:
    """Print for people, on stderr; where nobody listens any more, nobody is told."""
    try:
        # Without a stderr, print would take stdout, which belongs to programs.
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)
    except OSError:
        to_nowhere(sys.stderr)


def to_nowhere(stream: TextIO) -> None:
    """Let a stream end nowhere: what it still holds would fail again, and end the process with a code of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
