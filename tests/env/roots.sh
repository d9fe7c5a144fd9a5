#!/bin/sh
# roots.sh: build the Debian root file systems that the end-to-end tests use.
#
#   roots.sh [NAME...]        build what is missing (default: trixie sid) and print the directory of each
#   roots.sh --path NAME      print the directory of one root, building nothing
#   roots.sh --mirror         print the Debian archive that apt uses on this machine
#   roots.sh --clean [NAME..] remove roots
#
# bookworm  controller and target: ansible-core 2.14, Python 3.11
# trixie    controller and target: ansible-core 2.19, Python 3.13, sudo-rs
# sid       controller and target: ansible-core 2.22, Python 3.14, sudo-rs and its su
# bullseye  controller and target: the core of ansible 2.10, Python 2.7 and 3.9, doas in its first packaging
# workshop  target only, of bookworm (Python 3.11): whatever the modules of ansible.builtin want to find on a machine
# engines   trixie with every container engine of Debian's, systemd with what asks for passwords, a Kerberos server, and, under
#           /opt/collections, the stock connection and become plugins for them, and ansible.posix
#
# The directory is SPINDLE_TEST_ROOTS (default /var/cache/spindle-tests/roots). A root is built beside its place and
# renamed when it is whole; NAME.done holds the key it was built from (its suite, packages and options), so a changed
# package list builds it anew. A directory NAME.lock holds off other builders of the same root; the lock of a process
# that no longer lives is taken over. Needs root and mmdebstrap. The mirror is the one apt uses on this machine.
set -eu

dir=${SPINDLE_TEST_ROOTS:-/var/cache/spindle-tests/roots}
wait_limit=${SPINDLE_TEST_ROOTS_WAIT:-900} # seconds to wait for another builder

say() { printf 'roots.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

all='bullseye bookworm trixie sid engines workshop'
ansible='ansible-core,python3,openssh-server,openssh-client,sudo,opendoas,sshpass,procps,iproute2,rsync'

packages_of() {
	case $1 in
	bookworm) echo "$ansible" ;;
	trixie | sid) echo "$ansible,sudo-rs" ;;
	engines) echo "$ansible,polkitd,krb5-kdc,krb5-admin-server,krb5-user,docker.io,docker-cli,podman,runc,buildah,lxc,python3-lxc,lxd,lxd-client,incus-base,incus-client,systemd-container,dbus,kubernetes-client" ;;
	bullseye) echo python2.7,python3,python3-yaml,python3-jinja2,python3-packaging,python3-cryptography,openssh-server,openssh-client,sudo,doas,sshpass,procps ;;
	workshop) echo python3,openssh-server,openssh-client,sudo,opendoas,procps,iproute2,python3-apt,python3-debian,python3-pexpect,python3-pip,python3-virtualenv,git,subversion,cron,iptables,gnupg,debconf-utils,unzip,zip,xz-utils,bzip2,file,acl ;;
	*) die "no such root: $1 (known: $all)" ;;
	esac
}

suite_of() {
	case $1 in
	engines) echo trixie ;;
	workshop) echo bookworm ;;
	*) echo "$1" ;;
	esac
}

# collections is a hook that unpacks the stock connection plugins for container engines from Debian's package ansible, which is too big to install.
# shellcheck disable=SC2016 # for the shell that mmdebstrap runs it with
collections='set -eu
d=$(mktemp -d); trap "rm -rf $d" EXIT; chmod 755 "$d"; cd "$d"
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -o APT::Sandbox::User=root download ansible
mkdir -p "$1/opt/collections"
from=./usr/lib/python3/dist-packages/ansible_collections
dpkg-deb --fsys-tarfile ansible_*.deb | tar -x -C "$1/opt/collections" --strip-components=5 --exclude="*/plugins/modules" --exclude="*/tests" \
	--exclude="*/docs" --exclude="*/changelogs" $from/community/docker $from/community/general $from/containers/podman $from/kubernetes/core
dpkg-deb --fsys-tarfile ansible_*.deb | tar -x -C "$1/opt/collections" --strip-components=5 $from/ansible/posix/plugins $from/ansible/posix/meta'

# oldest is a hook that unpacks the core from Debian 11's package ansible, which has all the collections in it, and compiles it as
# the package does when it is configured: otherwise every process of an unprivileged account would do so again.
# shellcheck disable=SC2016 # for the shell that mmdebstrap runs it with
oldest='set -eu
d=$(mktemp -d); trap "rm -rf $d" EXIT; chmod 755 "$d"; cd "$d"
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -o APT::Sandbox::User=root download ansible
dpkg-deb --fsys-tarfile ansible_*.deb | tar -x -C "$1" ./usr/lib/python3/dist-packages/ansible ./usr/bin
chroot "$1" py3compile /usr/lib/python3/dist-packages/ansible'

