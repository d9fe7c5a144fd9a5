"""Texts that users, their tests and their log filters know, and limits.

Many are Mitogen's: play books and monitoring match them by substring.
"""

OUTSIDE_STRATEGY = (
    'Mitogen connection types may only be instantiated when one of the "mitogen_*" strategies are active.'
)

CANNOT_CONNECT = (
    'The task worker cannot connect. Ansible may be shutting down, or the maximum open files limit may have been '
    'exceeded. If this occurs midway through a run, please retry after increasing the open file limit (ulimit -n). '
    'Original error: %s'
)

DISCONNECTED = (
    'Mitogen was disconnected from the remote environment while a call was in-progress. If you feel this is in '
    'error, please file a bug. Original error was: %s'
)

# What an account that cannot be become fails the task by, where Ansible has an error of its own.
ASKED_IN_VAIN = 'password is required', 'password is incorrect', 'Connection timed out.'
EOF = 'EOF on stream; last 100 lines received:\n'

# Ansible takes a target for unreachable where it cannot make a directory for temporary files.
NO_TEMP_MADE = 'Failed to create temporary directory.'

NO_TEMP_DIR = (
    'Unable to find a useable temporary directory. This likely means no\n'
    'system-supplied TMP directory can be written to.\n'
    '\n'
    'The following paths were tried:\n'
    '    %s'
)

NO_SUCH_FILE = 'file or module does not exist: %s'
NOT_REGULAR = "'%s' is not a regular file."
BAD_COMPRESSION = 'expected yes/no/true/false/0/1, got %r'
HANGUP = 'Shared connection to %s closed.'

UNSUPPORTED = 'Spindle: %s is not supported yet; what uses it runs over Ansible\'s own connection.'
ASIDE_VIA = (
    'Spindle: %s is not supported yet, and Ansible\'s own connection knows nothing of mitogen_via=%s: it would lead to another machine. '
    'Do without the one or the other.'
)
ASIDE_NAMED = 'Spindle: %s is not supported yet, and the connection type %s is its own: name one of Ansible\'s in its place.'
ASIDE_ALONE = (
    'Spindle: %s is not supported yet, and there is no other plugin for the connection type %s: install the collection that has it.'
)
NEEDS_SPINDLE = 'This connection needs Spindle, which is not used in this run: %s'
UNAVAILABLE = 'Spindle is not used, and the run goes on over Ansible\'s own connections: %s'

# Content up to this size travels inside the next call instead of in a transfer of its own.
SMALL_FILE = 124 * 1024

TEMP_PREFIX = 'ansible_mitogen_action_'
NOT_A_COMMAND_LINE = '%s cannot be split into words: %s.'
NOT_WHOLE = '%s is %r: set it to a whole number that is not negative.'

VIA_UNKNOWN = 'mitogen_via=%s of %s specifies an unknown hostname'
NO_KIND = 'mitogen_kind of %s is not set: setns has to be told docker, incus, lxc, lxd, machinectl or podman.'
VIA_CYCLE = 'mitogen_via=%s of %s creates a cycle (%s)'
VIA_CONNECTION = 'mitogen_via=%s of %s: connections of the type %s lead nowhere else'
VIA_BECOME = '%s is passed through with the become method %s, which only works for the host that a task runs on'
NOT_TEXT = '%s must be a text'
NOT_A_DICTIONARY = '%s must be a dictionary'
HIDDEN = '********'

NO_PYTHON = 'No usable Python was found'

# Failures to connect that another attempt would only repeat, or make worse: accounts get locked by wrong passwords. (Keys may be on their way to
# a machine that was just made.)
NO_USE_TO_RETRY = 'SSH password is incorrect', 'Host key checking is enabled', NO_PYTHON
NO_USE_WITH_A_PASSWORD = 'SSH authentication is incorrect'

NOT_WHOLE_PLUGINS = 'the plugins are not whole: name those in strategy_plugins that "spindle plugins" prints'
NO_TASK_VARS = (
    'could not recover task_vars. This means some connection settings may erroneously be reset to their defaults. '
    'Please report a bug if you encounter this message.'
)

TOO_OLD = 'Your version of Ansible (%s) is too old. The oldest version supported by Mitogen for Ansible is %s.'
OTHER_VERSION = 'this release of Ansible is not one that Spindle knows'
