#!/bin/sh
# mitogen.sh DIR: unpack the newest Mitogen for Ansible that Debian has, that of sid, below DIR, and print DIR.
#
# It is not installed: its two packages (all Python, for every architecture) are fetched by an apt that knows nothing but sid, checked by apt
# as any package is, and unpacked. DIR/version holds their names and versions. What is there already is kept; remove DIR to look
# for a newer one. The mirror is the one apt uses on this machine.
set -eu

dir=${1:?where to}
say() { printf 'mitogen.sh: %s\n' "$*" >&2; }
if [ -s "$dir/version" ]; then
	echo "$dir"
	exit
fi

new=$dir.new.$$
rm -rf "$new"
mkdir -p "$new/apt/lists/partial" "$new/apt/cache/archives/partial" "$new/apt/sources" "$new/apt/etc"
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM HUP

mirror=$("$(dirname "$0")/../tests/env/roots.sh" --mirror)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
printf 'deb [signed-by=%s] %s sid main\n' "$keyring" "$mirror" >"$new/apt/sources/sid.list"
: >"$new/apt/status"

# Proxies and the like come from this machine's own settings; sources, lists and packages are ours alone. A stored or mirrored archive
# may be older than its own Valid-Until.
sid() {
	apt-get -qq -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$new/apt/sources" -o "Dir::State::lists=$new/apt/lists" \
		-o "Dir::State::status=$new/apt/status" -o "Dir::Cache=$new/apt/cache" -o "Dir::Etc::preferencesparts=$new/apt/etc" -o "Dir::Etc::preferences=/dev/null" \
		-o 'Acquire::Check-Valid-Until=false' -o 'Acquire::Languages=none' -o 'APT::Sandbox::User=' -o 'Acquire::Retries=3' \
		-o 'Acquire::http::Timeout=60' -o 'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false' "$@"
}
sid update
(cd "$new" && sid download python3-mitogen ansible-mitogen)
for package in "$new"/*.deb; do
	dpkg-deb -x "$package" "$new"
	# shellcheck disable=SC2016 # for dpkg-deb
	dpkg-deb -W --showformat '${Package} ${Version}\n' "$package" >>"$new/version"
done
rm -rf "$new/apt" "$new"/*.deb
rm -rf "$dir"
mv "$new" "$dir"
trap - EXIT
say "$(tr '\n' ' ' <"$dir/version")"
echo "$dir"
