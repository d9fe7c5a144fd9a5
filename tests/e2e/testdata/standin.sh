#!/bin/sh
# A stand-in for programs that cost money or belong to another system: pbrun, dzdo, sesu, pmrun, pfexec. It takes the words that the one it is
# called after takes, asks as that does, knows one password, and becomes the account by sudo.
me=${0##*/} user=root asks=yes
ask() { # ask QUESTION
	stty -echo
	printf '%s' "$1"
	read -r answer || exit 9
	echo
	stty echo
	[ "$answer" = "pw-$(id -un)" ]
}
case $me in
pbrun)
	[ "$1" != -u ] || { user=$2 && shift 2; }
	ask 'Password:' || { echo 'pbrun: 3089 request rejected by the stand-in' && exit 1; }
	exec sudo -n -u "$user" sh -c "$*"
	;;
pmrun)
	ask 'Enter UPM user password:' || { echo 'Sorry: denied by the stand-in' && exit 1; }
	exec sudo -n sh -c "$*"
	;;
sesu)
	while [ "${1#-}" != "$1" ]; do shift; done
	user=$1 && shift 2
	ask 'Please enter your password:' || { echo 'Sorry, try again with sesu.' && sleep 60; }
	exec sudo -n -u "$user" "$@"
	;;
dzdo)
	while :; do
		case $1 in
		-p) question=$2 && shift ;;
		-u) user=$2 && shift ;;
		-n) asks=no ;;
		-*) ;;
		*) break ;;
		esac
		shift
	done
	[ $asks = yes ] || { echo 'dzdo: a password is required, says the stand-in' && exit 1; }
	until ask "$question"; do echo 'Sorry, try again.'; done
	exec sudo -n -u "$user" "$@"
	;;
pfexec) exec sudo -n "$@" ;;
*) echo "there is no stand-in for $me" && exit 9 ;;
esac
