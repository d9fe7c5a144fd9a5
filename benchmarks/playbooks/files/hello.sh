#!/bin/sh
# A script for the target, which gets it by the script module.
echo "hello from $(uname -n), $1"
