"""Files of containers find their local ones by what they hold, never by their name alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import MappingError
from podcov.paths import RecordedFile, ReportedFile, is_below, map_files, warnings


def places(recorded: dict[str, str], local: dict[str, str], **more: object) -> dict[str, tuple[str, str]]:
    """Container path -> (path in the report, origin); contents are told by letters, a blank file's by a space."""
    files = [RecordedFile(path, content, content == " ") for path, content in recorded.items()]
    return {f.path: (p.path, p.origin) for f, p in map_files(files, local, **more).items()}  # type: ignore[arg-type]


def test_the_same_content_is_the_same_file() -> None:
    assert places({"/app/server.py": "a"}, {"services/web/main.py": "a", "services/web/server.py": "b"}) == {
        "/app/server.py": ("services/web/main.py", "local")
    }


def test_a_file_that_differs_from_the_checkout_is_reported_from_what_ran_and_said_so() -> None:
    files = [RecordedFile("/app/main.py", "a"), RecordedFile("/app/lib/cart.py", "old")]
    placed = map_files(files, {"web/main.py": "a", "web/lib/cart.py": "new"})
    assert placed[files[1]] == ReportedFile("web/lib/cart.py", "recorded", local=True)
    assert warnings(placed) == ("web/lib/cart.py: is not the text that ran (/app/lib/cart.py); reported from that text",)


def test_a_name_alone_is_no_evidence() -> None:
    assert places({"/app/main.py": "other"}, {"web/main.py": "a"}) == {"/app/main.py": ("app/main.py", "recorded")}


@pytest.mark.parametrize("folder", ["/usr/lib/python3.13/site-packages", "/usr/lib/python3/dist-packages", "/venv/site-packages"])
def test_an_installed_package_without_local_files_is_known_by_its_place_in_site_packages(folder: str) -> None:
    assert places({f"{folder}/shop/cart.py": "a"}, {"web/main.py": "b"}) == {
        f"{folder}/shop/cart.py": ("site-packages/shop/cart.py", "recorded")
    }


def test_an_installed_package_of_the_project_is_reported_where_its_source_is() -> None:
    assert places(
        {"/v/site-packages/shop/cart.py": "a", "/v/site-packages/shop/old.py": "x"},
        {"src/shop/cart.py": "a", "src/shop/old.py": "y"},
    ) == {
        "/v/site-packages/shop/cart.py": ("src/shop/cart.py", "local"),
        "/v/site-packages/shop/old.py": ("src/shop/old.py", "recorded"),
    }


def test_twins_are_told_apart_by_the_folders_of_the_others() -> None:
    local = {"a/main.py": "A", "a/util.py": "same", "b/main.py": "B", "b/util.py": "same"}
    assert places({"/app/main.py": "B", "/app/util.py": "same"}, local)["/app/util.py"] == ("b/util.py", "local")


def test_the_nearest_folder_decides_between_twins() -> None:
    local = {"one/main.py": "1", "one/x/util.py": "same", "two/other.py": "2", "two/x/util.py": "same", "two/x/near.py": "n"}
    recorded = {"/app/main.py": "1", "/app/other.py": "2", "/app/x/near.py": "n", "/app/x/util.py": "same"}
    assert places(recorded, local)["/app/x/util.py"] == ("two/x/util.py", "local")


def test_twins_inside_the_service_s_own_source_are_preferred() -> None:
    local = {"a/util.py": "same", "b/util.py": "same"}
    assert places({"/app/util.py": "same"}, local, sources=["b"]) == {"/app/util.py": ("b/util.py", "local")}


def test_twins_that_nothing_tells_apart_are_an_error_that_names_them() -> None:
    with pytest.raises(MappingError) as caught:
        places({"/app/util.py": "same"}, {"a/util.py": "same", "b/util.py": "same"}, service="web")
    assert "/app/util.py: a/util.py, b/util.py" in caught.value.message
    assert caught.value.message.startswith("web: ")
    assert "services.web.paths" in caught.value.hint
    assert "/app/util.py: a/util.py" in caught.value.hint


def test_of_many_ambiguous_files_the_first_are_named_and_the_others_counted() -> None:
    recorded = {f"/app/{n}.py": f"content {n}" for n in range(8)}
    local = {f"{folder}/{n}.py": f"content {n}" for folder in "ab" for n in range(8)}
    with pytest.raises(MappingError, match="and 3 more"):
        places(recorded, local)


@pytest.mark.parametrize("told", [{"/app": "b"}, {"/app/": "./b/"}, {"/": "a", "/app": "b"}, {"/app/util.py": "b/util.py"}])
def test_explicit_mappings_tell_twins_apart(told: dict[str, str]) -> None:
    local = {"a/util.py": "same", "b/util.py": "same"}
    assert places({"/app/util.py": "same"}, local, explicit=told) == {"/app/util.py": ("b/util.py", "local")}


