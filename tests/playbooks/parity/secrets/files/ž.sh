#!/bin/sh
echo "skript $1"
