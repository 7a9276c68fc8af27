"""Metrics as the official parser reads them."""

from __future__ import annotations

from typing import TypeAlias

from prometheus_client.openmetrics.parser import text_string_to_metric_families

Samples: TypeAlias = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: bytes, job: str | None = None) -> Samples:
    """Return the samples by name and labels, without the label that all have; with `job`, that is checked."""
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):  # type: ignore[no-untyped-call] # it has no types
        for sample in family.samples:
            labels = dict(sample.labels)
            named = labels.pop("job_file")
            assert job is None or named == job
            found[sample.name, tuple(sorted(labels.items()))] = sample.value
    return found
