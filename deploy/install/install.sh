#!/bin/sh
# Installs Evergate's binary from a release, after it has been checked; `install.sh --help` says how. What is installed is
# what checksums.txt of the release names; if cosign is there, the release's workflow has to have signed it, too.
# Anything else changes nothing.
set -eu

# A release fills these in.
repository='@REPOSITORY@' version='@VERSION@'

say() { printf '%s\n' "$*"; }
die() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

usage() {
	cat <<'END'
install.sh [--version X.Y.Z] [--dir DIR] [--from URL] [--checksum-only] [--dry-run]

  --version        the release; by default the one that this script belongs to
  --dir            where the binary goes; by default /usr/local/bin, or ~/.local/bin where that cannot be written to
  --from           where releases are, one folder vX.Y.Z for each; by default where this one was published
  --checksum-only  accept a release without a signature although cosign is here to check one
  --dry-run        say what would be done, and do nothing

It needs curl or wget, tar, and sha256sum, shasum or openssl.
END
}

# The value of an option; $# is what is left, with the option.
needs() { [ "$2" -ge 2 ] || die "$1 needs a value"; }

# fetch URL FILE. Nothing but https, unless it never leaves this machine.
fetch() {
	case $1 in
	https://* | http://127.0.0.1[:/]* | http://localhost[:/]* | 'http://[::1]'[:/]*) ;;
	*) die "$1 is not https: what it answers could have been changed on the way" ;;
	esac
	if have curl; then
		case $1 in
		https://*) curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --retry 3 --output "$2" "$1" ;;
		*) curl --fail --silent --show-error --location --output "$2" "$1" ;;
		esac
	elif have wget; then
		wget -q -O "$2" "$1"
	else
		die "neither curl nor wget is here: install one of them"
	fi
}

sha256() {
	if have sha256sum; then
		line=$(sha256sum <"$1")
	elif have shasum; then
		line=$(shasum -a 256 <"$1")
	elif have openssl; then
		line=$(openssl dgst -sha256 -r <"$1")
	else
		die "none of sha256sum, shasum and openssl is here, and nothing is installed unchecked"
	fi
	say "${line%% *}"
}

system() {
	case $(uname -s) in
	Linux) echo linux ;;
	Darwin) echo darwin ;;
	MINGW* | MSYS* | CYGWIN*) die "this script is not for Windows: take evergate_${version}_windows_amd64.zip, or Scoop" ;;
	*) die "there is no release for $(uname -s), only for Linux, macOS and Windows; with Go, build it from source" ;;
	esac
}

processor() {
	case $(uname -m) in
	x86_64 | amd64)
		# A shell under Rosetta calls an Apple processor that.
		if [ "$(sysctl -n hw.optional.arm64 2>/dev/null || true)" = 1 ]; then echo arm64; else echo amd64; fi
		;;
	aarch64 | arm64) echo arm64 ;;
	*) die "there is no release for the processor $(uname -m), only for x86_64 and arm64; with Go, build it from source" ;;
	esac
}

# The checksum that the release names for the archive.
expected() {
	sum=$(awk -v name="$2" '$2 == name || $2 == "*" name { print $1 }' "$1")
	case $sum in
	'') die "checksums.txt of $version has no $2" ;;
	*[!0-9a-f]*) die "checksums.txt of $version has no sha256 for $2, or several" ;;
	esac
	[ ${#sum} -eq 64 ] || die "checksums.txt of $version has no sha256 for $2"
	say "$sum"
}

# The attestation that the release's workflow made of everything that checksums.txt lists.
signed() {
	if ! have cosign; then
		say "cosign is not here: the checksum is checked, who made the release is not"
		return
	fi
	[ -z "$checksum_only" ] || return 0
	case $repository in
	@*) die "cosign is here, but not whose signature it should be: this script is not from a release; pass --checksum-only to accept that" ;;
	esac
	fetch "$from/v$version/attestation.sigstore.json" "$work/attestation" ||
		die "cosign is here, but v$version has no signature: pass --checksum-only to accept that"
	cosign verify-blob-attestation --new-bundle-format --bundle "$work/attestation" --type slsaprovenance1 \
		--certificate-oidc-issuer https://token.actions.githubusercontent.com \
		--certificate-identity "https://github.com/$repository/.github/workflows/release.yml@refs/tags/v$version" \
		"$work/$1" >/dev/null ||
		die "$1 was not signed by the workflow of $repository for v$version: nothing is installed"
	say "signed by the workflow of $repository"
}

place() {
	if [ -n "$dir" ]; then
		say "$dir"
	elif [ "$(id -u)" = 0 ] || [ -w /usr/local/bin ]; then
		say /usr/local/bin
	else
		say "${HOME:?}/.local/bin"
	fi
}

main() {
	dir='' from='' dry='' checksum_only=''
	while [ $# -gt 0 ]; do
		case $1 in
		--version) needs "$1" $#; version=${2#v}; shift ;;
		--dir) needs "$1" $#; dir=$2; shift ;;
		--from) needs "$1" $#; from=${2%/}; shift ;;
		--checksum-only) checksum_only=yes ;;
		--dry-run) dry=yes ;;
		-h | --help) usage; exit 0 ;;
		*) die "$1 is no option; there are --version, --dir, --from, --checksum-only and --dry-run" ;;
		esac
		shift
	done
	case $version in
	@*) die "this script is not from a release: say which with --version" ;;
	'' | *[!0-9A-Za-z.+~-]*) die "$version is no version; write for example --version 1.2.3" ;;
	esac
	if [ -z "$from" ]; then
		case $repository in
		@*) die "this script is not from a release: say with --from where releases are" ;;
		esac
		from=https://github.com/$repository/releases/download
	fi
	os=$(system)
	arch=$(processor)
	dir=$(place)
	archive=evergate_${version}_${os}_${arch}.tar.gz
	if [ -n "$dry" ]; then
		say "would download $from/v$version/$archive"
		say "would check it against $from/v$version/checksums.txt"
		if [ -z "$checksum_only" ] && have cosign; then say "would check with cosign who made it"; fi
		say "would install $dir/evergate"
		return
	fi

	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	fetch "$from/v$version/checksums.txt" "$work/checksums.txt" || die "there is no release v$version at $from"
	sum=$(expected "$work/checksums.txt" "$archive")
	fetch "$from/v$version/$archive" "$work/$archive" || die "$from/v$version/$archive cannot be downloaded"
	found=$(sha256 "$work/$archive")
	[ "$found" = "$sum" ] ||
		die "$archive is not what checksums.txt of v$version says (sha256 $found, not $sum): nothing is installed"
	signed "$archive"
	tar -xzf "$work/$archive" -C "$work" evergate || die "$archive has no evergate in it"
	"$work/evergate" version >/dev/null || die "this machine cannot run the binary of $archive"

	# In one step, so that a program that runs keeps its file, and nobody sees half of one.
	mkdir -p "$dir" || die "$dir cannot be made: choose another with --dir"
	{ cp "$work/evergate" "$dir/.evergate.$$" && chmod 755 "$dir/.evergate.$$" && mv -f "$dir/.evergate.$$" "$dir/evergate"; } ||
		{ rm -f "$dir/.evergate.$$"; die "$dir cannot be written to: choose another with --dir"; }
	say "installed $dir/evergate, $("$dir/evergate" version)"
	case :$PATH: in
	*:"$dir":*) say "See it work: evergate demo" ;;
	*) say "$dir is not in PATH. See it work: $dir/evergate demo" ;;
	esac
}

main "$@" # last, so that half a script does nothing
