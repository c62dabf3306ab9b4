#!/bin/sh
# Installs skerry-agent from this folder on macOS: sudo ./install.sh [--uninstall | --purge]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
label=org.skerry.agent
plist=/Library/LaunchDaemons/$label.plist
user=_skerryagent
state=/usr/local/var/skerry-agent

[ "$(id -u)" -eq 0 ] || { echo "install.sh: run it as root" >&2; exit 1; }

case "${1:-}" in
--uninstall | --purge)
  launchctl bootout "system/$label" 2>/dev/null || true
  rm -rf "$plist" /usr/local/lib/skerry-agent /usr/local/bin/skerry-agent
  if [ "$1" = --purge ]; then rm -rf "$state" /usr/local/etc/skerry-agent; fi
  exit 0
  ;;
'') ;;
*)
  echo "install.sh: $1 is not known; there are --uninstall and --purge" >&2
  exit 2
  ;;
esac

if ! dscl . -read "/Users/$user" >/dev/null 2>&1; then
  # The first number below 500 nobody has: such users do not show at the login window.
  id=400
  while dscl . -list /Users UniqueID | awk '{ print $2 }' | grep -qx "$id"; do id=$((id + 1)); done
  dscl . -create "/Groups/$user" PrimaryGroupID "$id"
  dscl . -create "/Users/$user" UniqueID "$id"
  dscl . -create "/Users/$user" PrimaryGroupID "$id"
  dscl . -create "/Users/$user" UserShell /usr/bin/false
  dscl . -create "/Users/$user" NFSHomeDirectory "$state"
fi
mkdir -p /usr/local/lib/skerry-agent /usr/local/bin /usr/local/etc/skerry-agent "$state"
chown "$user:$user" "$state"
chmod 0700 "$state"
install -m 0755 "$here/skerry-agent" /usr/local/lib/skerry-agent/.new
mv -f /usr/local/lib/skerry-agent/.new /usr/local/lib/skerry-agent/skerry-agent
ln -sf ../lib/skerry-agent/skerry-agent /usr/local/bin/skerry-agent
[ -f /usr/local/etc/skerry-agent/agent.yaml ] || install -m 0644 "$here/agent.yaml" /usr/local/etc/skerry-agent/agent.yaml
touch /var/log/skerry-agent.log
chown "$user:$user" /var/log/skerry-agent.log
install -m 0644 "$here/$label.plist" "$plist"
launchctl bootout "system/$label" 2>/dev/null || true
launchctl bootstrap system "$plist"
echo "installed; now: sudo -u $user SKERRY_AGENT_DATA=$state skerry-agent enroll --hub URL --token TOKEN"
