"""What the APIs look like: values of one dataclass."""

from __future__ import annotations

from bulkops.api.profile import Endpoint, Listing, Paging, Profile, RateHeaders, Tier, Watch, is_entity_id
from bulkops.api.reference import REFERENCE

PROFILES: dict[str, Profile] = {REFERENCE.name: REFERENCE}

__all__ = [
    "PROFILES",
    "REFERENCE",
    "Endpoint",
    "Listing",
    "Paging",
    "Profile",
    "RateHeaders",
    "Tier",
    "Watch",
    "is_entity_id",
]
