#!/bin/sh
# Enrols once, when a hub and a one-time token are given and the volume holds no identity; then becomes the agent.
# No file names for patterns: a label may hold a star.
set -euf
program=/usr/lib/skerry-agent/skerry-agent

# SKERRY_LABELS="site=lab,kind=gpu"
enrol() {
  set --
  for label in $(printf %s "${SKERRY_LABELS:-}" | tr , ' '); do set -- "$@" --label "$label"; done
  "$program" enroll --hub "$SKERRY_HUB" "$@"
}

if [ ! -e "$SKERRY_AGENT_DATA/identity.json" ]; then
  if [ -z "${SKERRY_HUB:-}" ] || [ -z "${SKERRY_ENROLL_TOKEN:-}" ]; then
    echo "agent-entrypoint: not enrolled; set SKERRY_HUB and SKERRY_ENROLL_TOKEN" >&2
    exit 1
  fi
  enrol
fi
unset SKERRY_ENROLL_TOKEN
exec "$program" launch "$@"
