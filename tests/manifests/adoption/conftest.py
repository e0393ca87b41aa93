"""The repos in this folder are material: their own tests are not ours."""

collect_ignore_glob = ["*/repo/*"]
