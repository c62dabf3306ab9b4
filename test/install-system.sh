#!/usr/bin/env bash
# Installs what some tests use beyond npm (Debian). Tests whose tool is missing say so and skip.
#   mosquitto                      a second MQTT broker
#   debootstrap                    a bare Debian to install packages into, and one whose systemd is started
#   qemu-user-static, *-aarch64-*  the arm64 program: compiling its native parts, running it
#   dpkg-dev, xz-utils             packing, and looking into packages
#   libvulkan1, SwiftShader        a GPU in software, taken out of Debian's Chromium (the browser itself is not installed)
set -euo pipefail
packages=(mosquitto debootstrap qemu-user-static gcc-aarch64-linux-gnu g++-aarch64-linux-gnu dpkg-dev xz-utils libvulkan1)
swiftshader=/usr/local/lib/skerry-test/swiftshader
missing=()
for package in "${packages[@]}"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
[ -e "$swiftshader/vk_swiftshader_icd.json" ] || missing+=(swiftshader)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed: ${missing[*]} (needs root and apt-get); the tests that use them will be skipped" >&2
  exit 0
fi
apt-get update -qq
if [[ " ${missing[*]} " == *" swiftshader "* ]]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  # One that cannot be had (another processor, no such package) leaves one test skipped, and nothing else undone.
  if (cd "$folder" && apt-get download -qq chromium-common 2>/dev/null && dpkg-deb -x chromium-common_*.deb out) &&
    [ -e "$folder/out/usr/lib/chromium/vk_swiftshader_icd.json" ]; then
    mkdir -p "$swiftshader"
    cp "$folder"/out/usr/lib/chromium/libvk_swiftshader.so "$folder"/out/usr/lib/chromium/vk_swiftshader_icd.json "$swiftshader/"
  else
    echo "not installed: SwiftShader; the test that uses it will be skipped" >&2
  fi
fi
install=()
for package in "${missing[@]}"; do [ "$package" = swiftshader ] || install+=("$package"); done
[ ${#install[@]} -eq 0 ] && exit 0
# Only the programs are wanted: a broker that starts by itself would take the standard port.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${install[@]}" >/dev/null
