#!/bin/sh
# fuzz.sh: run every fuzz target of the repository for a while.
#
#   fuzz.sh TIME [PACKAGE...]      TIME for each target, as `go test -fuzztime` takes it (60s, 1000x)
set -eu

time=${1:?usage: fuzz.sh TIME [PACKAGE...]}
shift
[ $# -gt 0 ] || set -- ./...
go list "$@" | while read -r package; do
	# Only packages with such tests have to be built.
	dir=$(go list -f '{{.Dir}}' "$package")
	grep -qs '^func Fuzz' "$dir"/*_test.go || continue
	go test -list '^Fuzz' "$package" | grep '^Fuzz' | while read -r target; do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
	done
done
