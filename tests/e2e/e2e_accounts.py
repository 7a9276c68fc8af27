"""Two keys at one server: accounts as people have them, each with a world of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkops.emulator.world import World
    from tests.e2e.e2e_commands import Desk

US, EU = "key-of-us", "key-of-eu"


def two_accounts(desk: Desk, us: str = "1000000/min", eu: str = "1000000/min", at: str = "") -> None:
    """Write an accounts file with `us` and `eu`, each with its key file and its rate; `at` is a base URL for both."""
    text = ""
    for name, key, rate in (("us", US, us), ("eu", EU, eu)):
        file = desk.folder / f"key-{name}"
        file.write_text(f"{key}\n")
        file.chmod(0o600)
        text += f'[accounts.{name}]\napi_key_file = "{file}"\nrate = "{rate}"\n'
        text += f'base_url = "{at}"\n' if at else ""
    desk.accounts(text)


def world(desk: Desk, key: str) -> World:
    """Return what a key owns."""
    assert desk.server is not None
    return desk.server.world(key)


def names(desk: Desk, key: str) -> list[str]:
    """Return the names of the agents that were created with a key, in order."""
    return sorted(effect.name for effect in world(desk, key).effects if effect.kind == "agent.create")
