"""Which loops are taken for loops of items that do not depend on each other."""
import contextlib
import os
import shutil
import tempfile
import unittest
from unittest import mock

from ansible import template
from ansible.errors import AnsibleParserError
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.plugins.loader import filter_loader, module_loader

try:
    from ansible.plugins.loader import init_plugin_loader
    init_plugin_loader()
except ImportError:
    pass

from spindle_ansible import compat, independence

VARIABLES = {
    'word': 'plain', 'templated': '{{ word | upper }}', 'before': '{{ out.stdout }}', 'far': ['{{ before }}'], 'deep': {'a': {'b': '{{ far }}'}},
    'reads': "{{ lookup('file', '/etc/passwd') }}", 'condition': 'out.rc == 0', 'harmless': 'word is defined', 'omit': 'x',
}


class IndependenceTest(unittest.TestCase):
    def verdict(self, task=None, variables=None, items=(1, 2, 3), module=None, **more):
        data = dict({'command': 'echo {{ item }}', 'loop': list(items), 'register': 'out'}, **(task or {}), **more)
        for action in ('shell', 'stat', 'debug', 'ping', 'apt', 'ansible.builtin.command', 'a.b.command', 'copy', 'assemble'):
            if action in data:
                data.pop('command', None)
        loaded = Task.load(data, loader=DataLoader())
        executor = mock.Mock(_task=loaded)
        with contextlib.ExitStack() as patched:
            patched.enter_context(mock.patch.object(independence.executors, 'task_variables', lambda executor: dict(VARIABLES, **(variables or {}))))
            if module:
                patched.enter_context(mock.patch.object(independence.module_loader, 'find_plugin_with_context',
                                                        lambda *args, **kwargs: mock.Mock(resolved=True, plugin_resolved_path=module)))
            return independence.proven(executor, items)

    def test_plain_ones(self):
        self.assertTrue(self.verdict())
        self.assertTrue(self.verdict({'ansible.builtin.command': 'echo'}))
        self.assertTrue(self.verdict({'shell': 'echo {{ item }}'}, become=True, ignore_errors=True, no_log=True, environment={'A': '{{ item }}'}))
        self.assertTrue(self.verdict({'stat': {'path': '{{ item }}'}}))
        self.assertTrue(self.verdict(when=['item != 2', 'word is defined', 'harmless']))
        self.assertTrue(self.verdict(vars={'mine': '{{ templated }}'}, command='echo {{ mine | default("x") | b64encode }}'))
        self.assertTrue(self.verdict(loop_control={'label': '{{ out.rc }}', 'extended': True, 'index_var': 'i'}))
        self.assertTrue(self.verdict(command="echo {{ query('items', word) | map('upper') | select('match', 'x') | list }}"))

    def test_their_own_result_may_be_looked_at_when_it_is_there(self):
        with mock.patch('spindle_ansible.compat.keeps_condition_errors', lambda: True):
            self.assertTrue(self.verdict(failed_when='out.rc > 1', changed_when=['out.stdout is search("x")', 'item']))
            self.assertTrue(self.verdict(failed_when='before == deep'))
            self.assertTrue(self.verdict(failed_when='condition'))

    def test_the_result_of_another_item_may_not(self):
        for name, task in {
            'args': {'command': 'echo {{ out.rc }}'}, 'nested': {'command': 'echo {{ before }}'}, 'list': {'command': 'echo {{ far }}'},
            'deeper': {'command': 'echo {{ deep.a }}'}, 'when': {'when': 'out.rc == 0'}, 'condition': {'when': 'condition'},
            'environment': {'environment': {'A': '{{ before }}'}}, 'vars': {'vars': {'mine': '{{ before }}'}}, 'user': {'become_user': '{{ before }}'},
            'by name': {'command': "echo {{ lookup('vars', 'o' ~ 'ut') }}"}, 'all': {'command': "echo {{ vars['o' ~ 'ut'] }}"},
            'ignored': {'ignore_errors': '{{ out.rc == 0 }}'}, 'quoted': {'command': "echo {{ hostvars[inventory_hostname]['out'] }}"},
            'statement': {'command': '{% if out is defined %}x{% endif %}'},
        }.items():
            self.assertFalse(self.verdict(task), name)
        self.assertFalse(self.verdict(variables={'ansible_user': '{{ out.stdout }}'}))
        self.assertTrue(self.verdict(variables={'ansible_user': '{{ word }}'}))
        self.assertTrue(self.verdict({'command': 'echo {{ out.rc }}', 'register': 'other'}))

    def test_nor_in_fields_that_callbacks_and_handlers_see(self):
        for name in ('notify', 'name', 'tags'):
            self.assertFalse(self.verdict({name: 'the {{ out.rc }}'}), name)
            self.assertTrue(self.verdict({name: 'the {{ item }}'}), name)

    def test_nor_in_what_a_template_comes_to(self):
        self.assertEqual(bool(self.verdict(items=('a', '{{ out.rc }}', 'c'))), not compat.templates_twice())
        self.assertTrue(self.verdict(items=('a', {'b': '{ c }'}, 'c')))

    def test_what_is_taken_from_other_hosts_is_plain(self):
        hosts = mock.MagicMock(raw_get={'one': {'plain': {'a': 1}, 'reads': '{{ 1 }}'}, 'two': {'plain': '2'}}.get)
        hosts.__iter__.side_effect = lambda: iter(('one', 'two'))
        variables = {'hostvars': hosts, 'inventory_hostname': 'two'}
        for text in ('hostvars[item].plain', 'hostvars.one["plain"]["a"]', 'hostvars["two"].plain', 'hostvars[inventory_hostname].reads', 'hostvars[word].none',
                     'hostvars[item].get("plain")', 'hostvars.two.get("none", "")'):
            self.assertTrue(self.verdict(variables=variables, command='echo {{ %s }}' % text), text)
        for text in ('hostvars', 'hostvars[item]', 'hostvars.one.reads', 'hostvars[item].reads', 'hostvars["one"][item]', 'hostvars[item].plain ~ hostvars[item]',
                     '["one"] | map("extract", hostvars, "reads")', 'hostvars.nobody.plain', 'hostvars.one.get("reads", "")', 'hostvars.two.get(item)', 'hostvars.two.values()', 'hostvars.two.get()'):
            self.assertFalse(self.verdict(variables=variables, command='echo {{ %s }}' % text), text)
        hosts.__iter__.side_effect = lambda: iter(['one'] * (independence._MOST_HOSTS + 1))
        self.assertFalse(self.verdict(variables=variables, command='echo {{ hostvars[item].plain }}'))

    def test_facts_are_no_templates_but_a_variable_in_their_place_may_be(self):
        try:
            from ansible._internal._datatag._tags import TrustedAsTemplate
            theirs, ours = str, TrustedAsTemplate().tag
        except ImportError:
            from ansible.utils.unsafe_proxy import wrap_var
            theirs, ours = wrap_var, str
        for text, found in ((theirs('{{ out.rc }}'), True), (ours('plain'), True), (ours('{{ word }}'), True), (ours('{{ out.rc }}'), False), (ours('{{ before }}'), False)):
            for facts in ({'a': text}, {'b': 1, 'a': [1, {'c': [text]}]}, {text: None}):
                for command in ('echo {{ ansible_facts.a }}', 'echo {{ ansible_facts }}', 'echo {{ mine }}'):
                    verdict = self.verdict(command=command, variables={'ansible_facts': facts, 'mine': "{{ ansible_facts['a'] }}"})
                    self.assertEqual(bool(verdict), found, (text, facts, command))
                self.assertTrue(self.verdict(command='echo {{ word }}', variables={'ansible_facts': facts}))
        many = dict((str(n), [theirs('{'), n]) for n in range(independence._MOST_VALUES))
        self.assertTrue(self.verdict(command='echo {{ ansible_facts.a }}', variables={'ansible_facts': many}))
        self.assertTrue(self.verdict(command='echo {{ ansible_facts.a }}'))

    @unittest.skipIf(compat.EncryptedString is None, 'what is encrypted is no template in these releases')
    def test_what_is_encrypted_may_be_a_template(self):
        from ansible.parsing.vault import VaultSecret, VaultSecretsContext, VaultLib
        secret = [('default', VaultSecret(b'word'))]
        lib = VaultLib(secret)
        with mock.patch.object(VaultSecretsContext, 'current', lambda *args, **kwargs: VaultSecretsContext(secret)):
            for text, found in (('{{ out.rc }}', False), ('plain', True)):
                hidden = compat.EncryptedString(ciphertext=lib.encrypt(text).decode())
                self.assertEqual(bool(self.verdict(variables={'hidden': hidden}, command='echo {{ hidden }}')), found, text)

    def test_one_file_that_is_refused_says_nothing_for_the_next(self):
        scan = self.verdict()
        self.assertFalse(scan.file(b'{{ before }}'))
        self.assertFalse(scan.file(b'once more {{ before }}'))
        self.assertTrue(scan.file(b'{{ templated }}'))

    def test_a_connection_by_item(self):
        self.assertFalse(self.verdict(connection='{{ "local" if item == 2 else "ssh" }}'))
        self.assertTrue(self.verdict(connection='local'))

    def test_labels_that_may_end_the_loop(self):
        sized = {'sized': '{{ item.size | human_readable }}', 'shown': '{{ item.size | default("none", true) | upper }}'}
        for text in ('{{ item.path | replace("/", "") }}', '{{ out.stdout }} {{ item }}', '{{ item.a | default("x") }}', '{{ "x" if out is defined else item[0] }}',
                     '{{ shown }}'):
            self.assertTrue(self.verdict(loop_control={'label': text}, variables=sized), text)
        for text in ('{{ 1 / item }}', '{{ item | mandatory }}', '{{ item.lower() }}', "{{ lookup('items', item) }}", '{% for x in item %}{% endfor %}',
                     '{{ item.path | basename }}', '{{ item | first }}', '{{ item if item is changed }}', '{{ item | replace("a") }}', '{{ item | replace("a", item) }}',
                     '{{ sized }}'):
            self.assertFalse(self.verdict(loop_control={'label': text}, variables=sized), text)

    def test_a_template_may_say_that_nothing_is_to_be_sent_ahead(self):
        trusts = hasattr(template, 'trust_as_template')
        for value, on in (('{{ word == "plain" }}', True), ('{{ word == "other" }}', False), ('{{ not_there }}', False), (None, True), ('no', False), (True, True)):
            self.assertEqual(bool(self.verdict(variables={'spindle_pipeline': template.trust_as_template(value) if trusts and isinstance(value, str) else value})), on, value)

    def test_what_reads_files_or_is_not_known(self):
        for text in ("{{ lookup('file', item) }}", "{{ lookup('pipe', 'date') }}", "{{ q(word, 1) }}", "{{ lookup('my.own.thing') }}", '{{ reads }}',
                     "{{ item | realpath }}", "{{ '/tmp/*' | fileglob }}", "{{ item | somebodys }}", "{{ [1] | map('somebodys') | list }}", '{{ [item] | map(word) }}',
                     "{{ item is exists }}", "{{ [item] | select('file') }}", "{{ [{'a': 1}] | selectattr('a', 'directory') }}", '{{ somebodys(1) }}',
                     '{% include "x" %}', '{% import "x" as y %}', '{% macro a() %}{% endmacro %}', '{{ word.append(1) }}', "{{ word['append'](1) }}",
                     '{{ word.__class__ }}', '{{ 1 1 }}', '{{ now() }}', '{{ template_run_date }}', "{{ '%s' | strftime }}", "{{ item | map(*['x']) }}", '{% set query = word %}{{ query(1) }}', '#jinja2: variable_start_string: "[["\n{{ x }}'):
            self.assertFalse(self.verdict(command='echo ' + text if text[0] != '#' else text), text)
            self.assertFalse(self.verdict(failed_when=text[3:-3]) and text.startswith('{{ '), text)

    def test_become_by_item_where_a_connection_is_not_told_of_it(self):
        by_item = {'command': 'id', 'become': '{{ item == 2 }}'}
        with mock.patch('spindle_ansible.compat.tells_become', lambda: True):
            self.assertTrue(self.verdict(by_item))
        with mock.patch('spindle_ansible.compat.tells_become', lambda: False):
            self.assertFalse(self.verdict(by_item))
            self.assertFalse(self.verdict({'command': 'id'}, {'ansible_become': '{{ item == 2 }}'}))
            self.assertTrue(self.verdict({'command': 'id', 'become': True}))
            self.assertFalse(self.verdict({'command': 'id', 'remote_user': '{{ item }}'}))
            self.assertTrue(self.verdict({'command': 'id', 'remote_user': 'root'}))

    def test_conditions_where_a_broken_one_ends_the_loop(self):
        with mock.patch('spindle_ansible.compat.keeps_condition_errors', lambda: False):
            self.assertFalse(self.verdict(failed_when='out.rc > 1'))
            self.assertFalse(self.verdict(changed_when=['no_such_variable']))
            self.assertTrue(self.verdict(changed_when=False, failed_when=False))

    def test_a_number_of_retries_is_a_wish_to_wait_in_later_releases(self):
        default = compat.default_of(Task(), 'retries')
        self.assertEqual(bool(self.verdict(retries=3)), default == 3)

    def test_what_is_waited_for_or_controlled(self):
        for task in ({'loop_control': {'loop_var': '{{ word }}'}}, {'loop_control': {'index_var': '{{ word }}'}}, {'loop_control': {'extended': '{{ word }}'}},
                     {'until': 'out.rc == 0'}, {'retries': 5}, {'async': 5}, {'async': 5, 'poll': 0}, {'timeout': 5}, {'delegate_to': '{{ item }}'},
                     {'loop_control': {'pause': 1}}, {'loop_control': {'pause': '{{ word }}'}}, {'when': "{{ word }}"}):
            self.assertFalse(self.verdict(task), task)
        for name in ('{{ word }}', 'import', 'class', u'r\xe9sultat'):
            try:
                self.assertFalse(self.verdict({'register': name}))
            except AnsibleParserError:
                self.assertTrue(compat.HAS_BUILT_MODULE)  # newer releases refuse the play
        self.assertTrue(self.verdict(delegate_to='another'))

    def test_actions(self):
        self.assertFalse(self.verdict({'debug': 'msg=x'}))
        self.assertFalse(self.verdict({'assemble': 'src=x dest=y'}))
        self.assertTrue(self.verdict({'copy': 'src=x dest=y'}))
        self.assertFalse(self.verdict(items=(1, 2)))
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        with open(os.path.join(directory, 'ping.py'), 'w') as f:
            f.write('# my own\n')
        self.assertTrue(self.verdict({'ping': {'data': 'x'}}))
        self.assertFalse(self.verdict({'ping': {'data': 'x'}}, module=directory + '/ping.py'))

    def test_filters_of_the_users_own(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        with open(os.path.join(directory, 'mine.py'), 'w') as f:
            f.write("class FilterModule:\n    def filters(self):\n        return {'upper': None}\n")
        with mock.patch.object(filter_loader, '_get_paths', lambda *args, **kwargs: [directory]):
            self.assertFalse(self.verdict(command='echo {{ item | upper }}'))
            self.assertTrue(self.verdict(command='echo {{ item | lower }}'))

    def test_it_can_be_switched_off(self):
        for value in (False, 'no', '{{ word }}', 'false'):
            self.assertFalse(self.verdict(variables={'spindle_pipeline': value}), value)
        self.assertTrue(self.verdict(variables={'spindle_pipeline': 'yes'}))

    def test_every_action_is_of_ansible_itself(self):
        for name in independence.ONE_CALL:
            self.assertTrue(module_loader.find_plugin_with_context(name, '').resolved or name == 'shell', name)


class TaskTest(unittest.TestCase):
    """Which tasks may be begun behind others, and which may others be begun behind."""

    def load(self, **data):
        if not set(data) & set(('shell', 'copy', 'template', 'debug', 'set_fact', 'apt', 'file', 'meta', 'getent', 'include_tasks', 'package', 'add_host')):
            data['command'] = data.get('command', 'echo')
        return Task.load(data, loader=DataLoader())

    def behind(self, variables=None, **data):
        try:
            return independence.behind(self.load(**data), dict(VARIABLES, **(variables or {})), ['out'])
        except independence.Dependent:
            return None

    def ahead(self, variables=None, **data):
        try:
            independence.ahead(self.load(**data), dict(VARIABLES, **(variables or {})), {'there', 'topic'})
        except independence.Dependent:
            return False
        return True

    def test_plain_ones(self):
        for data in ({}, {'shell': 'echo {{ word }}'}, {'copy': {'content': 'x', 'dest': '/x'}}, {'template': {'src': 'x', 'dest': '/x'}}, {'apt': {'name': 'x'}},
                     {'file': {'path': '/x'}}, {'getent': {'database': 'passwd'}}, {'become': True, 'when': 'word is defined', 'register': 'mine'},
                     {'ignore_errors': True, 'no_log': True, 'environment': {'A': '{{ templated }}'}, 'name': 'a name'}):
            self.assertTrue(self.behind(**data), data)
            self.assertTrue(self.ahead(**data), data)

    def test_what_is_not_a_plain_task_of_ansibles(self):
        for data in ({'debug': {'msg': 1}}, {'set_fact': {'a': 1}}, {'meta': 'end_play'}, {'include_tasks': 'x.yml'}, {'package': {'name': 'x'}}, {'add_host': {'name': 'x'}},
                     {'loop': [1]}, {'with_items': [1]}, {'until': 'true'}, {'async': 5}, {'delegate_to': 'localhost'}, {'run_once': True},
                     {'debugger': 'always'}, {'name': 'the {{ word }}'}, {'timeout': 5}, {'register': 'ansible_become_user'}, {'register': 'mitogen_via'}):
            self.assertFalse(self.behind(**data), data)
            self.assertFalse(self.ahead(**data), data)
        for off in (False, 'no'):
            self.assertFalse(self.behind({'spindle_pipeline': off}))
            self.assertFalse(self.ahead({'spindle_pipeline': off}))

    def test_what_is_no_name_for_a_result(self):
        for name in ('import', 'class', u'r\xe9sultat'):
            try:
                self.assertFalse(self.ahead(register=name))
                self.assertFalse(self.behind(register=name))
            except AnsibleParserError:
                self.assertTrue(compat.HAS_BUILT_MODULE)  # newer releases refuse the play

    def test_what_looks_at_the_results_of_others(self):
        for data in ({'command': 'echo {{ out.rc }}'}, {'command': 'echo {{ before }}'}, {'when': 'out.rc == 0'}, {'when': 'condition'}, {'vars': {'mine': '{{ far }}'}},
                     {'environment': {'A': '{{ before }}'}}, {'become_user': '{{ before }}'}, {'ignore_errors': '{{ out is failed }}'},
                     {'changed_when': 'out.rc == 0', 'register': 'mine'}, {'failed_when': 'condition'}, {'command': "echo {{ lookup('vars', 'o' ~ 'ut') }}"},
                     {'command': 'echo {{ now() }}'}, {'command': 'echo {{ reads }}'}):
            self.assertFalse(self.behind(**data), data)
        self.assertFalse(self.behind({'ansible_port': '{{ out.stdout }}'}))
        self.assertTrue(self.behind(register='out', changed_when='out.rc == 0'))  # its own

    def test_what_can_fail_by_what_the_target_does_not_know(self):
        for data in ({'changed_when': 'mine.rc == 0'}, {'failed_when': ['mine.rc > 1']}, {'ignore_unreachable': True}, {'notify': 'nobody'}, {'notify': ['there', '{{ word }}']},
                     {'failed_when': True}, {'throttle': '{{ nobody }}'}):
            self.assertFalse(self.ahead(register='mine', **data), data)
        for data in ({'changed_when': False}, {'changed_when': True}, {'failed_when': False}, {'throttle': 1}, {'notify': 'there'}, {'notify': ['topic', 'there']}):
            self.assertTrue(self.ahead(**data), data)
