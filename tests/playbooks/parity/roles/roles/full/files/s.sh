#!/bin/sh
echo script of the role
