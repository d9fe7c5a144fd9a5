#!/bin/sh
# pythons.sh: make the Pythons of the Debian roots callable on this repository.
#
#   pythons.sh DIR      write one small program for each into DIR (python2.7, python3.9, ...) and print their paths
#
# The roots are those of tests/env/roots.sh; they are never written to. Each program enters its root in mount namespaces of its own,
# with this repository in place of the root's /mnt and a fresh /tmp, so it has to be called from inside the repository, by
# relative paths, as root.
set -eu

[ $# = 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
repo=$(cd "$(dirname "$0")/.." && pwd -P)
mkdir -p "$1"
out=$(cd "$1" && pwd)

for name in bullseye trixie sid; do
	root=$(sh "$repo/tests/env/roots.sh" --path "$name")
	for python in "$root"/usr/bin/python2.7 "$root"/usr/bin/python3.*; do
		version=${python##*/python}
		case $version in *[!0-9.]*) continue ;; esac # python3.13-config and the like, or nothing found
		[ -x "$python" ] || continue
		cat >"$out/python$version" <<-END
			#!/bin/sh
			inside=\$(pwd -P)
			case \$inside in
			$repo | $repo/*) inside=/mnt\${inside#$repo} ;;
			*) echo "\$0: call it from inside $repo" >&2; exit 2 ;;
			esac
			export inside
			exec unshare --mount --propagation private sh -c '
				mount --bind $repo $root/mnt && mount --bind /proc $root/proc && mount --rbind /dev $root/dev &&
				mount -t tmpfs tmpfs $root/tmp && cd $root && exec chroot . sh -c "
					cd \"\\\$inside\" && unset inside && exec python$version \"\\\$@\"" sh "\$@"' sh "\$@"
		END
		chmod 755 "$out/python$version"
		if (cd "$repo" && "$out/python$version" -c ''); then
			echo "$out/python$version"
		else
			rm "$out/python$version"
		fi
	done
done