# mirror prints the first Debian archive that apt uses here, in either format of its sources.
mirror() {
	{
		for f in /etc/apt/sources.list.d/*.sources; do
			[ -r "$f" ] && awk '/^URIs:/ {print $2}' "$f"
		done
		for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
			[ -r "$f" ] && awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^[a-z+]+:\//) {print $i; next}}' "$f"
		done
	} | grep -v -e security -e cloud -e node | grep -m1 debian
}

# build NAME: one root, from nothing, into $dir/NAME.
build() {
	name=$1 new=$dir/$name.new.$$
	m=$(mirror) || die "apt has no Debian archive configured on this machine"
	command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
	[ "$(id -u)" = 0 ] || die "only root can build a root file system"
	rm -rf "$dir/$name".new.* "$dir/$name.done"
	set -- --quiet --mode=root --format=directory --variant=minbase "--include=$(packages_of "$name")"
	for p in man doc locale info lintian bash-completion; do
		set -- "$@" "--dpkgopt=path-exclude=/usr/share/$p/*"
	done
	# A stored or mirrored archive may be older than its own Valid-Until.
	set -- "$@" '--aptopt=Acquire::Check-Valid-Until "false"' '--aptopt=Acquire::Languages "none"' \
		'--aptopt=Acquire::Retries "3"' '--aptopt=Acquire::http::Timeout "60"'
	for scheme in http https; do
		proxy=$(apt-config dump --format '%v%n' "Acquire::$scheme::Proxy" 2>/dev/null | head -n1)
		[ -z "$proxy" ] || set -- "$@" "--aptopt=Acquire::$scheme::Proxy \"$proxy\""
	done
	case $name in
	engines) set -- "$@" "--customize-hook=$collections" ;;
	bullseye) set -- "$@" "--customize-hook=$oldest" ;;
	*) ;;
	esac
	start=$(date +%s)
	log=$dir/$name.log
	if ! mmdebstrap "$@" "$(suite_of "$name")" "$new" "$m" >"$log" 2>&1 </dev/null; then
		tail -n 20 "$log" >&2
		rm -rf "$new"
		die "building $name failed, see $log"
	fi
	rm -rf "$new"/var/cache/apt/*.bin "$new"/var/lib/apt/lists/* "$new"/etc/ssh/ssh_host_*
	# The same plain names everywhere, so that results of two targets can be compared.
	echo localhost >"$new/etc/hostname"
	: >"$new/etc/resolv.conf"
	rm -rf "${dir:?}/$name"
	mv "$new" "$dir/$name"
	say "$name built in $(($(date +%s) - start)) s"
}

key_of() { echo "v4 $1 $(packages_of "$1")"; }

ready() { [ -d "$dir/$1" ] && [ "$(cat "$dir/$1.done" 2>/dev/null)" = "$(key_of "$1")" ]; }

# ensure NAME builds a root unless it is there, one builder at a time.
ensure() {
	packages_of "$1" >/dev/null
	if ready "$1"; then return; fi
	mkdir -p "$dir"
	waited=0
	until mkdir "$dir/$1.lock" 2>/dev/null; do
		owner=$(cat "$dir/$1.lock/pid" 2>/dev/null || true)
		if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
			say "taking over the lock of process $owner, which is gone"
			rm -rf "$dir/$1.lock"
			continue
		fi
		[ "$waited" -lt "$wait_limit" ] || die "another builder has held $dir/$1.lock for $waited s"
		[ "$waited" -gt 0 ] || say "waiting for another builder of $1"
		sleep 1
		waited=$((waited + 1))
	done
	echo $$ >"$dir/$1.lock/pid"
	trap 'rm -rf "$dir/$1.lock" "$dir/$1".new.$$' EXIT
	trap 'exit 130' INT TERM
	if ! ready "$1"; then
		build "$1"
		key_of "$1" >"$dir/$1.done"
	fi
	rm -rf "$dir/$1.lock"
	trap - EXIT INT TERM
}

case ${1-} in
--path)
	echo "$dir/${2:?which root?}"
	exit
	;;
--mirror)
	mirror
	exit
	;;
--clean)
	shift
	# shellcheck disable=SC2086 # they are words
	[ $# -gt 0 ] || set -- $all
	for n in "$@"; do
		packages_of "$n" >/dev/null
		rm -rf "${dir:?}/$n" "$dir/$n.done" "$dir/$n.log"
	done
	exit
	;;
-*) die "usage: roots.sh [NAME...] | --path NAME | --mirror | --clean [NAME...]" ;;
esac
[ $# -gt 0 ] || set -- trixie sid
for n in "$@"; do
	ensure "$n"
	echo "$dir/$n"
done
