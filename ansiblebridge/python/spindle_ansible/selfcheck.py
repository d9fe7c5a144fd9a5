"""Whether an Ansible that is newer than any we know can be hooked into.

For known releases there is nothing to find out. For others the methods that we replace
are compared with what is there, and then a small play is run, over Spindle and on this
machine only, in a process of its own. What passed is noted, so it is run once.
"""
import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import tempfile

import ansible
from ansible.plugins.action import ActionBase
from ansible.plugins.connection import ConnectionBase
from ansible.plugins.strategy import StrategyBase
from ansible.release import __version__

from spindle_ansible import entry
from spindle_ansible import mux as mux_mod
from spindle_ansible import texts

NEWEST = (2, 22)

TRIAL_SECONDS = 120

# What is replaced: all of it has to be there, and to be called as we expect it.
_OF_ACTIONS = (
    '_configure_module', '_execute_module', '_fixup_perms2', '_is_pipelining_enabled', '_low_level_execute_command',
    '_make_tmp_path', '_remote_chmod', '_remote_chown', '_remote_expand_user', '_remove_tmp_path',
    '_should_remove_tmp_path', '_transfer_data', '_transfer_file', '_update_module_args', 'run',
)
_OF_CONNECTIONS = ('_connect', 'close', 'exec_command', 'fetch_file', 'put_file')
_OF_STRATEGIES = ('_execute_meta', '_queue_task', 'cleanup')

# Files of Ansible that make it another one when they change, although it calls itself the same: what is developed does.
_WATCHED = (
    'release.py', 'executor/module_common.py', 'executor/process/worker.py', 'executor/task_executor.py', 'plugins/action/__init__.py',
    'plugins/connection/__init__.py', 'plugins/strategy/__init__.py',
)

# Set for the play that the check runs: it must not be checked itself, nor go on without us.
TRIAL = 'SPINDLE_TRIAL'

# The hosts of the play, and the program that runs it: releases that were not installed as a package have no other way in that is always there.
_HOSTS = 'one,two,three,'
_PROGRAM = 'import sys; from ansible.cli.playbook import main; sys.exit(main(["ansible-playbook"] + sys.argv[1:]))'

# Several hosts, for workers that are shared; loops of several items, for those that are sent ahead.
_PLAY = '''
- hosts: all
  gather_facts: false
  vars: {dir: "{{ playbook_dir }}/made-{{ inventory_hostname }}"}
  tasks:
    - ping:
      register: pong
    - file: {path: "{{ dir }}", state: directory, mode: "0700"}
    - copy: {content: "one\\n", dest: "{{ dir }}/file", mode: "0600"}
    - command: cat {{ dir }}/file
      register: shown
    - raw: echo raw
      register: raw
    - script: trial.sh
      register: script
    - fetch: {src: "{{ dir }}/file", dest: "{{ dir }}/fetched", flat: true}
    - command: echo {{ inventory_hostname }} {{ item }}
      loop: [1, 2, 3, 4]
      register: loop
    - copy: {content: "{{ item }}", dest: "{{ dir }}/{{ item }}", mode: "0600"}
      loop: [a, b, c, d]
      register: copies
    - shell: exit 3
      register: failed
      ignore_errors: true
    - add_host: {name: made, groups: new}
    - group_by: {key: "is_{{ inventory_hostname }}"}
    - command: echo later
      async: 30
      poll: 1
      register: job
    - assert:
        that:
          - pong.ping == 'pong'
          - shown.stdout == 'one'
          - raw.stdout is search('raw')
          - script.stdout is search('scripted')
          - loop.results | map(attribute='stdout') | list == [1, 2, 3, 4] | map('regex_replace', '^', inventory_hostname ~ ' ') | list
          - copies.results | map(attribute='dest') | list == ['a', 'b', 'c', 'd'] | map('regex_replace', '^', dir ~ '/') | list
          - lookup('file', dir ~ '/d') == 'd'
          - failed is failed and failed.rc == 3
          - job.stdout == 'later'
          - groups.new == ['made'] and groups['is_' ~ inventory_hostname] == [inventory_hostname]
          - lookup('file', dir ~ '/fetched') == 'one'
''' + ''.join('''
- hosts: all
  gather_facts: false
  strategy: %s
  tasks:
    - command: echo {{ inventory_hostname }}
      register: said
    - assert: {that: said.stdout == inventory_hostname}
''' % name for name in ('mitogen_free', 'mitogen_host_pinned'))


def known():
    """Whether somebody has looked at this release."""
    return entry.version() <= NEWEST


