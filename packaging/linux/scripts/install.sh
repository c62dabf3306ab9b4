#!/bin/sh
# Installs @PACKAGE@ from this folder on a Linux system of any kind: install.sh [--uninstall | --purge]
# Program to /usr/local, state in /var/lib/@PACKAGE@, settings in /etc/@PACKAGE@, a service where systemd is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
library=/usr/local/lib/@PACKAGE@
units=/etc/systemd/system

fail() {
  echo "install.sh: $1" >&2
  exit 1
}
# Whether it runs; where it does not (an image that is being made), units can still be enabled.
has_systemd() { [ -d /run/systemd/system ]; }

case "${1:-}" in
-h | --help)
  echo "usage: install.sh [--uninstall | --purge]"
  echo "  without an option installs @PACKAGE@, or this release over another; state and settings stay"
  echo "  --uninstall  removes the program; state and settings stay"
  echo "  --purge      removes state and settings too"
  exit 0
  ;;
esac

[ "$(id -u)" -eq 0 ] || fail "run it as root"

case "${1:-}" in
--uninstall | --purge)
  if has_systemd; then systemctl disable --now @UNITS@ >/dev/null 2>&1 || true; fi
  for unit in @UNITS@; do rm -f "$units/$unit" "$units/multi-user.target.wants/$unit"; done
  rm -rf "$library" /usr/local/bin/@EXECUTABLE@
  if has_systemd; then systemctl daemon-reload; fi
  if [ "$1" = --purge ]; then
    rm -rf /etc/@PACKAGE@
    if [ -L /var/lib/@PACKAGE@ ]; then
      echo "install.sh: what $(readlink /var/lib/@PACKAGE@) holds stays, since it may hold more than the state of @PACKAGE@" >&2
      rm -f /var/lib/@PACKAGE@
    elif [ -d /var/lib/@PACKAGE@ ]; then
      # A disk that is mounted here is emptied; its mount point cannot go.
      find /var/lib/@PACKAGE@ -xdev -mindepth 1 -delete
      rmdir /var/lib/@PACKAGE@ 2>/dev/null || true
    fi
  fi
  exit 0
  ;;
'') ;;
*)
  echo "install.sh: $1 is not known; there are --uninstall and --purge" >&2
  exit 2
  ;;
esac

[ ! -f "$here/wrapper" ] || command -v setpriv >/dev/null || fail "setpriv is needed: install util-linux"
# One that is there is left as its administrator has it.
for folder in "$library" /usr/local/bin /etc/@PACKAGE@; do [ -d "$folder" ] || install -d -m 0755 "$folder"; done
# Beside it first, then into place: whoever starts it meanwhile gets the old or the new one, whole.
install -m 0755 "$here/@EXECUTABLE@" "$library/.new"
if ! "$library/.new" --version >/dev/null; then
  rm -f "$library/.new"
  fail "@EXECUTABLE@ does not run on this $(uname -m): take the archive for its processor; glibc 2.28 or newer is needed"
fi

if ! grep -q '^@PACKAGE@:' /etc/passwd; then
  command -v useradd >/dev/null || fail "useradd is needed: install passwd (or shadow), or make the user @PACKAGE@ and call this again"
  useradd --system --user-group --home-dir /var/lib/@PACKAGE@ --shell /usr/sbin/nologin @PACKAGE@
fi
# State that is there keeps what it is. A folder of root's is none: a disk that was mounted here for it.
if [ ! -d /var/lib/@PACKAGE@ ] || [ "$(stat -L -c %u /var/lib/@PACKAGE@)" -eq 0 ]; then
  install -d -m 0700 -o @PACKAGE@ -g @PACKAGE@ /var/lib/@PACKAGE@
fi
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
if has_systemd; then systemctl daemon-reload; fi
if command -v systemctl >/dev/null; then systemctl enable @UNITS@; fi
if has_systemd; then systemctl restart @UNITS@; fi
echo "installed; see $here/README for what comes next"
