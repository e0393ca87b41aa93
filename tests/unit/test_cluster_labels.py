"""Label selectors mean what they mean to kubectl."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.edges.cluster import labels as cluster_labels
from podcov.errors import UsageError

LABELS = {"app": "web", "tier": "front", "example.com/owner": "team-1", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier = front", True),
        ("app=api", False),
        ("app!=api", True),
        ("app!=web", False),
        ("missing!=anything", True),
        ("app in (api, web)", True),
        ("app in (api)", False),
        ("app notin (api, db)", True),
        ("app notin (api,web),tier=front", False),
        ("missing notin (a)", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("! app", False),
        ("example.com/owner=team-1", True),
        ("empty=", True),
        ("missing=", False),
        ("app in (web),tier!=back,!missing,example.com/owner", True),
    ],
)
def test_matches_as_kubectl_does(selector: str, matches: bool) -> None:
    assert cluster_labels.parse(selector).matches(LABELS) is matches


@pytest.mark.parametrize("selector", ["app=web,", "=web", "app in web", "app in (a b)", "app=a=b", "app web", "app=-x", "a,,b"])
def test_what_is_no_selector_is_named(selector: str) -> None:
    with pytest.raises(UsageError, match="is not a requirement") as caught:
        cluster_labels.parse(selector)
    assert repr(selector) in caught.value.message
    assert "--selector" in caught.value.hint


names = st.text("abcXYZ019", min_size=1, max_size=6)


@given(st.dictionaries(names, names, max_size=4), names, st.lists(names, min_size=1, max_size=3))
def test_in_and_notin_are_opposites(labels: dict[str, str], key: str, values: list[str]) -> None:
    inside = cluster_labels.parse(f"{key} in ({','.join(values)})")
    outside = cluster_labels.parse(f"{key} notin ({','.join(values)})")
    assert inside.matches(labels) is not outside.matches(labels)


@given(st.dictionaries(names, names, max_size=4))
def test_labels_match_the_selector_that_spells_them_out(labels: dict[str, str]) -> None:
    assert cluster_labels.parse(",".join(f"{key}={value}" for key, value in labels.items())).matches(labels)