def reason():
    """Why this Ansible cannot be hooked into, or None."""
    if os.environ.get(TRIAL) or known():
        return None
    try:
        failed = _check()
    except Exception as e:  # whatever is not there any more
        failed = '%s: %s' % (type(e).__name__, e)
    return '%s; %s' % (failed, texts.OTHER_VERSION) if failed else None


def _check():
    """What differences and a trial show, unless it is noted that they show nothing."""
    found = differences()
    if found:
        return found[0]
    note = _note_path()
    if note and os.path.exists(note):
        return None
    failed = trial()
    if note and not failed:
        try:
            os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
            open(note, 'w').close()
        except OSError:  # it is checked again the next time
            pass
    return failed


def differences():
    """Methods that we replace, and that are not what we know: in words, one each."""
    from spindle_ansible import action_mixin, connection, strategy
    found = []
    for ours, stock, names in ((action_mixin.ActionMixin, ActionBase, _OF_ACTIONS),
                               (connection.Connection, ConnectionBase, _OF_CONNECTIONS),
                               (strategy.StrategyMixin, StrategyBase, _OF_STRATEGIES)):
        for name in names:
            theirs = getattr(stock, name, None)
            if theirs is None:
                found.append('%s.%s does not exist' % (stock.__name__, name))
            elif not _accepts(getattr(ours, name), theirs):
                found.append('%s.%s takes other arguments' % (stock.__name__, name))
    return found


def _accepts(ours, theirs):
    """Whether a call of the one may be answered by the other."""
    mine = inspect.signature(ours).parameters
    kinds = [p.kind for p in mine.values()]
    if inspect.Parameter.VAR_KEYWORD in kinds and inspect.Parameter.VAR_POSITIONAL in kinds:
        return True
    for name, parameter in inspect.signature(theirs).parameters.items():
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            continue
        if name not in mine and inspect.Parameter.VAR_KEYWORD not in kinds:
            return False
    return True


def trial():
    """Run a small play over Spindle; what went wrong, or None."""
    directory = None
    try:
        directory = tempfile.mkdtemp(prefix='spindle-trial-')
        for name, text in (
                ('ansible.cfg', '[defaults]\n'), ('play.yml', _PLAY), ('trial.sh', '#!/bin/sh\necho scripted\n')):
            with open(os.path.join(directory, name), 'w') as f:
                f.write(text)
        environ = dict((k, v) for k, v in os.environ.items() if not k.startswith('ANSIBLE_'))
        path = [os.path.dirname(os.path.dirname(os.path.abspath(ansible.__file__)))]
        environ.update({
            TRIAL: '1', 'ANSIBLE_CONFIG': os.path.join(directory, 'ansible.cfg'),
            'ANSIBLE_STRATEGY': 'mitogen_linear',
            'ANSIBLE_STRATEGY_PLUGINS': os.path.join(mux_mod.ROOT, 'plugins', 'strategy'),
            'SPINDLE_BINARY': mux_mod.find_binary(), 'ANSIBLE_NOCOLOR': '1',
            'ANSIBLE_REMOTE_TEMP': os.path.join(directory, 'tmp'), 'ANSIBLE_LOCAL_TEMP': os.path.join(directory, 'local'),
            'ANSIBLE_ASYNC_DIR': os.path.join(directory, 'async'),
            'PYTHONPATH': os.pathsep.join(path + [p for p in (environ.get('PYTHONPATH'),) if p]),
        })
        done = subprocess.run(
            [sys.executable, '-c', _PROGRAM, '-i', _HOSTS, '-c', 'local', '-e', 'ansible_python_interpreter=%s' % sys.executable, 'play.yml'],
            cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=TRIAL_SECONDS)
    except subprocess.TimeoutExpired:
        return 'a small play was not done after %d seconds' % TRIAL_SECONDS
    except (OSError, mux_mod.Unavailable) as e:
        return 'a small play could not be run: %s' % e
    finally:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
    if done.returncode:
        words = [line for line in done.stdout.decode('utf-8', 'replace').splitlines()
                 if 'fatal:' in line or 'ERROR' in line or 'Error' in line]
        return 'a small play failed (%s)' % (words[0].strip()[:300] if words else 'exit status %d' % done.returncode)
    return None


def _note_path():
    """Where it is noted that this Spindle passed with this Ansible."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    if not os.path.isabs(base):
        return None
    source = os.path.dirname(os.path.abspath(ansible.__file__))
    key = [__version__, sys.version, source, mux_mod.ROOT]
    for path in [os.path.join(source, *name.split('/')) for name in _WATCHED] + [os.path.join(mux_mod.ROOT, 'spindle_ansible', 'strategy.py')]:
        st = os.stat(path)
        key += [st.st_mtime, st.st_size]
    return os.path.join(base, 'spindle', 'passed-%s' % hashlib.sha256(repr(key).encode()).hexdigest()[:24])
