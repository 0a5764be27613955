#!/bin/sh
# After the files are in place. dpkg gives "configure" and the version before, if there was one; rpm gives how many
# there are now.
set -e

case "${1-}" in
configure) previous=${2-} ;;
1) previous= ;;
2) previous=some ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if [ -n "$previous" ]; then
		systemctl try-restart evergate.service 'evergate@*.service'
	fi
fi
if [ -z "$previous" ]; then
	echo "Evergate is installed. See it work: evergate demo"
	echo "To run it for your shop:"
	echo "  1. shop and client id go into /etc/evergate/evergate.env"
	echo "  2. each secret goes into a file of /etc/evergate/credentials that has the name of its setting:"
	echo "     install -m 600 /dev/stdin /etc/evergate/credentials/SHOPIFY_CLIENT_SECRET"
	echo "  3. evergate-exec check && systemctl enable --now evergate"
fi
