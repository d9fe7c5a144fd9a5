#!/usr/bin/python
# WANT_JSON
import json
import sys

print(json.dumps({"word": json.load(open(sys.argv[1]))["word"]}))
