#!/bin/sh
echo "hello from $(id -un) in $(pwd): $# arguments: $*"
echo "and an error" >&2
