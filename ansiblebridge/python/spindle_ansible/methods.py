"""Names: which of our methods stands behind a connection's or a become plugin's name, and what an action's is."""
import os

import ansible
from ansible.plugins import become as become_plugins
from ansible.plugins.loader import connection_loader

# Short names, those of collections, and mitogen_*. A value is a key of hops.CONNECTIONS.
_SHORT = ('buildah', 'docker', 'incus', 'jail', 'kubectl', 'local', 'lxc', 'lxd', 'machinectl', 'podman', 'setns', 'ssh')
_COLLECTIONS = {
    'community.docker.docker': 'docker',
    'community.general.docker': 'docker',
    'containers.podman.podman': 'podman',
    'containers.podman.buildah': 'buildah',
    'community.general.buildah': 'buildah',
    'community.general.podman': 'podman',
    'kubernetes.core.kubectl': 'kubectl',
    'community.kubernetes.kubectl': 'kubectl',
    'community.general.kubectl': 'kubectl',
    'community.general.incus': 'incus',
    'community.general.jail': 'jail',
    'community.general.lxc': 'lxc',
    'community.general.lxd': 'lxd',
}

NAMES = dict((name, name) for name in _SHORT)
NAMES.update(('mitogen_' + name, name) for name in _SHORT + ('sudo', 'su', 'doas'))
NAMES.update(_COLLECTIONS)
NAMES['smart'] = 'ssh'

# Connections whose plugin is Ansible's own; the others have stand-ins of ours, so no collection has to be installed.
STOCK = ('ssh', 'local')

# What only makes sense with another kind of machine, and is left to Ansible.
FOREIGN_BECOME = ('runas', 'enable')

_BECOMES = {'community.general.doas': 'doas', 'doas': 'doas', 'su': 'su', 'sudo': 'sudo'}

# Where the plugins are that these stand for: Ansible's own, and the collection's.
_CORE = os.path.join(os.path.dirname(become_plugins.__file__), '')
_GENERAL = os.path.join('ansible_collections', 'community', 'general', '')

_HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), '')
_sites = [None, [], {}]  # where connection plugins are looked for, which of these places are the user's, and which names are in them

# Actions that are done on the controller, and use no connection.
LOCAL_ACTIONS = frozenset((
    'add_host', 'assert', 'debug', 'fail', 'group_by', 'import_playbook', 'import_role', 'import_tasks',
    'include', 'include_role', 'include_tasks', 'include_vars', 'meta', 'pause', 'set_fact', 'set_stats',
    'validate_argument_spec',
))


def short(name):
    """A plugin's name without the prefix of Ansible's own collection."""
    for prefix in ('ansible.builtin.', 'ansible.legacy.'):
        if name.startswith(prefix):
            return name[len(prefix):]
    return name


def needs_connection(action):
    """Whether a task will use its connection."""
    return short(action) not in LOCAL_ACTIONS


def connection(name):
    """Our name for a connection type, or None: also for a plugin of the site's own that is called like one of Ansible's."""
    if not isinstance(name, str):
        return None
    name = short(name)
    found = NAMES.get(name)
    return None if found is not None and _is_the_sites(name) else found


def _is_the_sites(name):
    """Whether a directory of the user's has a connection plugin of this name, which Ansible looks for there first."""
    places = tuple([str(getattr(place, 'path', place)) for place in connection_loader._get_paths()])
    if _sites[0] != places:
        own = os.path.join(os.path.dirname(ansible.__file__), '')
        _sites[:] = [places, [place for place in places if not place.startswith((own, _HERE))], {}]
    known = _sites[2]
    if name not in known:
        known[name] = '.' not in name and any(os.path.isfile(os.path.join(place, name + '.py')) for place in _sites[1])
    return known[name]


def become(name, path=None):
    """The method behind a become plugin's name: sudo, su, doas, become for any other; None for foreign ones.

    A site may have a plugin of its own by such a name, which its file tells, where that is known.
    """
    name = str.__str__(name)
    if name.rpartition('.')[2] in FOREIGN_BECOME:
        return None
    if path is not None and not path.startswith(_CORE) and _GENERAL not in path:
        return 'become'
    return _BECOMES.get(short(name), 'become')
