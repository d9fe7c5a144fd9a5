#!/bin/sh
echo "script for $1"
