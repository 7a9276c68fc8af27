"""TLS for servers on loopback: a certificate of our own, which is its own authority."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.sending.sending_doubles import LONGEST

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """The two sides of TLS; `authority` is a folder that `make_authority` has filled."""

    authority: Path

    def serving(self) -> ssl.SSLContext:
        """Return the server's side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority / "cert.pem", self.authority / "key.pem")
        return context

    def trusting(self) -> ssl.SSLContext:
        """Return the client's side, trusting our own authority."""
        return ssl.create_default_context(cafile=str(self.authority / "cert.pem"))


def make_authority(folder: Path) -> Path:
    """Make a certificate for localhost in a folder; return the folder."""
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem"
    subprocess.run(
        [*make.split(), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=LONGEST,
    )
    return folder
