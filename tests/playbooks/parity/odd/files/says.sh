#!/bin/sh
echo "$(id -un) $#: $*"
