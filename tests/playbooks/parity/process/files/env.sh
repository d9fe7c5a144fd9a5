#!/bin/sh
echo "$FROM_PLAY|$BOTH|$T"
