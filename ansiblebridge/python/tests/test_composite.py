"""What is sent ahead is what Ansible's own actions ask for.

Random tasks are run twice, each time with the modules' answers made up: once with foresight and
once without, which a task timeout brings about. In whatever state the destinations are said to
be, the modules that are run, and all that they are given, have to be the same.
"""
import collections
import hashlib
import json
import os
import random
import re
import unittest

from spindle_ansible import composite
from spindle_ansible import wire
from tests.playbook_case import PlaybookCase

FINDS = ('absent', 'same', 'other', 'directory', 'link', 'link_same', 'unreadable', 'trouble')
TASKS = 48
# Names that Ansible makes up anew each time, and times of temporary files on the controller.
_MADE_UP = re.compile(r'ansible_mitogen_action_[0-9a-f]{16}|(?<="_original_basename": ")\.?(tmp)?\w{8}(?=")|"[am]time": [0-9.]+')


def tasks_of(rng):
    """Random tasks; each has a destination of its own, whose last word names the content that it gets."""
    def maybe(args, key, *values):
        if rng.random() < 0.25:
            args[key] = rng.choice(values)

    for number in range(TASKS):
        action = rng.choice(('copy', 'copy', 'copy', 'template', 'assemble'))
        task, args, content = {'ignore_errors': True}, {}, 'plain'
        if action == 'assemble':
            content = 'parts'
            args.update(src='parts', remote_src=False)
            maybe(args, 'regexp', 'one$')
            if 'regexp' in args:
                content = 'one'
            maybe(args, 'ignore_hidden', True)
        elif action == 'template':
            content = 'page'
            args.update(src='page.j2')
            maybe(args, 'trim_blocks', True, False)
            maybe(args, 'lstrip_blocks', True)
        elif rng.random() < 0.5:
            args.update(content=rng.choice(('plain', {'a': [1, u'\u017e']}, u'\u017elu\u0165', '')))
            content = {'plain': 'plain', '': 'empty'}.get(args['content'] if isinstance(args['content'], str) else 0, 'other')
        else:
            args.update(src=rng.choice(('plain', 'plain', u'\u017elu\u0165.txt', 'tree', 'tree/', 'missing', 'secret')))
            maybe(args, 'local_follow', True, False)
            maybe(args, 'directory_mode', '0750')
        dest = '/nowhere/%s/%d/to-%s' % (FINDS[number % len(FINDS)], number, content)
        if rng.random() < 0.2 and 'content' not in args:
            dest += '/'
        args['dest'] = dest
        maybe(args, 'mode', '0640', 'u=rw,g+s', 'preserve', 384)
        maybe(args, 'owner', 'root', 'daemon')
        maybe(args, 'group', 'root')
        maybe(args, 'force', True, False, 'no')
        maybe(args, 'follow', True, False, 'yes')
        maybe(args, 'backup', True)
        maybe(args, 'validate', 'true %s')
        maybe(args, 'unsafe_writes', True)
        maybe(args, 'attributes', '+d')
        maybe(args, 'seuser', '_default')
        if action == 'copy':
            maybe(args, 'checksum', hashlib.sha1(b'plain').hexdigest(), '0' * 40)
            maybe(args, 'decrypt', True, False)
        for key, value in (('check_mode', True), ('diff', True), ('no_log', True), ('environment', {'SOME': 'thing', 'MORE': '{{ 1 + 1 }}'})):
            if rng.random() < 0.15:
                task[key] = value
        task[action] = args
        yield task


