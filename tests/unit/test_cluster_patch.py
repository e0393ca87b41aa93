"""A patch leads from one object to the other, and says nothing of what stays."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from podcov.edges.cluster import patch

KEYS = st.text(alphabet="ab~/01", min_size=1, max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def patched(document: dict[str, Any], operations: Any) -> dict[str, Any]:
    """As RFC 6902 has it, for what is added to and removed from mappings."""
    result = deepcopy(document)
    for operation in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place: Any = result
        for key in way:
            place = place[key]
        if operation["op"] == "remove":
            del place[last]
        else:
            place[last] = operation["value"]
    return result


@given(OBJECTS, OBJECTS)
def test_a_patch_makes_the_one_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert patched(before, patch.operations(before, after)) == after


@given(OBJECTS)
def test_nothing_is_done_where_nothing_changed(document: dict[str, Any]) -> None:
    assert list(patch.operations(document, deepcopy(document))) == []


def test_only_what_changed_is_named() -> None:
    before = {"metadata": {"annotations": {"a/b": "1", "c": "2"}}, "spec": {"replicas": 1, "list": [1, 2]}}
    after = {"metadata": {"annotations": {"a/b": "3"}}, "spec": {"replicas": 1, "list": [1]}}
    assert list(patch.operations(before, after)) == [
        {"op": "add", "path": "/metadata/annotations/a~1b", "value": "3"},
        {"op": "remove", "path": "/metadata/annotations/c"},
        {"op": "add", "path": "/spec/list", "value": [1]},
    ]


def test_the_difference_leaves_out_what_the_server_keeps() -> None:
    before = {"kind": "Deployment", "metadata": {"name": "orders", "resourceVersion": "1"}, "spec": {"replicas": 1}}
    same = {**before, "metadata": {"name": "orders", "resourceVersion": "2", "generation": 2, "managedFields": []}}
    assert patch.difference(before, same) == ""
    shown = patch.difference(before, {**before, "spec": {"replicas": 2}})
    assert shown.startswith("--- a/deployment/orders.yaml\n+++ b/deployment/orders.yaml\n")
    assert "-  replicas: 1\n+  replicas: 2\n" in shown


def test_the_difference_leaves_out_the_copy_that_kubectl_keeps() -> None:
    copy = {"kubectl.kubernetes.io/last-applied-configuration": '{"env":[{"name":"PASSWORD","value":"s3cret"}]}'}
    before = {"kind": "Deployment", "metadata": {"name": "orders", "annotations": copy}, "spec": {}}
    after = {**before, "metadata": {"name": "orders", "annotations": {**copy, "podcov/original": "{}"}}}
    shown = patch.difference(before, after)
    assert '+    podcov/original: "{}"\n' in shown
    assert "s3cret" not in shown
    assert "last-applied" not in shown
    assert patch.difference(before, before) == ""
