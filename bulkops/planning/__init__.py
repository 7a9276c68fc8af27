"""Operations and checkpoint → plan: what is done, what is left, what it takes, and whether it may start at all."""

from __future__ import annotations

from bulkops.planning.census import make_plan
from bulkops.planning.groups import Groups, name_of, name_of_tag
from bulkops.planning.known import KNOWN, known_word
from bulkops.planning.plan import Plan, Planned, Selection, deletes_words, edited_words, named
from bulkops.planning.references import id_of
from bulkops.planning.risks import Risk, risks
from bulkops.planning.standing import Standing

__all__ = [
    "KNOWN",
    "Groups",
    "Plan",
    "Planned",
    "Risk",
    "Selection",
    "Standing",
    "deletes_words",
    "edited_words",
    "id_of",
    "known_word",
    "make_plan",
    "name_of",
    "name_of_tag",
    "named",
    "risks",
]