class ToldTest(unittest.TestCase):
    def told(self, *entries, **given):
        result = composite._Result()
        result.rc = given.get('rc', 0)
        result.out = b''.join(json.dumps(entry).encode() + b'\n' + wrote for entry, wrote in entries)
        found, done = composite.told(result)
        return dict((number, (step.status, step.rc, step.out, step.err, step.text)) for number, step in found.items()), done

    def test_steps(self):
        stat = {'step': 0, 'rc': 0, 'out': 4, 'err': 3, 'done': True, 'next': 2}, b'a\nb\nerr'
        self.assertEqual(self.told(stat, ({'step': 2, 'rc': 1, 'out': 1, 'err': 0, 'done': True, 'next': None}, b'x')),
                         ({0: (wire.OK, 0, b'a\nb\n', b'err', ''), 2: (wire.OK, 1, b'x', b'', '')}, 2))
        refused = {'step': 2, 'error': [wire.ERROR, 2, 'write /x: No such file'], 'next': None}, b''
        self.assertEqual(self.told(stat, refused, rc=1)[0][2], (wire.ERROR, 0, b'', b'', 'write /x: No such file'))
        # What has run has its result, even if something behind it failed.
        late = {'step': 2, 'rc': 0, 'out': 1, 'err': 0, 'error': [wire.ERROR, 2, 'remove'], 'next': None}, b'x'
        self.assertEqual(self.told(stat, late, rc=1), ({0: (wire.OK, 0, b'a\nb\n', b'err', ''), 2: (wire.OK, 0, b'x', b'', '')}, 0))

    def test_killed(self):
        stat = {'step': 0, 'rc': 0, 'out': 0, 'err': 0, 'done': True, 'next': 1}, b''
        self.assertEqual(self.told(stat, rc=-9), ({0: (wire.OK, 0, b'', b'', ''), 1: (wire.OK, -9, b'', b'', '')}, 0))
        self.assertEqual(self.told(rc=-9), ({0: (wire.OK, -9, b'', b'', '')}, -1))


class ForesightTest(PlaybookCase):
    def setUp(self):
        super(ForesightTest, self).setUp()
        self.trace = os.path.join(self.directory, 'trace')
        for name, text in (('plain', 'plain'), (u'\u017elu\u0165.txt', 'plain'), ('page.j2', 'page\n{% if true %}\n a{% endif %}\n'), ('parts/one', '1\n'),
                           ('parts/.two', '2'), ('tree/a', 'plain'), ('tree/sub/b', 'plain'), ('tree/sub/empty/keep', ''),
                           ('secret', '$ANSIBLE_VAULT;1.1;AES256\n3333\n')):
            path = os.path.join(self.directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as f:
                f.write(text)
        os.symlink('a', os.path.join(self.directory, 'tree', 'link'))
        texts = {'plain': b'plain', 'empty': b'', 'parts': b'2\n1\n', 'one': b'1\n', 'page': b'page\n a\n', 'sub/b': b'plain', 'a': b'plain'}
        self.sums = os.path.join(self.directory, 'sums')
        with open(self.sums, 'w') as f:
            json.dump(dict((name, hashlib.sha1(text).hexdigest()) for name, text in texts.items()), f)

    def traced(self, tasks):
        """The modules that were run, in order, and how often what was found led on to another one in the same call."""
        if os.path.exists(self.trace):
            os.unlink(self.trace)
        self.play(''.join('  - %s\n' % json.dumps(task) for task in tasks), code=None, FAKE_MUX_TRACE=self.trace,
                  FAKE_MUX_SUMS=self.sums, MITOGEN_LOG_LEVEL='DEBUG', ANSIBLE_VERBOSITY='3')
        self.assertIn('failed=0', self.output)
        self.assertNotIn('was not asked for', self.output)
        modules, led = [], collections.Counter()
        with open(self.trace) as f:
            for line in f:
                entry = json.loads(line)
                if 'composite' in entry:
                    led[modules[-1].split('/nowhere/')[1].split('/')[0]] += entry['composite'] > 1
                else:
                    # A temporary directory may go with one file of several, and be made for the next one anew.
                    entry['pre'] = [op for op in entry['pre'] if op['op'] != 'mkdir']
                    modules.append(_MADE_UP.sub('?', json.dumps(entry, sort_keys=True)))
        return modules, led

    def test_random_tasks(self):
        seed = int(os.environ.get('SPINDLE_TEST_SEED') or random.randrange(10 ** 6))
        tasks = list(tasks_of(random.Random(seed)))
        with self.subTest(seed=seed):
            ahead, led = self.traced(tasks)
            one_by_one, none = self.traced([dict(task, timeout=600) for task in tasks])
            for one, other in zip(ahead, one_by_one):
                self.assertEqual(one, other)
            self.assertEqual(len(ahead), len(one_by_one))
            self.assertEqual(sum(none.values()), 0)
            self.assertGreater(sum(led.values()), len(tasks) // 20, led)
            self.assertEqual(led['trouble'], 0, led)


if __name__ == '__main__':
    unittest.main()
