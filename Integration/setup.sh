#!/bin/bash
# Installs what building and testing needs: the Debian packages of packages.txt and, where requirements.txt exists,
# a Python environment in .venv that also sees Debian's own Python packages. Does nothing, quickly, when all is there.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
repository=$(dirname "$here")

fail() {
  echo "setup: $*" >&2
  exit 1
}

command -v swift >/dev/null || fail "no swift on PATH; install Swift 6.3 or later from https://www.swift.org/install/"

mapfile -t wanted < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$here/packages.txt")
# dpkg-query also fails when only some of the packages are known, so its status says nothing.
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qx "$package installed" <<<"$installed" || missing+=("$package")
done
if ((${#missing[@]})); then
  echo "setup: installing ${missing[*]}"
  as_root=()
  if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get update -q || fail "apt-get update failed: is there a network, and are the sources right?"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" ||
    fail "cannot install: ${missing[*]}"
fi

requirements=$here/requirements.txt
if [ -f "$requirements" ]; then
  stamp=$repository/.venv/requirements.sha256
  sum=$(sha256sum <"$requirements")
  if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$sum" ]; then
    echo "setup: making .venv from Integration/requirements.txt"
    /usr/bin/python3 -m venv --system-site-packages "$repository/.venv"
    "$repository/.venv/bin/python" -m pip install -q --disable-pip-version-check -r "$requirements" ||
      fail "pip could not install Integration/requirements.txt into .venv: is the Python package index reachable?"
    echo "$sum" >"$stamp"
  fi
fi
