"""What the plugin files that Ansible loads import: the strategies, and a second way to them.

It needs little of Ansible and nothing of ours until it is asked, so that a release which
is not as we know it makes a warning, and not a run that ends before its first task.
"""
import re

from ansible.errors import AnsibleError
from ansible.plugins.loader import strategy_loader
from ansible.release import __version__
from ansible.utils.display import Display

from spindle_ansible import fallback
from spindle_ansible import methods
from spindle_ansible import texts

# The stock strategies that ours stand for.
STRATEGIES = ('linear', 'free', 'host_pinned')

# The oldest release of Ansible that there is anything for.
OLDEST = (2, 10)

_classes = {}


def version():
    """The release that is running, as numbers."""
    return tuple(int(n) for n in re.findall(r'\d+', __version__)[:2])


def too_old():
    """What there is to say if this Ansible is older than any that we know, or None."""
    if version() >= OLDEST:
        return None
    return texts.TOO_OLD % (__version__, '%d.%d' % OLDEST)


def strategy(name):
    """The class that stands for a strategy of Ansible's; hardly more than that one itself where ours cannot be."""
    if too_old():
        raise AnsibleError(too_old())
    if name not in _classes:
        try:
            from spindle_ansible import strategy as ours
            _classes[name] = ours.strategy(name)
        except Exception as e:  # whatever is not there any more
            whose = texts.NOT_WHOLE_PLUGINS if isinstance(e, ImportError) and 'spindle' in str(e) else texts.OTHER_VERSION
            reason = '%s: %s; %s' % (type(e).__name__, e, whose)
            Display().warning(texts.UNAVAILABLE % reason)
            fallback.begin(reason)
            base = strategy_loader.get(name, class_only=True)
            _classes[name] = type('StrategyModule', (fallback.FallbackMixin, base), {'__doc__': base.__doc__, 'spindle_stock': name})
    return _classes[name]


def stand_in():
    """Put our strategies in the place of the stock ones, for plays that name those. Safe to repeat."""
    original = strategy_loader.get
    if getattr(original, 'spindle', False):
        return
    if too_old():  # nobody has named a strategy of ours
        Display().warning(texts.UNAVAILABLE % too_old())
        return

    def get(name, *args, **kwargs):
        short = methods.short(name) if isinstance(name, str) else name
        if short not in STRATEGIES or kwargs.get('class_only'):
            return original(name, *args, **kwargs)
        return strategy(str(short))(*args, **kwargs)
    get.spindle = True
    strategy_loader.get = get
