"""What goes in front of which action."""
from spindle_ansible import action_mixin
from spindle_ansible import composite
from spindle_ansible import explain
from spindle_ansible import fetch
from spindle_ansible import rsh

_SPECIAL = dict((name, fetch.FetchMixin) for name in (
    'fetch', 'ansible.builtin.fetch', 'ansible.legacy.fetch', 'mitogen_fetch'))
_SPECIAL.update(composite.MIXINS)
_SPECIAL['spindle_explain'] = explain.ExplainMixin
_SPECIAL.update((name, rsh.SynchronizeMixin) for name in ('synchronize', 'ansible.posix.synchronize'))


def of(action, stock):
    """The mixin for an action of this name, whose class is stock: a site may have one of its own by that name."""
    found = _SPECIAL.get(action, action_mixin.ActionMixin)
    if found is fetch.FetchMixin and action != 'mitogen_fetch' and not composite.own(stock):
        return action_mixin.ActionMixin
    return found
