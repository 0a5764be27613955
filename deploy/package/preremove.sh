#!/bin/sh
# Before the files go: dpkg gives "remove", rpm gives 0. At an upgrade nothing is stopped: the new version restarts
# the service when its files are in place.
set -e

case "${1-}" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl stop evergate.socket evergate.service 'evergate@*.service'
fi
if command -v systemctl >/dev/null; then
	systemctl disable --quiet evergate.socket evergate.service 2>/dev/null || true
	find /etc/systemd/system -path '*.wants/evergate@*.service' -type l -delete 2>/dev/null || true
fi
