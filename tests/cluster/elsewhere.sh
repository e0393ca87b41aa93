# Sourced by `cluster`: a cluster that is not ours. Either PODCOV_TEST_CONTEXT names a context of the user's kubeconfig, and
# PODCOV_TEST_REPO a registry that both sides reach; or there are `kind` and a Docker engine, and both are made with those.
# PODCOV_TEST_BASE is the Python image that the others are made of, PODCOV_TEST_GO_BASE the Go image; %s stands for the version.
# shellcheck shell=bash disable=SC2154

kind_name=podcov-test
kind_registry=podcov-test-registry
kind_port=5001

use_elsewhere() {
  if [ -n "${PODCOV_TEST_CONTEXT:-}" ]; then
    context=$PODCOV_TEST_CONTEXT
    repo=${PODCOV_TEST_REPO:?is not set: name a registry to push to, from which the nodes of $PODCOV_TEST_CONTEXT can pull}
  else
    context=kind-$kind_name
    repo=localhost:$kind_port
  fi
  home=$home/elsewhere log=$home/elsewhere/log
}

is_elsewhere() {
  [ -n "${PODCOV_TEST_CONTEXT:-}" ] || { command -v kind >/dev/null && docker info >/dev/null 2>&1; }
}

elsewhere_build() {
  command -v docker >/dev/null || fail "docker is needed to build images for $context"
  local name
  for name in kubectl skaffold tilt kustomize helm helm4; do
    command -v $name >/dev/null || { build_commands; break; }
  done
}

elsewhere_up() {
  [ -n "${PODCOV_TEST_CONTEXT:-}" ] || kind_up
  elsewhere_status >/dev/null || fail "the cluster of the context $context does not answer"
  # By way of another file: the caller's own may be the one that `cluster env` told it.
  (umask 077 && kubectl --context "$context" config view --minify --flatten --raw >"$home/kubeconfig.new")
  mv "$home/kubeconfig.new" "$home/kubeconfig"
  local version suite target
  for suite in "${suites[@]}"; do
    version=${python[$suite]}
    for target in python applications coverage; do elsewhere_image "$version" $target "$target:$version"; done
    [ "$suite" != "$bare_suite" ] || elsewhere_image "$version" bare python:bare
  done
  elsewhere_golang
}

elsewhere_golang() {
  local base
  # shellcheck disable=SC2059
  base=$(printf "${PODCOV_TEST_GO_BASE:-golang:%s}" "$go_tag")
  { docker pull --quiet "$base" && docker tag "$base" "$repo/golang:$go_tag" && docker push --quiet "$repo/golang:$go_tag"; } \
    >"$log/images.log" 2>&1 || { tail -n 15 "$log/images.log" >&2; fail "could not push $base; see $log/images.log"; }
}

elsewhere_image() { # VERSION STAGE IMAGE: Docker's own cache knows what has not changed
  local base name files image=$repo/$3
  # shellcheck disable=SC2059
  base=$(printf "${PODCOV_TEST_BASE:-python:%s-slim}" "$1")
  rm -rf "$home/images" && cp -r "$here/images" "$home/images"
  for name in venv applications coverage; do
    mapfile -t files < <(requirements_of $name)
    cat /dev/null "${files[@]}" >"$home/images/$name.txt"
  done
  docker build --quiet --target "$2" --build-arg "BASE=$base" --tag "$image" "$home/images" >"$log/images.log" 2>&1 &&
    docker push --quiet "$image" >>"$log/images.log" 2>&1 ||
    { tail -n 15 "$log/images.log" >&2; fail "could not build and push $image; see $log/images.log"; }
}

elsewhere_down() { [ -n "${PODCOV_TEST_CONTEXT:-}" ] || kind_down; }

elsewhere_status() {
  timeout 20 kubectl --context "$context" get --raw /readyz >/dev/null && echo "$context: answers"
}

elsewhere_environment() {
  cat <<EOF
export PATH=\$PATH:$bin KUBECONFIG=$home/kubeconfig DOCKER_BUILDKIT=0 PODCOV_TEST_IMAGES=$repo SKAFFOLD_DEFAULT_REPO=$repo
EOF
}

# What Kind's manual tells for a registry on this machine.
kind_up() {
  docker inspect "$kind_registry" >/dev/null 2>&1 ||
    docker run --detach --publish "127.0.0.1:$kind_port:5000" --name "$kind_registry" registry:2 >/dev/null
  kind get clusters 2>/dev/null | grep -qx "$kind_name" || kind create cluster --name "$kind_name" --config - <<EOF
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
containerdConfigPatches:
  - |
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "/etc/containerd/certs.d"
EOF
  local node hosts=/etc/containerd/certs.d/localhost:$kind_port
  for node in $(kind get nodes --name "$kind_name"); do
    docker exec "$node" mkdir -p "$hosts"
    echo "[host.\"http://$kind_registry:5000\"]" | docker exec --interactive "$node" cp /dev/stdin "$hosts/hosts.toml"
  done
  docker network connect kind "$kind_registry" 2>/dev/null || true # it is connected already
}

kind_down() {
  kind delete cluster --name "$kind_name"
  docker rm --force "$kind_registry" >/dev/null
}
