#!/usr/bin/env bash
# Installs what some tests use beyond npm (Debian). Tests whose tool is missing say so and skip.
#   mosquitto                      a second MQTT broker
#   debootstrap                    a bare Debian to install packages into
#   qemu-user-static, *-aarch64-*  the arm64 program: compiling its native parts, running it
#   dpkg-dev, xz-utils             packing, and looking into packages
set -euo pipefail
packages=(mosquitto debootstrap qemu-user-static gcc-aarch64-linux-gnu g++-aarch64-linux-gnu dpkg-dev xz-utils)
missing=()
for package in "${packages[@]}"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed: ${missing[*]} (needs root and apt-get); the tests that use them will be skipped" >&2
  exit 0
fi
apt-get update -qq
# Only the programs are wanted: a broker that starts by itself would take the standard port.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
