"""Signatures: what the vendor's own tool makes holds, and nothing else does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from elevenlabs import ElevenLabs
from elevenlabs.errors import BadRequestError
from hypothesis import given
from hypothesis import strategies as st

from bulkops.settings import Secret
from bulkops.webhook.signature import BARE, TIMESTAMPED, Claim, Flaw, claimed, digest, proves
from tests.webhook.webhook_doubles import WEBHOOK, bare, timestamped

if TYPE_CHECKING:
    from collections.abc import Sequence

# The test vector of api/live.md, section 4, which the vendor's SDK has confirmed.
VECTOR_SECRET = Secret("wsec_example")
VECTOR_AT = 1739537297
VECTOR_BODY = (
    '{"type":"post_call_transcription","event_timestamp":1739537297,'
    '"data":{"conversation_id":"conv_1","note":"né"}}'
).encode()
VECTOR_V0 = "44962a0a7c750895d7134fe4c35fe923ee148aa71d3be17b126bbf5a660f1663"
VECTOR = f"t={VECTOR_AT},v0={VECTOR_V0}"
NONE = "0" * 64

secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def verdict(
    header: str | None,
    body: bytes,
    known: Sequence[str | Secret],
    *,
    now: float = VECTOR_AT,
    forms: frozenset[str] = WEBHOOK.signature_forms,
) -> Flaw | None:
    """Return what is wrong with a delivery; None when it is proven."""
    claim = claimed(header, WEBHOOK, forms=forms, now=now, tolerance=1800.0)
    if isinstance(claim, Flaw):
        return claim
    held = [secret if isinstance(secret, Secret) else Secret(secret) for secret in known]
    return None if proves(claim, body, held) else Flaw.WRONG


def test_the_vector_holds() -> None:
    """The documented header proves the documented body, and that body alone."""
    assert verdict(VECTOR, VECTOR_BODY, [VECTOR_SECRET]) is None
    assert verdict(VECTOR, VECTOR_BODY + b"\n", [VECTOR_SECRET]) is Flaw.WRONG
    assert verdict(VECTOR, VECTOR_BODY, [Secret("wsec_other")]) is Flaw.WRONG
    assert digest(VECTOR_SECRET, str(VECTOR_AT), VECTOR_BODY) == VECTOR_V0.encode()


@given(body=st.binary(), secret=secrets, form=st.sampled_from([bare, timestamped]))
def test_what_is_signed_is_proven(body: bytes, secret: str, form: type) -> None:
    """Whatever the body and the secret, either form holds."""
    assert verdict(form(body, secret=secret), body, [secret], now=time.time()) is None


@given(body=st.binary(max_size=50), data=st.data(), form=st.sampled_from([bare, timestamped]))
def test_one_other_byte_is_another_text(body: bytes, data: st.DataObject, form: type) -> None:
    """A changed body, digest or secret proves nothing."""
    header = form(body, secret="s1")
    changed = bytearray(body or b"x")
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    now = time.time()
    assert verdict(header, bytes(changed) if body else b"x", ["s1"], now=now) is Flaw.WRONG
    place = data.draw(st.integers(len(header) - 64, len(header) - 1))
    other = "0" if header[place] != "0" else "1"
    assert verdict(header[:place] + other + header[place + 1 :], body, ["s1"], now=now) is Flaw.WRONG
    assert verdict(header, body, ["s2", "s3"], now=now) is Flaw.WRONG
    assert verdict(header, body, ["s2", "s1"], now=now) is None


@given(st.text(max_size=200))
def test_any_text_is_refused_for_a_reason(header: str) -> None:
    """Whatever stands in the header, it raises nothing and proves nothing."""
    assert isinstance(verdict(header, b"{}", ["s"]), Flaw)


@pytest.mark.parametrize(
    ("header", "flaw"),
    [
        (None, Flaw.MISSING),
        ("", Flaw.MISSING),
        (f"v0={VECTOR_V0},t={VECTOR_AT}", None),
        (f"t={VECTOR_AT}, v0={VECTOR_V0}", None),
        (f"t={VECTOR_AT},v0={NONE},v0={VECTOR_V0}", None),
        (f"t={VECTOR_AT},v0={VECTOR_V0},v0={NONE}", None),
        (f"t={VECTOR_AT},v0=x,v0={VECTOR_V0},v1=y", None),
        (f"t={VECTOR_AT},v0={NONE}", Flaw.WRONG),
        (f"t={VECTOR_AT + 1},v0={VECTOR_V0}", Flaw.WRONG),
        (f"t=0{VECTOR_AT},v0={VECTOR_V0}", Flaw.WRONG),
        (VECTOR_V0, Flaw.WRONG),
        (VECTOR_V0.upper(), Flaw.MALFORMED),
        (VECTOR.upper(), Flaw.MALFORMED),
        (f"t={VECTOR_AT}", Flaw.MALFORMED),
        (f"v0={VECTOR_V0}", Flaw.MALFORMED),
        (f"t={VECTOR_AT},v0={VECTOR_V0[:-1]}", Flaw.MALFORMED),
        (f"t={VECTOR_AT},t={VECTOR_AT},v0={VECTOR_V0}", Flaw.MALFORMED),
        (f"t=-1,v0={VECTOR_V0}", Flaw.MALFORMED),
        (f"t=+{VECTOR_AT},v0={VECTOR_V0}", Flaw.MALFORMED),
        (f"t=1e9,v0={VECTOR_V0}", Flaw.MALFORMED),
        (f"t=\u0661,v0={VECTOR_V0}", Flaw.MALFORMED),
        (f"t={'9' * 400},v0={VECTOR_V0}", Flaw.MALFORMED),
        (f"t={VECTOR_AT},{','.join([f'v0={NONE}'] * 17)}", Flaw.MALFORMED),
        ("t=" + "9" * 10_000, Flaw.MALFORMED),
    ],
)
def test_every_shape_of_the_header(header: str | None, flaw: Flaw | None) -> None:
    """Parts stand in any order, and any of several digests may hold; what has no known form is refused as such."""
    assert verdict(header, VECTOR_BODY, [VECTOR_SECRET]) is flaw


@pytest.mark.parametrize(
    ("late", "flaw"),
    [(0, None), (1800, None), (1801, Flaw.OLD), (-1800, None), (-1801, Flaw.EARLY), (10**9, Flaw.OLD)],
)
def test_a_signature_holds_for_a_while(late: int, flaw: Flaw | None) -> None:
    """Thirty minutes on both sides, the ends included."""
    assert verdict(VECTOR, VECTOR_BODY, [VECTOR_SECRET], now=VECTOR_AT + late) is flaw


def test_a_form_that_is_not_accepted() -> None:
    """Who has said which form there is gets no other."""
    body = b"{}"
    for header, other in ((bare(body), TIMESTAMPED), (timestamped(body), BARE)):
        accepted = frozenset({other})
        assert verdict(header, body, ["s"], now=time.time(), forms=accepted) is Flaw.NOT_ACCEPTED


def test_one_form_cannot_be_made_into_the_other() -> None:
    """A timestamped signature is a bare one only of a text that is no JSON object; so both may be accepted at once."""
    assert verdict(VECTOR_V0, f"{VECTOR_AT}.".encode() + VECTOR_BODY, [VECTOR_SECRET]) is None
    assert claimed(VECTOR_V0, WEBHOOK, forms=WEBHOOK.signature_forms, now=0, tolerance=0) == Claim(
        (VECTOR_V0.encode(),)
    )
    assert verdict(VECTOR_V0, VECTOR_BODY, [VECTOR_SECRET]) is Flaw.WRONG


def test_the_vendors_tool_agrees() -> None:
    """What we would sign the vendor's SDK accepts, and what it refuses of its form we refuse."""
    vendor = ElevenLabs(api_key="none")
    body = VECTOR_BODY.decode()
    secret = "wsec_example"
    now = int(time.time())
    for at in (now, now - 1790, now - 1810):
        header = timestamped(VECTOR_BODY, at, secret)
        ours = verdict(header, VECTOR_BODY, [secret], now=now)
        try:
            event = vendor.webhooks.construct_event(body, header, secret)
        except BadRequestError:
            assert ours is Flaw.OLD
        else:
            assert ours is None
            assert event is not None
    with pytest.raises(BadRequestError):
        vendor.webhooks.construct_event(body, timestamped(VECTOR_BODY, now, "another"), secret)
