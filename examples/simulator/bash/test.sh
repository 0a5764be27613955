#!/usr/bin/env bash
# Runs a command against a simulated Shopify, with what it needs in its environment: test.sh COMMAND…
# It ends as the command does, or with 3 if that succeeded and the simulator has something to report.
set -euo pipefail

coproc simulator { exec evergate simulate --plain --strict --listen 127.0.0.1:0 --control 127.0.0.1:0; }
# shellcheck disable=SC2154 # coproc sets it
pid=$simulator_PID
trap 'kill -s INT "$pid" 2>/dev/null || true' EXIT
while read -r line <&"${simulator[0]}"; do
	case $line in
	"export "*) eval "$line" ;;
	"Ctrl-C ends it.") break ;;
	esac
done

"$@"
kill -s INT "$pid"
wait "$pid"
