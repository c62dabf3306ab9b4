#!/bin/sh
# Installs @PACKAGE@ from this folder on a Linux system of any kind: install.sh [--uninstall | --purge]
# Program to /usr/local, state in /var/lib/@PACKAGE@, settings in /etc/@PACKAGE@, a service where systemd is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
library=/usr/local/lib/@PACKAGE@
units=/etc/systemd/system

[ "$(id -u)" -eq 0 ] || { echo "install.sh: run it as root" >&2; exit 1; }

has_systemd() { [ -d /run/systemd/system ]; }

case "${1:-}" in
--uninstall | --purge)
  if has_systemd; then systemctl disable --now @UNITS@ >/dev/null 2>&1 || true; fi
  for unit in @UNITS@; do rm -f "$units/$unit"; done
  rm -rf "$library" /usr/local/bin/@EXECUTABLE@
  if has_systemd; then systemctl daemon-reload; fi
  if [ "$1" = --purge ]; then rm -rf /var/lib/@PACKAGE@ /etc/@PACKAGE@; fi
  exit 0
  ;;
'') ;;
*)
  echo "install.sh: $1 is not known; there are --uninstall and --purge" >&2
  exit 2
  ;;
esac

if ! grep -q '^@PACKAGE@:' /etc/passwd; then
  useradd --system --user-group --home-dir /var/lib/@PACKAGE@ --shell /usr/sbin/nologin @PACKAGE@
fi
[ -d /var/lib/@PACKAGE@ ] || install -d -m 0700 -o @PACKAGE@ -g @PACKAGE@ /var/lib/@PACKAGE@
install -d -m 0755 "$library" /usr/local/bin /etc/@PACKAGE@
# Beside it first, then into place: whoever starts it meanwhile gets the old or the new one, whole.
install -m 0755 "$here/@EXECUTABLE@" "$library/.new"
mv -f "$library/.new" "$library/@EXECUTABLE@"
if [ -f "$here/wrapper" ]; then
  install -m 0755 "$here/wrapper" /usr/local/bin/@EXECUTABLE@
else
  ln -sf "$library/@EXECUTABLE@" /usr/local/bin/@EXECUTABLE@
fi
[ -f /etc/@PACKAGE@/@CONFIG@ ] || install -m 0644 "$here/@CONFIG@" /etc/@PACKAGE@/@CONFIG@
if [ -d "$units" ]; then
  for unit in @UNITS@; do install -m 0644 "$here/$unit" "$units/$unit"; done
fi
if has_systemd; then
  systemctl daemon-reload
  systemctl enable @UNITS@
  systemctl restart @UNITS@
fi
echo "installed; see $here/README for what comes next"
