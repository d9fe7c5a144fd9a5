"""The free strategy with Spindle's connections; the code is in spindle_ansible."""
import os
import sys

DOCUMENTATION = '''
    name: mitogen_free
    short_description: Executes tasks as the free strategy does, over Spindle
    description:
        - Tasks are executed in the order and by the rules of the free strategy.
        - Connections go through Spindle's multiplexer.
    author: Spindle contributors
'''

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from spindle_ansible.entry import strategy  # noqa: E402

StrategyModule = strategy('free')
