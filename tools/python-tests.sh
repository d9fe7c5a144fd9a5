#!/bin/sh
# python-tests.sh: run the Python tests under the given interpreters.
#
#   python-tests.sh PYTHON...
#
# The wire's codec runs on every Python that a target may have; the plugins on those that a controller may have, with Ansible installed.
set -eu

export PYTHONDONTWRITEBYTECODE=1
for python; do
	echo "== $python: codec"
	(cd transports/wire && "$python" wire_test.py)
	# In a root there is no Go, so tests that need the module's Python alone are all that can run.
	if (cd ansiblebridge/python && "$python" -c 'import sys, ansible; sys.exit(sys.version_info < (3, 9))' 2>/dev/null); then
		echo "== $python: plugins"
		(cd ansiblebridge/python && PYTHONPATH=../../transports/wire "$python" -m unittest discover -s tests -t .)
	else
		echo "== $python: plugins not tested, no Ansible there"
	fi
done