def test_an_explicit_mapping_wins_over_equal_content() -> None:
    local = {"a/util.py": "same", "b/util.py": "other"}
    assert places({"/app/util.py": "same"}, local, explicit={"/app": "b"}) == {"/app/util.py": ("b/util.py", "recorded")}


def test_an_explicit_mapping_may_lead_to_the_project_itself() -> None:
    assert places({"/app/a/b.py": "x"}, {"a/b.py": "x", "c.py": "x"}, explicit={"/app": "."}) == {
        "/app/a/b.py": ("a/b.py", "local")
    }


def test_what_ran_in_the_checkout_itself_is_the_file_that_it_is() -> None:
    local = {"a/util.py": "same", "b/util.py": "same", "b/main.py": "new", "b/__init__.py": " ", "a/__init__.py": " "}
    recorded = {"/project/b/util.py": "same", "/project/b/main.py": "old", "/project/b/__init__.py": " "}
    assert places(recorded, local, root="/project") == {
        "/project/b/util.py": ("b/util.py", "local"),
        "/project/b/main.py": ("b/main.py", "recorded"),
        "/project/b/__init__.py": ("b/__init__.py", "local"),
    }


def test_a_container_s_path_is_not_taken_for_the_project_s() -> None:
    assert places({"/app/main.py": "old"}, {"app/main.py": "new"}) == {"/app/main.py": ("app/main.py", "recorded")}
    assert warnings(map_files([RecordedFile("/app/main.py", "old")], {"app/main.py": "new"}))[0].startswith(
        "1 file that ran, but"
    )


def test_blank_files_stop_nobody() -> None:
    local = {"web/main.py": "a", "web/shop/__init__.py": " ", "web/__init__.py": " ", "api/shop/__init__.py": " "}
    assert places({"/app/main.py": "a", "/app/shop/__init__.py": " "}, local)["/app/shop/__init__.py"] == (
        "web/shop/__init__.py",
        "local",
    )
    assert places({"/srv/web/shop/__init__.py": " "}, local) == {"/srv/web/shop/__init__.py": ("web/shop/__init__.py", "local")}
    assert places({"/srv/shop/__init__.py": " "}, local) == {}


def test_blank_files_are_no_evidence_for_others() -> None:
    local = {"api/__init__.py": " ", "api/cart.py": "new", "web/main.py": "a"}
    assert places({"/app/__init__.py": " ", "/app/cart.py": "old"}, local)["/app/cart.py"] == ("app/cart.py", "recorded")


def test_files_that_are_not_in_the_project_are_named_once() -> None:
    files = [RecordedFile(f"/app/made_{n}.py", str(n)) for n in range(7)] + [RecordedFile("/v/site-packages/x.py", "x")]
    assert warnings(map_files(files, {})) == (
        "7 files that ran, but not in the project, reported as in the container: "
        "app/made_0.py, app/made_1.py, app/made_2.py, app/made_3.py, app/made_4.py, and 2 more",
    )


def test_a_folder_is_below_itself_and_not_below_its_namesake() -> None:
    assert is_below("/app/x.py", "/app")
    assert is_below("/app", "/app/")
    assert is_below("anything", ".")
    assert is_below("/app/x.py", "/")
    assert not is_below("/application/x.py", "/app")


names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/".join(parts) + ".py")


@given(st.sets(paths, min_size=1), st.sampled_from(["", "/app", "/srv/www"]), st.sampled_from(["", "web/", "x/web/"]))
def test_a_copied_tree_of_different_texts_is_found_again(tree: set[str], container: str, local: str) -> None:
    assert places({f"{container}/{p}": p for p in tree}, {local + p: p for p in tree}) == {
        f"{container}/{p}": (local + p, "local") for p in tree
    }


@given(st.dictionaries(paths, st.sampled_from("xyz"), min_size=1), st.lists(st.sampled_from(["b", "web/old", "c/d"]), min_size=1))
def test_one_unmistakable_file_places_its_whole_folder_whatever_copies_there_are(tree: dict[str, str], copies: list[str]) -> None:
    ran = {**tree, "main.py": "unmistakable"}
    local = {f"{folder}/{path}": content for folder in copies for path, content in tree.items()}
    local |= {f"web/{path}": content for path, content in ran.items()}
    assert places({f"/app/{path}": content for path, content in ran.items()}, local) == {
        f"/app/{path}": (f"web/{path}", "local") for path in ran
    }


@given(st.dictionaries(paths, st.sampled_from("xyz "), max_size=5), st.dictionaries(paths, st.sampled_from("xyz "), max_size=5))
def test_local_origin_means_equal_content_and_the_order_does_not_matter(ran: dict[str, str], local: dict[str, str]) -> None:
    recorded = {f"/app/{path}": content for path, content in ran.items()}
    try:
        found = places(recorded, local)
    except MappingError:
        with pytest.raises(MappingError):
            places(dict(reversed(recorded.items())), dict(reversed(local.items())))
        return
    assert found == places(dict(reversed(recorded.items())), dict(reversed(local.items())))
    for path, (place, origin) in found.items():
        assert (local.get(place) == recorded[path]) == (origin == "local")
