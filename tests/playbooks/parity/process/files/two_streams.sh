#!/bin/bash
echo out
echo err >&2
printf 'no newline'
exit 5
