#!/usr/bin/env bash
# Installs clients that other projects made, unchanged, for test/clients: Python environments, perf_analyzer, promtool.
# They lie in $SKERRY_TEST_CLIENTS (default: ~/.cache/skerry-test-clients), each in a folder named after its pins; what is there is kept.
# What cannot be had is named, and its tests say that they are skipped.
set -uo pipefail
home=${SKERRY_TEST_CLIENTS:-$HOME/.cache/skerry-test-clients}
mkdir -p "$home"

# NAME REQUIREMENT...: a Python environment. The generated messages of tritonclient and kserve clash, so each has its own.
python_environment() {
  local name=$1 folder="$home/$1"
  shift
  local pins="$*"
  [ "$(cat "$folder/.installed" 2>/dev/null)" = "$pins" ] && return
  rm -rf "$folder"
  if python3 -m venv "$folder" >"$home/$name.log" 2>&1 &&
    "$folder/bin/pip" install --quiet --disable-pip-version-check --no-compile --only-binary :all: "$@" >>"$home/$name.log" 2>&1; then
    echo "$pins" >"$folder/.installed"
  else
    rm -rf "$folder"
    echo "not installed: $name ($pins): $(tail -n 1 "$home/$name.log")" >&2
  fi
}

# perf_analyzer is a C++ program that needs the C library of Debian 13: it lies beside it, and its own loader starts it.
perf_analyzer() {
  local folder="$home/perf-analyzer"
  [ "$(cat "$folder/.installed" 2>/dev/null)" = 2.60.0 ] && return
  rm -rf "$folder"
  mkdir -p "$folder/deb" "$folder/lists/partial" "$folder/archives/partial"
  if (
    set -e
    cd "$folder"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --platform manylinux_2_38_x86_64 \
      perf-analyzer==2.60.0 -d .
    python3 -m zipfile -e perf_analyzer-*.whl wheel
    chmod +x wheel/perf_analyzer/bin/perf_analyzer
    # Debian's own apt, with lists of its own, so that the machine's are not touched.
    echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' >sources.list
    : >status
    options=(-o "Dir::Etc::sourcelist=$PWD/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$PWD/lists"
      -o "Dir::State::status=$PWD/status" -o "Dir::Cache=$PWD" -o Acquire::Languages=none -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update -qq
    (cd deb && apt-get "${options[@]}" download -qq libc6 libstdc++6 libgcc-s1 libssl3t64 zlib1g libzstd1)
    for package in deb/*.deb; do dpkg-deb -x "$package" root; done
    rm -rf deb lists archives ./*.whl ./*.bin
  ) >"$home/perf-analyzer.log" 2>&1; then
    echo 2.60.0 >"$folder/.installed"
  else
    rm -rf "$folder"
    echo "not installed: perf_analyzer: $(tail -n 1 "$home/perf-analyzer.log")" >&2
  fi
}

# promtool checks what Prometheus would scrape. The server itself is not installed.
promtool() {
  [ -x "$home/promtool/promtool" ] && return
  local folder
  folder=$(mktemp -d)
  if (cd "$folder" && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } && dpkg-deb -x prometheus_*.deb out) >"$home/promtool.log" 2>&1; then
    mkdir -p "$home/promtool" && cp "$folder/out/usr/bin/promtool" "$home/promtool/"
  else
    echo "not installed: promtool: $(tail -n 1 "$home/promtool.log")" >&2
  fi
  rm -rf "$folder"
}

if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
  echo 'not installed: clients in Python (there is no python3 with venv); their tests will be skipped' >&2
else
  python_environment triton 'tritonclient[http,grpc]==2.73.0' ovmsclient==2023.1 grpcio-reflection grpcio-health-checking &
  python_environment kserve kserve==0.21.0 &
  if [ "$(uname -sm)" = 'Linux x86_64' ] && command -v apt-get >/dev/null; then perf_analyzer & fi
fi
if command -v apt-get >/dev/null; then promtool; fi
wait
exit 0
