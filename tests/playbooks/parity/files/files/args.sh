#!/bin/sh
pwd
for a; do echo "<$a>"; done
echo "${WORD-unset} $(id -un)"
