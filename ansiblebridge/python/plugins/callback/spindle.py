"""Switches Spindle on for the stock strategies; the code is in spindle_ansible."""
import os
import sys

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = '''
    name: spindle
    type: aggregate
    short_description: Runs the stock strategies over Spindle
    description:
        - Plays under the strategies linear, free and host_pinned go through Spindle's multiplexer, as those under
          mitogen_linear, mitogen_free and mitogen_host_pinned do.
        - Nothing is printed.
    requirements:
        - enabled in the configuration (callbacks_enabled, callback_whitelist before ansible-core 2.11)
    author: Spindle contributors
'''

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

from spindle_ansible import entry  # noqa: E402


class CallbackModule(CallbackBase):
    """Ansible makes it before it looks for the first play's strategy."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'aggregate'
    CALLBACK_NAME = 'spindle'
    CALLBACK_NEEDS_ENABLED = True
    CALLBACK_NEEDS_WHITELIST = True  # its name before ansible-core 2.11

    def __init__(self, *args, **kwargs):
        super(CallbackModule, self).__init__(*args, **kwargs)
        entry.stand_in()
