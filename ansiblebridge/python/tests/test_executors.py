"""What an item that was begun ahead sees of the results of those ahead of it."""
import types
import unittest

from spindle_ansible import executors


class LoopVariablesTest(unittest.TestCase):
    def found(self, **control):
        given = dict({'loop_var': 'item', 'index_var': None, 'extended': False}, **control)
        return executors.loop_variables(types.SimpleNamespace(**given), ['a', 'b', 'c'], 1)

    def test_only_what_the_loop_is_told_to_set_is_set(self):
        self.assertEqual(executors.loop_variables(None, ['a'], 0), {'ansible_loop_var': 'item', 'item': 'a'})
        self.assertEqual(self.found(), {'ansible_loop_var': 'item', 'item': 'b'})
        self.assertEqual(self.found(loop_var='x', index_var='at'), {'ansible_loop_var': 'x', 'x': 'b', 'ansible_index_var': 'at', 'at': 1})

    def test_neighbours_in_the_order_of_the_release(self):
        names = ['index', 'index0', 'first', 'last', 'length', 'revindex', 'revindex0']
        self.assertEqual(list(self.found(extended=True)['ansible_loop']), ['allitems'] + names + ['nextitem', 'previtem'])
        self.assertEqual(list(self.found(extended=True, extended_allitems=True)['ansible_loop']), names + ['allitems', 'nextitem', 'previtem'])
        loop = self.found(extended=True, extended_allitems=False)['ansible_loop']
        self.assertEqual(list(loop), names + ['nextitem', 'previtem'])
        self.assertEqual([loop[name] for name in names], [2, 1, False, False, 3, 2, 1])


class BehindTest(unittest.TestCase):
    def test_it_is_the_loops_list_and_the_items_own_result(self):
        earlier = ['first', 'second']
        seen = executors._Behind(2, earlier)
        self.assertEqual((len(seen), list(seen), seen[-1]), (2, earlier, 'second'))
        seen.append('third')
        self.assertEqual((len(seen), list(seen), seen[0], seen[-1]), (3, ['first', 'second', 'third'], 'first', 'third'))
        seen[2] = 'again'
        self.assertEqual(seen[-1], 'again')
        seen[-1] = 'and again'
        self.assertEqual((list(seen.own()), earlier), (['and again'], ['first', 'second']))

    def test_what_comes_later_in_the_loops_list_is_not_seen(self):
        self.assertEqual(list(executors._Behind(1, ['first', 'second'])), ['first'])


if __name__ == '__main__':
    unittest.main()
