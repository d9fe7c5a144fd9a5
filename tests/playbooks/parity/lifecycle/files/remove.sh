#!/bin/sh
# An account goes, and what it had.
set -e
userdel "$1"
rm -r "/home/${1:?}"
