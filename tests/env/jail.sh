#!/bin/sh
# A stand-in for FreeBSD's jexec and jls, for tests: a "jail" is a container of systemd-nspawn's, found by the name that its first process has.
#   jexec [-l] [-u USER | -U USER] JAIL COMMAND...         jls [-j JAIL] [-q] NAME...
set -eu

find_jail() {
	for p in /proc/[0-9]*; do
		if [ "$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null)" = "/bin/sh /init $1 " ] && [ "${p#/proc/}" != 1 ]; then
			echo "${p#/proc/}"
			return
		fi
	done
	echo "${0##*/}: jail \"$1\" not found" >&2
	exit 1
}

case ${0##*/} in
jls)
	jail=''
	while getopts j:q o; do
		case $o in j) jail=$OPTARG ;; *) ;; esac
	done
	shift $((OPTIND - 1))
	if [ -n "$jail" ]; then
		find_jail "$jail" >/dev/null
		[ "${1-}" = path ] && echo "/var/lib/machines/$jail" || echo "$jail"
	else
		ls /var/lib/machines
	fi
	exit
	;;
*) ;;
esac

user=''
while getopts lu:U: o; do
	case $o in
	u | U) user=$OPTARG ;;
	*) ;;
	esac
done
shift $((OPTIND - 1))
pid=$(find_jail "$1")
shift
id=0 group=0 dir=/root
if [ -n "$user" ]; then
	IFS=: read -r _ _ id group _ dir _ <<-U
		$(grep "^$user:" "/proc/$pid/root/etc/passwd" || { echo "jexec: $user: no such user" >&2; exit 1; })
	U
fi
export HOME="$dir"
exec nsenter -t "$pid" -m -u -i -n -p -r -w -S "$id" -G "$group" -- "$@"
