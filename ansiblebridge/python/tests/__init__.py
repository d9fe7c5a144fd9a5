"""Tests of the Python half. Run with: python3 -m unittest discover -t . -s tests, in the directory above."""
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
for _place in (os.path.dirname(_HERE), os.path.join(_HERE, '..', '..', '..', 'transports', 'wire')):
    if _place not in sys.path:
        sys.path.append(os.path.normpath(_place))
