"""The linear strategy with Spindle's connections; the code is in spindle_ansible."""
import os
import sys

DOCUMENTATION = '''
    name: mitogen_linear
    short_description: Executes tasks as the linear strategy does, over Spindle
    description:
        - Tasks are executed in the order and by the rules of the linear strategy.
        - Connections go through Spindle's multiplexer.
    author: Spindle contributors
'''

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from spindle_ansible.entry import strategy  # noqa: E402

StrategyModule = strategy('linear')
