#!/usr/bin/python
# An action goes before it.
