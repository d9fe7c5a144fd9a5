"""Closures of real modules, by the finder of the installed Ansible."""
import json
import os
import shutil
import tempfile
import unittest
from unittest import mock

from ansible.module_utils import basic
from ansible.plugins.loader import module_loader, module_utils_loader

from spindle_ansible import closure as closure_mod
from spindle_ansible import compat
from spindle_ansible import composite
from spindle_ansible import wire

try:
    from ansible.plugins.loader import init_plugin_loader
    init_plugin_loader()
except ImportError:
    pass


# What Ansible has for Python 2; none since ansible-core 2.17.
COPY = 'ansible/module_utils/compat/_selectors2.py'
HAS_COPY = os.path.exists(os.path.join(os.path.dirname(basic.__file__), 'compat', '_selectors2.py'))


class Result(object):
    def __init__(self, out):
        self.status, self.out, self.text = wire.OK, out, ''


class Mux(object):
    """As much of a multiplexer as registering needs."""

    def __init__(self):
        self.blobs = {}

    def call(self, op, closure, meta, parts, seconds):
        digests = b''.join(parts)
        digests = [digests[at:at + 32] for at in range(0, len(digests), 32)]
        self.python2 = digests[len(digests) - meta['python2']:]
        assert closure in digests
        return Result(b''.join(d for d in digests if d not in self.blobs))

    def send_blob(self, digest, content):
        self.blobs[digest] = content


class ClosureTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        patch = mock.patch.object(closure_mod.C, 'DEFAULT_LOCAL_TMP', self.directory)
        patch.start()
        self.addCleanup(patch.stop)
        closure_mod._known.clear()
        closure_mod._registered.clear()

    def of(self, name):
        return closure_mod.lookup(name, module_loader.find_plugin(name), {})

    def module(self, text, name='mine.py'):
        path = os.path.join(self.directory, name)
        with open(path, 'wb') as f:
            f.write(text)
        return path

    def test_a_module_is_there_with_what_it_imports(self):
        found = self.of('command')
        self.assertEqual(found.fqn, 'ansible.modules.command')
        for path in ('ansible/__init__.py', 'ansible/modules/__init__.py', 'ansible/modules/command.py',
                     'ansible/module_utils/basic.py', 'ansible/module_utils/common/text/converters.py'):
            self.assertIn(path, found.files)
        manifest = json.loads(found.manifest.decode())
        self.assertEqual(set(manifest['files']).union(manifest.get('python2', ())), set(found.files))
        self.assertFalse(manifest['zip'])
        if compat.HAS_BUILT_MODULE:
            self.assertEqual(found.profile, 'legacy')
            self.assertIn('ansible/module_utils/_internal/_ansiballz/_loader.py', found.files)
        else:
            self.assertIsNone(found.profile)

    def test_modules_that_respawn_ask_for_an_archive(self):
        respawns = compat.optional('ansible.module_utils.common.respawn', 'respawn_module') is not None  # since ansible-core 2.11
        self.assertEqual(json.loads(self.of('apt').manifest.decode())['zip'], respawns)

    def test_what_only_python2_imports_is_set_apart(self):
        for name in ('command', 'setup', 'stat'):
            found = self.of(name)
            manifest = json.loads(found.manifest.decode())
            apart = {COPY}.intersection(found.files)
            self.assertEqual(bool(apart), HAS_COPY)
            self.assertEqual(set(manifest.get('python2', ())), apart)
            self.assertFalse(apart.intersection(manifest['files']))
            mux = Mux()
            closure_mod.register(mux, found)
            self.assertEqual(mux.python2, [found.files[path] for path in apart])
            self.assertEqual(set(mux.blobs), set(found.files.values()) | {found.digest})
        everything = composite.Bundle([self.of('command'), self.of('stat')])
        mux = Mux()
        closure_mod.register(mux, everything)
        self.assertEqual(mux.python2, [found.files[path] for path in apart])

    def test_who_names_what_only_python2_imports_gets_it(self):
        if not HAS_COPY:
            self.skipTest('there is nothing of the kind')
        text = b'from ansible.module_utils.basic import AnsibleModule\nfrom ansible.module_utils.compat import _selectors2\n'
        mine, stock = closure_mod.lookup('mine', self.module(text), {}), self.of('command')
        self.assertIn(COPY, json.loads(mine.manifest.decode())['files'])
        self.assertIn(mine.files[COPY], mine.pieces()[0])
        both = composite.Bundle([stock, mine]).pieces()
        self.assertIn(mine.files[COPY], both[0])
        self.assertEqual(both[1], {})

    def test_an_archive_has_what_any_python_imports(self):
        found = self.of('apt')
        if json.loads(found.manifest.decode())['zip']:
            self.assertEqual(set(json.loads(found.manifest.decode())['files']), set(found.files))

    def test_modules_share_most_of_their_files(self):
        one, other = self.of('command'), self.of('file')
        self.assertNotEqual(one.digest, other.digest)
        self.assertGreater(len(set(one.files.values()) & set(other.files.values())), 15)

    def test_it_is_known_whether_all_of_it_is_ansibles(self):
        for name in ('stat', 'copy', 'file'):
            self.assertTrue(self.of(name).own, name)
            closure_mod._known.clear()
            self.assertTrue(self.of(name).own, 'recalled %s' % name)
        before, utils = self.of('stat').digest, os.path.join(self.directory, 'utils')
        os.mkdir(utils)
        with open(basic.__file__) as f, open(os.path.join(utils, 'basic.py'), 'w') as mine:
            mine.write(f.read() + '\nx = 1\n')
        self.addCleanup(setattr, module_utils_loader, '_paths', None)
        self.addCleanup(module_utils_loader._extra_dirs.remove, utils)
        module_utils_loader.add_directory(utils)
        found = closure_mod.build('stat', module_loader.find_plugin('stat'), {})
        self.assertNotEqual(found.digest, before)
        self.assertFalse(found.own)

    def test_the_digest_depends_on_content_only(self):
        first = self.of('ping').digest
        closure_mod._known.clear()
        self.assertEqual(closure_mod.build('ping', module_loader.find_plugin('ping'), {}).digest, first)

    def test_other_kinds_of_modules_have_none(self):
        for text in (b'#!/bin/sh\necho\n', b'#!/usr/bin/python\n# WANT_JSON\n', b'\x7fELF\x00\x01',
                     b'#!/usr/bin/python\nx = """<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""\n'):
            closure_mod._known.clear()
            self.assertIsNone(closure_mod.lookup('mine', self.module(text), {}), text)

    def test_the_old_replacer_counts_as_new_style(self):
        path = self.module(b'#!/usr/bin/python\n#<<INCLUDE_ANSIBLE_MODULE_COMMON>>\nmain()\n')
        found = closure_mod.lookup('mine', path, {})
        source = found.pieces()[0][found.files[found.fqn.replace('.', '/') + '.py']]
        self.assertIn(b'from ansible.module_utils.basic import *', source)

    def test_a_changed_module_is_another_closure(self):
        text = b'#!/usr/bin/python3 -E\nfrom ansible.module_utils.basic import AnsibleModule\n'
        first = closure_mod.lookup('mine', self.module(text), {})
        asked = compat.optional('ansible.executor.module_common', '_extract_interpreter') is not None  # before ansible-core 2.11, by nobody
        self.assertEqual((first.interpreter, first.arguments), ('/usr/bin/python3', ['-E']) if asked else ('/usr/bin/python', []))
        second = closure_mod.lookup('mine', self.module(text + b'# more\n'), {})
        self.assertNotEqual(first.digest, second.digest)

    def test_what_one_worker_found_another_recalls(self):
        path = self.module(b'from ansible.module_utils.basic import AnsibleModule\n')
        first = closure_mod.lookup('mine', path, {})
        closure_mod._known.clear()
        with mock.patch.object(closure_mod, 'build', side_effect=AssertionError('built again')):
            second = closure_mod.lookup('mine', path, {})
        self.assertEqual((second.digest, second.fqn, second.profile), (first.digest, first.fqn, first.profile))
        self.assertIsNone(second.files)
        self.assertEqual(closure_mod.complete(second, 'mine', path, {}).digest, first.digest)

    def test_registering_sends_only_what_lacks(self):
        mux, found = Mux(), self.of('command')
        self.assertFalse(closure_mod.registered(found))
        closure_mod.register(mux, found)
        self.assertTrue(closure_mod.registered(found))
        self.assertEqual(set(mux.blobs), set(found.files.values()) | {found.digest})
        mux.send_blob = mock.Mock(side_effect=mux.send_blob)
        closure_mod.register(mux, self.of('ping'))
        self.assertLess(mux.send_blob.call_count, 5)


if __name__ == '__main__':
    unittest.main()
