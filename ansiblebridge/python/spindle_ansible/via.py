"""mitogen_via: the hosts that lie on the way to another one."""
from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure

from spindle_ansible import compat
from spindle_ansible import hops
from spindle_ansible import methods
from spindle_ansible import settings
from spindle_ansible import sources
from spindle_ansible import texts


def parse(text):
    """[[METHOD:]USER@]NAME as (method, user, name), None for what is not there."""
    account, at, name = text.rpartition('@')
    if not at:
        return None, None, name
    method, _, user = account.rpartition(':')
    return method or None, user or None, name


def way(source, python, shell, hostvars, become=True):
    """All hops to a host, nearest first: those of the hosts on the way, and its own."""
    return [hop for _, hop in explained(source, python, shell, hostvars, become)]


def explained(source, python, shell, hostvars, become=True):
    """The same, each with the source that its settings come from."""
    own = [(source, hop) for hop in hops.host_hops(source, python, shell, become)]
    return _before(source, shell, hostvars, ()) + own


def to_host(source, name, shell, hostvars, said, told):
    """All hops to another host of the inventory, with its own settings, what is told instead of them or said beside them, and as the account that is logged in to."""
    host = _intermediary(source, name, name, hostvars[name], False, None, None)
    host.said, host.told = said, told
    python = settings.interpreter(host.variables, source.templar)
    return [hop for _, hop in _before(host, shell, hostvars, ())] + hops.host_hops(host, python, shell)


def _before(source, shell, hostvars, seen):
    text = source.via()
    if not text:
        return []
    seen += (source.inventory_name,)
    method, user, name = parse(text)
    if name in seen:
        raise AnsibleConnectionFailure(
            texts.VIA_CYCLE % (text, source.inventory_name, ' -> '.join(reversed(seen + (name,)))))
    if hostvars is None or not name or name not in hostvars:
        raise AnsibleConnectionFailure(texts.VIA_UNKNOWN % (text, source.inventory_name))
    intermediary = _intermediary(source, text, name, hostvars[name], '@' in text, method, user)
    python = settings.interpreter(intermediary.variables, source.templar)
    own = [(intermediary, hop) for hop in hops.host_hops(intermediary, python, shell)]
    return _before(intermediary, shell, hostvars, seen) + own


def _intermediary(source, text, name, variables, changes, method, user):
    def value(variable):
        return compat.plain(compat.template(source.templar, variables.get(variable)))

    transport = value('ansible_connection') or C.DEFAULT_TRANSPORT
    connection = methods.connection(transport)
    if connection is None:
        raise AnsibleConnectionFailure(texts.VIA_CONNECTION % (text, source.inventory_name, transport))
    become = None
    if changes:
        method = method or value('ansible_become_method') or C.DEFAULT_BECOME_METHOD
        become = (method, user)
    return sources.Intermediary(name, variables, source.templar, connection, become)
