#!/bin/sh
# python-tests.sh: run the Python tests under the given interpreters, as many at once as there are cores.
#
#   python-tests.sh PYTHON...
#
# The wire's codec runs on every Python that a target may have; the plugins on those that a controller may have, with Ansible installed.
set -eu

export PYTHONDONTWRITEBYTECODE=1
if [ "${1-}" = --one ]; then
	python=$2
	echo "== $python: codec"
	(cd transports/wire && "$python" wire_test.py)
	# In a root there is no Go, so tests that need the module's Python alone are all that can run.
	if (cd ansiblebridge/python && "$python" -c 'import sys, ansible; sys.exit(sys.version_info < (3, 9))' 2>/dev/null); then
		echo "== $python: plugins"
		(cd ansiblebridge/python && PYTHONPATH=../../transports/wire "$python" -m unittest discover -s tests -t .)
	else
		echo "== $python: plugins not tested, no Ansible there"
	fi
	exit
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# shellcheck disable=SC2016 # the inner shell's own words
printf '%s\n' "$@" | out=$out self=$0 xargs -P "$(nproc)" -I '{}' sh -c '"$self" --one "$1" >"$out/$(basename "$1")" 2>&1 || { echo "$1" >>"$out/failed"; echo "FAILED: $1"; }' sh '{}'
for python; do
	cat "$out/$(basename "$python")"
done
[ ! -e "$out/failed" ]
