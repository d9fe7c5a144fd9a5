#!/bin/sh
# python-lint.sh: look for mistakes in the Python sources with pyflakes.
#
# The agent is one program in several files, put together by bootstrap/pack.go, and is looked at as a whole.
set -eu

# Names of Python 2 that code for both uses behind a check of the version.
# And d, which the first stage leaves for the agent.
export PYFLAKES_BUILTINS=unicode,unichr,long,xrange,reload,execfile,raw_input,d
flakes=$(command -v pyflakes3 || command -v pyflakes) || { echo "python-lint.sh: pyflakes3 is missing: apt-get install pyflakes3" >&2; exit 1; }

# Modules for Ansible's replacer style import what is written into them on their way to the target.
git ls-files '*.py' | grep -v -e '^bootstrap/agent/' -e '^tests/playbooks/library/tour_replacer.py$' | xargs "$flakes"

# The order in which pack.go puts them together.
parts=$(sed -n '/^var parts = /,/^}/p' bootstrap/pack.go | tr -dc 'a-z0-9_", \n' | tr '",' '  ' | sed 's/^var parts.*//')
whole=$(mktemp)
trap 'rm -f "$whole"' EXIT
cp transports/wire/spindle_wire.py "$whole"
for part in $parts; do
	cat "bootstrap/agent/$part.py" >>"$whole"
done
"$flakes" <"$whole" || { echo "python-lint.sh: lines are counted over spindle_wire.py and the files of bootstrap/agent, in order" >&2; exit 1; }
