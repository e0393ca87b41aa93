"""The projects in here are read by the tests, not run: nothing of theirs is collected."""

collect_ignore_glob = ["*"]
