#!/bin/sh
pwd
umask
echo $#
