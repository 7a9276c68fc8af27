"""What the APIs look like: values of one dataclass."""

from __future__ import annotations

from bulkops.api.live import LIVE
from bulkops.api.profile import (
    Batch,
    Cursors,
    Endpoint,
    Listing,
    Pages,
    Paging,
    Profile,
    RateHeaders,
    Tier,
    Watch,
    Webhook,
    is_entity_id,
)
from bulkops.api.reference import REFERENCE

PROFILES: dict[str, Profile] = {api.name: api for api in (REFERENCE, LIVE)}
DEFAULT_API = REFERENCE.name
"""What is spoken unless somebody says otherwise."""

__all__ = [
    "DEFAULT_API",
    "LIVE",
    "PROFILES",
    "REFERENCE",
    "Batch",
    "Cursors",
    "Endpoint",
    "Listing",
    "Pages",
    "Paging",
    "Profile",
    "RateHeaders",
    "Tier",
    "Watch",
    "Webhook",
    "is_entity_id",
]
