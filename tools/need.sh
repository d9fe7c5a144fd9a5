#!/bin/sh
# need.sh: see to it that programs are there, by Debian's packages.
#
#   need.sh PROGRAM=PACKAGE...      a PROGRAM with a path is any file
#
# What is missing is installed with apt-get, as root or through a sudo that asks for nothing. Where that is not to be had, it says
# what to run and ends with 1. A service that a package brings along is not started.
set -eu

PATH=$PATH:/usr/sbin:/sbin # Debian's ordinary users do not have them
packages='' programs=''
for pair; do
	program=${pair%%=*} package=${pair#*=}
	case $program in
	/*) test -e "$program" && continue ;;
	*) command -v "$program" >/dev/null && continue ;;
	esac
	programs="$programs ${program##*/}"
	case " $packages " in *" $package "*) ;; *) packages="$packages $package" ;; esac
done
[ -n "$packages" ] || exit 0

say() { printf 'need.sh: %s\n' "$*" >&2; }
if ! command -v apt-get >/dev/null; then
	say "missing:$programs. Install them; this machine has no apt-get (on Debian the packages are:$packages)."
	exit 1
elif [ "$(id -u)" = 0 ]; then
	root=''
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	root='sudo -n'
else
	say "missing:$programs. Run this as root, then try again:"
	say "    apt-get update && apt-get install --no-install-recommends$packages"
	exit 1
fi

say "installing$packages"
policy=/usr/sbin/policy-rc.d
if ! [ -e $policy ]; then
	# Debian asks this program before it starts a service; 101 means no.
	printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
	$root chmod 755 $policy
	trap '$root rm -f $policy' EXIT
	trap 'exit 130' INT TERM HUP
fi
# shellcheck disable=SC2086  # lists of words, and sudo's absence
{
	$root apt-get -qq update
	$root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $packages >/dev/null
}
