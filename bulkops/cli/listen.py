"""`bulkops listen`: the receiver of webhooks, which keeps what is delivered in a spool."""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli.orders import profile
from bulkops.cli.parsing import say
from bulkops.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from bulkops.api import Webhook
    from bulkops.cli.parsing import Options
    from bulkops.webhook.server import Receiving
    from bulkops.webhook.settings import ReceiverSettings

INSTALL = "the receiver needs more packages; install them with: python -m pip install 'bulkops[webhook]'"
TELL_EACH = 60.0
_MOST_TOLD = 100
_DONE, _SOME_LEFT_OUT = 0, 3
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def run(options: Options) -> int:
    """Receive until told to end, or take what was recorded."""
    webhook = profile(options).webhook
    if options.replay is not None:
        return _replay(options, webhook)
    settings = _settings(options, webhook)
    try:
        import uvicorn.protocols.http.httptools_impl  # noqa: F401 - tells early what is missing
    except ImportError as missing:
        raise UsageError(f"{INSTALL} ({missing})") from None
    import anyio

    # The thread that writes needs the interpreter twice for each write. With the usual 5 ms until a busy event loop
    # lets go of it, the slowest answers took twice as long.
    sys.setswitchinterval(0.0005)
    return anyio.run(_listen, settings)


async def _listen(settings: ReceiverSettings) -> int:
    import signal

    import anyio

    from bulkops.reporting.text import safe_text
    from bulkops.webhook.server import receiving

    def told(text: str) -> None:
        say("\n".join(safe_text(line) for line in text.splitlines()))

    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with receiving(settings, told) as receiver:
                _greet(settings, receiver)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_tell, receiver)
                    async for _ in signals:
                        break
                    tasks.cancel_scope.cancel()
                say("ending: nothing new is taken, what is in flight is finished")
    except OSError as error:
        raise UsageError(error.strerror or str(error)) from None
    say(f"ended: {receiver.tally.line()}")
    if receiver.trouble is not None:
        raise CheckpointError(
            f"the spool {settings.spool} could not be written at the end: {receiver.trouble}. What was answered with "
            "503 is not in it; make room, and have it delivered again"
        )
    return _DONE


def _greet(settings: ReceiverSettings, receiver: Receiving) -> None:
    print(receiver.url, flush=True)
    secrets = f"{len(settings.secrets)} secret{'s' * (len(settings.secrets) != 1)}"
    say(
        f"listening on {receiver.url}, spool {settings.spool}; {secrets}, signatures: "
        f"{' or '.join(sorted(settings.forms))}. Ctrl-C ends it"
    )
    if settings.tls is None and settings.host not in _LOOPBACK:
        say(
            "without TLS everybody on the way can read the transcripts: give --tls-cert and --tls-key, or listen on "
            "127.0.0.1 behind a proxy that has it"
        )


async def _tell(receiver: Receiving) -> None:
    """Say every minute what came in it, where something did."""
    import anyio

    before = receiver.tally.copy()
    while True:
        await anyio.sleep(TELL_EACH)
        if receiver.tally != before:
            say(f"in the last minute: {receiver.tally.since(before).line()}")
            before = receiver.tally.copy()


def _settings(options: Options, webhook: Webhook) -> ReceiverSettings:
    from bulkops.webhook.secrets import find_secrets
    from bulkops.webhook.settings import ReceiverSettings
    from bulkops.webhook.signature import BARE, TIMESTAMPED

    forms = {None: webhook.signature_forms, "any": frozenset({BARE, TIMESTAMPED})}
    try:
        return ReceiverSettings(
            spool=Path(options.spool),
            secrets=find_secrets(options.secret_file or [], os.environ),
            webhook=webhook,
            forms=forms.get(options.signature, frozenset({options.signature})),
            host=options.host,
            port=options.port,
            path=options.path,
            tolerance=options.tolerance,
            max_body=options.max_body,
            rotate=options.rotate,
            deadline=options.deadline,
            tls=_tls(options.tls_cert, options.tls_key),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _tls(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise UsageError("--tls-key is given without --tls-cert, the certificate that it belongs to")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty password, since OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        files = certificate if key is None else f"{certificate} and {key}"
        raise UsageError(
            f"{files} cannot be used for TLS: {error.strerror or error}. They have to be PEM, the key without a "
            "passphrase, and of one pair"
        ) from None
    return context


def _replay(options: Options, webhook: Webhook) -> int:
    from bulkops.webhook.replaying import Replay
    from bulkops.webhook.writer import SpoolWriter

    source = "stdin" if options.replay == "-" else options.replay
    problems = 0

    def tell(number: int, problem: str) -> None:
        nonlocal problems
        problems += 1
        if problems <= _MOST_TOLD:
            say(f"{source}, line {number} {problem}")

    writer = SpoolWriter(Path(options.spool), options.rotate)
    writer.prepare()
    replay = Replay(writer, webhook, tell)
    with ExitStack() as stack:
        stack.callback(writer.close)
        try:
            lines = (
                sys.stdin.buffer
                if options.replay == "-"
                else stack.enter_context(Path(options.replay).open("rb"))
            )
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror}") from None
        try:
            replay.take(lines)
        except OSError as error:
            raise CheckpointError(
                f"stopped in {source}: {error.strerror or error}; {replay.tally.line()}. Run it again to take the rest"
            ) from None
    say(f"replayed {source} into {options.spool}, without signatures to check: {replay.tally.line()}")
    return _SOME_LEFT_OUT if replay.tally.refused else _DONE
