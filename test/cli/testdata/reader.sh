# What a reader of the pages does beside typing what they show: he has several terminals, looks whether
# what he started runs, and has a browser.
set -eu
sidecar= simulator= redis= keys=
declare -A sidecars=() # by their admin listeners; the last that was started is $sidecar

# There is one sidecar at a time on a reader's ports.
evergate() {
	case ${1-serve} in
	--env-file) if [ $# = 2 ]; then start "$@"; else command evergate "$@"; fi ;;
	serve | demo) start "$@" ;;
	simulate) case " $* " in *" --print-env "*) command evergate "$@" ;; *) simulate "$@" ;; esac ;;
	quit) command evergate "$@" && ended ;;
	login) command evergate login --port 0 ;;
	key) keyed "$@" ;;
	*) command evergate "$@" ;;
	esac
}

start() {
	sidecar=${sidecars[$EVERGATE_ADMIN_LISTEN]-}
	[ -z "$sidecar" ] || { kill "$sidecar" && ended; }
	rm -f "$PLACE/log" # another one may still write it
	command evergate "$@" >"$PLACE/log" 2>&1 </dev/null &
	sidecar=$! keys=${EVERGATE_CLIENT_KEYS_FILE-}
	sidecars[$EVERGATE_ADMIN_LISTEN]=$sidecar
	command evergate wait --timeout 20s || { cat "$PLACE/log"; exit 1; }
}

ended() {
	wait "${sidecars[$EVERGATE_ADMIN_LISTEN]}" || true
	unset "sidecars[$EVERGATE_ADMIN_LISTEN]"
	sidecar= keys=
}

redis-server() {
	: >"$PLACE/redis" # else tail may look before it is there
	command redis-server "$@" --dir "$PLACE" >>"$PLACE/redis" 2>&1 </dev/null &
	redis=$!
	tail -n +1 -f "$PLACE/redis" | grep -q -m1 'Ready to accept connections'
}

# A key holds from the next look at its file on; a signal makes that now.
keyed() {
	local lines
	[ -n "$keys" ] && [ "$2" != list ] || { command evergate "$@"; return; }
	lines=$(wc -l <"$PLACE/log")
	command evergate "$@"
	kill -HUP "$sidecar"
	tail -n "+$((lines + 1))" -f "$PLACE/log" | grep -q -m1 EVERGATE_CLIENT_KEYS_FILE
}

simulate() {
	mkfifo "$PLACE/simulator"
	command evergate "$@" >"$PLACE/simulator" 2>/dev/null </dev/null &
	simulator=$!
	exec 9<"$PLACE/simulator"
	read -r line <&9 # it is printed once the simulator listens
	echo "$line"
}

# The names of the pages are on no name server.
curl() { command curl --connect-to evergate.internal::127.0.0.1: "$@"; }

# The browser of a merchant who agrees.
browser=$PLACE/browser
mkdir "$browser"
cat >"$browser/xdg-open" <<'END'
#!/bin/sh
back=$(curl -sS --cacert "$EVERGATE_UPSTREAM_CA_FILE" --connect-to "::$SIMULATOR" -o /dev/null -w '%{redirect_url}' -d decision=install "$1")
exec curl -sS -o /dev/null "$back"
END
chmod +x "$browser/xdg-open"
PATH=$browser:$PATH

trap 'kill "${sidecars[@]}" $simulator $redis 2>/dev/null || true; wait' EXIT
