#!/bin/bash
# One container from nothing to its end: makes a busybox bundle and takes it through every verb, showing each command
# and what it printed. Needs root and busybox (Debian: busybox-static).
set -euo pipefail

nemoshell=${NEMOSHELL:-$(dirname "$(realpath "$0")")/../bin/nemoshell}
busybox=$(command -v busybox) || { echo 'demo: no busybox; install busybox-static' >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo 'demo: needs root' >&2; exit 1; }
[ -x "$nemoshell" ] || { echo "demo: no $nemoshell; run make build" >&2; exit 1; }

work=$(mktemp -d /tmp/nemoshell-demo.XXXXXX)
id=demo-$$
cleanup() {
  "$nemoshell" delete --force "$id" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
show() {
  printf '\033[1m$ nemoshell %s\033[0m\n' "$*"
  "$nemoshell" "$@"
}

say 'A bundle: a root file system and a config.json'
mkdir -p "$work"/bundle/rootfs/{bin,dev,etc,proc,sys,tmp,root}
cp "$busybox" "$work/bundle/rootfs/bin/busybox"
"$busybox" --list | while read -r applet; do
  [ "$applet" = busybox ] || ln -s busybox "$work/bundle/rootfs/bin/$applet"
done
cd "$work/bundle"
show spec
# The generated configuration wants a terminal and a shell; the demo wants neither.
command_is() {
  python3 - "$@" <<'PYTHON'
import json, sys
with open("config.json") as f:
    config = json.load(f)
config["process"]["terminal"] = False
config["process"]["args"] = sys.argv[1:]
with open("config.json", "w") as f:
    json.dump(config, f, indent=2)
PYTHON
}
ls

say 'In one command: run'
# shellcheck disable=SC2016 # the container's shell expands it
command_is sh -c 'echo "hello from $(hostname): I am pid $$ of $(ls -d /proc/[0-9]* | wc -l), uid $(id -u)"'
show run "$id"

say 'In steps, as engines do it: create, start'
command_is sleep 600
show create "$id" </dev/null
show state "$id"
show start "$id"
show list

say 'A second process in it: exec'
show exec "$id" ps
show exec "$id" hostname

say 'The end: kill, delete'
show kill "$id" KILL
for _ in $(seq 100); do
  "$nemoshell" state "$id" | grep -q '"status": *"stopped"' && break
  sleep 0.02
done
show state "$id"
show delete "$id"
show list
