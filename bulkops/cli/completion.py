"""`bulkops completion SHELL`: what completes commands, options and files, as a script that never starts Python."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from bulkops.cli.options import VERBS
from bulkops.cli.parsing import UsageExit, near, say
from bulkops.operations import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bulkops.cli.parsing import Option, Options, Verb

_FILES: Final = frozenset({"FILE", "JOB"})
_FOLDERS: Final = frozenset({"DIR", "FOLDER"})


class Offer(NamedTuple):
    """What may be offered for a value: words, files or folders; nothing where only the user knows."""

    what: str
    words: tuple[str, ...] = ()


def run(options: Options) -> int:
    """Print the script."""
    script = SHELLS.get(options.shell)
    if script is None:
        hint = near(options.shell, SHELLS) or f"; there are: {', '.join(SHELLS)}"
        say(f"bulkops completion: there is nothing for {options.shell!r}{hint}")
        raise UsageExit(2)
    print("\n".join(script()))
    return 0


def _commands() -> Iterator[tuple[tuple[str, ...], Verb]]:
    """Yield every command by its words."""
    for name, verb in VERBS.items():
        if verb.verbs:
            yield from (((name, below), taken) for below, taken in verb.verbs.items())
        else:
            yield (name,), verb


def _offer(metavar: str, words: tuple[str, ...] = ()) -> Offer:
    name = metavar.strip("[]…")
    words = words or {"KIND": tuple(KINDS), "SHELL": tuple(SHELLS)}.get(name, ())
    if words:
        return Offer("words", words)
    return Offer("files" if name in _FILES else "folders" if name in _FOLDERS else "nothing")


def _of_option(option: Option) -> Offer:
    return _offer(option.metavar, tuple(option.offers))


def _bash() -> Iterator[str]:
    yield "# Completes bulkops in bash. Written by `bulkops completion bash`; write it anew after an update."
    yield "_bulkops() {"
    yield "    local IFS=$' \\t\\n' word=${COMP_WORDS[COMP_CWORD]} key=${COMP_WORDS[COMP_CWORD-1]}"
    yield "    local verb=${COMP_WORDS[1]} offer= flags= valued= more='<nothing>' start=2 place=0 i"
    yield "    local -a places=()"
    # Bash takes --flag=value apart.
    yield "    if [[ $word == = ]]; then word= key+==; elif [[ $key == = ]]; then key=${COMP_WORDS[COMP_CWORD-2]}=; fi"
    yield "    if ((COMP_CWORD == 1)); then"
    yield f"        COMPREPLY=($(compgen -W '{' '.join([*VERBS, '--help', '--version'])}' -- \"$word\"))"
    yield "        return"
    yield "    fi"
    yield "    case $verb in"
    for name, verb in VERBS.items():
        if verb.verbs:
            yield f"    {name})"
            yield "        if ((COMP_CWORD == 2)); then"
            yield f"            COMPREPLY=($(compgen -W '{' '.join([*verb.verbs, '--help'])}' -- \"$word\"))"
            yield "            return"
            yield "        fi"
            yield '        verb="$verb ${COMP_WORDS[2]}" start=3 ;;'
    yield "    esac"
    yield "    case $verb in"
    for words, verb in _commands():
        yield f"    {_quoted(' '.join(words))})"
        yield from _bash_command(verb)
    yield "    esac"
    yield from _BASH_END


def _bash_command(verb: Verb) -> Iterator[str]:
    flags = [flag for option in verb.options for flag in option.flags]
    valued = [
        flag for option in verb.options if option.takes and option.bare is None for flag in option.flags
    ]
    places = [_bash_offer(_offer(name)) for name, _ in verb.arguments]
    yield f"        flags={_quoted(' '.join([*flags, '--help']))} valued={_quoted(' '.join(valued))}"
    yield f"        places=({' '.join(map(_quoted, places))})"
    if verb.arguments and verb.arguments[-1][0].endswith("…]"):
        yield f"        more={_quoted(places[-1])}"
    offered: dict[str, list[str]] = {}
    for option in verb.options:
        if option.takes is not None:
            ways = offered.setdefault(_bash_offer(_of_option(option)), [])
            ways += [f"{flag}=" for flag in option.flags if flag.startswith("--")]
            ways += option.flags if option.bare is None else ()
    if offered:
        yield "        case $key in"
        yield from (f"        {'|'.join(ways)}) offer={_quoted(offer)} ;;" for offer, ways in offered.items())
        yield "        esac"
    yield "        ;;"


def _bash_offer(offer: Offer) -> str:
    return " ".join(offer.words) if offer.what == "words" else f"<{offer.what}>"


_BASH_END: Final = r"""
    if [[ -z $offer && $word == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$word"))
        return
    fi
    if [[ -z $offer ]]; then
        for ((i = start; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            =) ((i++)) ;;
            -*) [[ " $valued " == *" ${COMP_WORDS[i]} "* && ${COMP_WORDS[i+1]} != = ]] && ((i++)) ;;
            *) ((place++)) ;;
            esac
        done
        offer=${places[place]:-$more}
    fi
    case $offer in
    '<files>') ;; # readline does it
    '<folders>')
        IFS=$'\n'
        COMPREPLY=($(compgen -d -- "$word"))
        compopt -o filenames +o default 2>/dev/null ;;
    '<nothing>') compopt +o default 2>/dev/null ;;
    *)
        COMPREPLY=($(compgen -W "$offer" -- "$word"))
        compopt +o default 2>/dev/null ;;
    esac
}
complete -o default -F _bulkops bulkops""".splitlines()


def _zsh() -> Iterator[str]:
    yield "#compdef bulkops"
    yield "# Completes bulkops in zsh. Written by `bulkops completion zsh`; write it anew after an update."
    yield "_bulkops() {"
    yield "    local -a below"
    yield from _zsh_words(VERBS, "    ", 2)
    yield "    local verb=$words[2]"
    yield "    shift words"
    yield "    ((CURRENT--))"
    yield "    case $verb in"
    for name, verb in VERBS.items():
        if verb.verbs:
            yield f"    {name})"
            yield from _zsh_words(verb.verbs, "        ", 2)
            yield '        verb="$verb $words[2]"'
            yield "        shift words"
            yield "        ((CURRENT--)) ;;"
    yield "    esac"
    yield "    case $verb in"
    for words, verb in _commands():
        yield f"    {_quoted(' '.join(words))})"
        yield "        _arguments -s -S \\"
        for option in verb.options:
            yield from (f"            {_quoted(spec)} \\" for spec in _zsh_option(option))
        for place, (name, about) in enumerate(verb.arguments, 1):
            colon = "::" if name.startswith("[") else ":"
            spec = f"{'*' if name.endswith('…]') else place}{colon}{_zsh_text(about)}:{_zsh_action(_offer(name))}"
            yield f"            {_quoted(spec)} \\"
        yield "            '(-h --help)'{-h,--help}'[its options]' ;;"
    yield "    esac"
    yield "}"
    # Read by compinit as a function of its own, or with `source`.
    yield 'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _bulkops "$@"; else compdef _bulkops bulkops; fi'


def _zsh_words(verbs: Mapping[str, Verb], indent: str, place: int) -> Iterator[str]:
    yield f"{indent}if ((CURRENT == {place})); then"
    yield f"{indent}    below=("
    for name, verb in verbs.items():
        yield f"{indent}        {_quoted(f'{name}:{verb.about}')}"
    yield f"{indent}    )"
    yield f"{indent}    _describe command below"
    yield f"{indent}    return"
    yield f"{indent}fi"


def _zsh_option(option: Option) -> Iterator[str]:
    """Yield how an option is written for _arguments, once for each of its flags."""
    others = "*" if option.several else f"({' '.join(option.flags)})"
    for flag in option.flags:
        way = value = ""
        if option.takes is not None:
            way = "=-" if option.bare else "=" if flag.startswith("--") else "+"
            optional = "::" if option.bare else ":"
            value = f"{optional}{_zsh_text(option.metavar)}:{_zsh_action(_of_option(option))}"
        yield f"{others}{flag}{way}[{_zsh_text(option.about)}]{value}"


def _zsh_action(offer: Offer) -> str:
    if offer.what == "words":
        return f"({' '.join(offer.words)})"
    return {"files": "_files", "folders": "_files -/", "nothing": " "}[offer.what]


def _zsh_text(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "[]:\\" else letter for letter in text)


def _fish() -> Iterator[str]:
    yield "# Completes bulkops in fish. Written by `bulkops completion fish`; write it anew after an update."
    yield "complete -c bulkops -f"
    yield "complete -c bulkops -n __fish_use_subcommand -l version -d 'the version'"
    yield "complete -c bulkops -s h -l help -d 'how it is used'"
    for name, verb in VERBS.items():
        yield f"complete -c bulkops -n __fish_use_subcommand -a {name} -d {_fish_quoted(verb.about)}"
        first = (
            f"__fish_seen_subcommand_from {name}; and not __fish_seen_subcommand_from {' '.join(verb.verbs)}"
        )
        for below, taken in verb.verbs.items():
            about = _fish_quoted(taken.about)
            yield f"complete -c bulkops -n {_fish_quoted(first)} -a {below} -d {about}"
    for words, verb in _commands():
        when = _fish_quoted("; and ".join(f"__fish_seen_subcommand_from {word}" for word in words))
        for name, about in verb.arguments:
            if value := _fish_offer(_offer(name)):
                yield f"complete -c bulkops -n {when}{value} -d {_fish_quoted(about)}"
        for option in verb.options:
            flags = "".join(f" -l {f[2:]}" if f.startswith("--") else f" -s {f[1:]}" for f in option.flags)
            offer = _of_option(option)
            value = _fish_offer(offer) if option.takes is not None else ""
            if option.takes is not None and option.bare is None:
                value += " -r" if offer.what == "files" else " -x"
            yield f"complete -c bulkops -n {when}{flags}{value} -d {_fish_quoted(option.about)}"


def _fish_offer(offer: Offer) -> str:
    if offer.what == "words":
        return f" -a {_fish_quoted(' '.join(offer.words))}"
    return {"files": " -F", "folders": " -a '(__fish_complete_directories)'", "nothing": ""}[offer.what]


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _quoted(text: str) -> str:
    return shlex.quote(text) if text else "''"


SHELLS: Final[Mapping[str, Callable[[], Iterator[str]]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
