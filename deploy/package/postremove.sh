#!/bin/sh
# After the files are gone. A purge of dpkg's takes everything else along: the settings, the secrets and the stored
# grants. rpm has no purge, and leaves what is not its own.
set -e

if [ -d /run/systemd/system ]; then
	case "${1-}" in
	remove | purge | 0) systemctl daemon-reload ;;
	esac
fi
if [ "${1-}" = purge ]; then
	rm -rf /etc/evergate
	rm -rf /var/lib/evergate /var/lib/evergate-* /var/lib/private/evergate /var/lib/private/evergate-*
fi
