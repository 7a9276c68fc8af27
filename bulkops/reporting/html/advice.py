"""The sentence that helps with a kind of failure: what it means, and what to do about it."""

from __future__ import annotations

_BY_CODE = {
    "blocked": "It waits for a line that is not done. Mend that one; this one is done with it.",
    "overdue": "It had not settled in time. A retry goes on waiting; a longer deadline on the line waits longer.",
    "index_failed": "The API could not index the document. Look at the file: is it empty, too short, or only pictures?",
    "no_file": "The file could not be read. Put it where the line says, then retry.",
    "file_changed": "The file changed while it was being sent. Retry when nobody writes to it.",
    "bad_line": "What a reference gave does not fit the field. Correct the line.",
    "bad_id": "What should be an id cannot be one. Correct the line, or the line that it refers to.",
    "bad_answer": "The server answered something that the API does not document. Retry; if it stays, report it.",
    "cut_listing": "The listing changed while it was read. Retry.",
    "gave_up": "The server failed several times in a row. Retry when it is well again.",
}
_BY_STATUS = {
    400: "The API does not accept the request as it stands. Correct the line.",
    402: "The account has run out of credit or quota.",
    403: "The key may not do this. Check its permissions, and whether it is the right account.",
    404: "It names something that is not in this account (any more). Correct the id, or check the account.",
    409: "It collides with something that is there already. Look at the account, then correct the line.",
    413: "The request is too large for the API. Send less, or a smaller file.",
    422: "The API does not accept a value in the request. Correct the line.",
    429: "The server refused for too many requests, many times over. Retry later, or with a lower rate.",
}
_REDIRECTED = "The API is not at this address. Check --base-url and --residency."
_SERVER = "The server failed. Retry; nothing is wrong with the line."
_OTHERWISE = "Read the message; correct the line, or retry it as it is."
_REDIRECTS = range(300, 400)
_FIRST_SERVER_ERROR = 500


def advice(code: str, status: int | None) -> str:
    """Return what helps with a failure of this code; what the status says wins over a code of the server's own."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status is None:
        return _OTHERWISE
    if status in _REDIRECTS:
        return _REDIRECTED
    if status >= _FIRST_SERVER_ERROR:
        return _SERVER
    return _BY_STATUS.get(status, _OTHERWISE)
