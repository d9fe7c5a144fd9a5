"""The strategies: Ansible's own, with the hooks in place while they run."""
import contextlib
import gc
import os

import ansible
from ansible.errors import AnsibleError
from ansible.plugins.loader import action_loader, connection_loader, strategy_loader
from ansible.template import Templar

from spindle_ansible import arrivals
from spindle_ansible import batch
from spindle_ansible import closure as closure_mod
from spindle_ansible import compat
from spindle_ansible import fallback
from spindle_ansible import loaders
from spindle_ansible import log
from spindle_ansible import methods
from spindle_ansible import mux as mux_mod
from spindle_ansible import orphans
from spindle_ansible import prewarm
from spindle_ansible import runtime
from spindle_ansible import selfcheck
from spindle_ansible import sequence
from spindle_ansible import texts
from spindle_ansible import tickets
from spindle_ansible import workers

PLUGINS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'plugins')

_frozen = []


_checked = []


def checked():
    """Whether this Ansible can be hooked into, found out once."""
    if not _checked:
        _checked.append(True)
        reason = selfcheck.reason()
        if reason:
            give_up('%s.' % reason)
    return not runtime.given_up()


def give_up(reason):
    """Go on without Spindle, and say so once."""
    if os.environ.get(selfcheck.TRIAL):
        raise AnsibleError(texts.UNAVAILABLE % reason)
    fallback.begin(reason)
    log.warn_once('unavailable', texts.UNAVAILABLE % reason)


class StrategyMixin(fallback.FallbackMixin):
    """Goes in front of a strategy class of Ansible's."""

    _spindle_warmer = None
    _spindle_crew = None
    _spindle_rules = None
    _spindle_shares = False
    _spindle_foresees = False  # what comes next, as only Ansible's own class does
    _spindle_waits = False  # for results, and for nothing else
    _spindle_moved = True  # since results were looked for, a host went on
    _spindle_ending = False  # then, a worker was not gone that had sent its result

    def __init__(self, *args, **kwargs):
        super(StrategyMixin, self).__init__(*args, **kwargs)
        self._spindle_arrivals = arrivals.Arrivals(self)

    def run(self, iterator, play_context):
        """Run the play with the hooks in place; without them if there is nothing behind them."""
        runtime.begin(self._tqm)
        if runtime.given_up() or not checked():
            return super(StrategyMixin, self).run(iterator, play_context)
        try:
            runtime.enter()
        except mux_mod.Unavailable as e:
            give_up(e)
            return super(StrategyMixin, self).run(iterator, play_context)
        runtime.set_typed_passwords(
            getattr(play_context, 'password', None), getattr(play_context, 'become_pass', None))
        hooks = loaders.Hooks()
        self._spindle_warmer = prewarm.Warmer(hooks)
        if self._spindle_shares and batch.wanted() and not (self._step or self.debugger_active):
            # What somebody's own strategy makes of tasks and variables is not known ahead.
            ahead = sequence.Sequences(self, iterator) if vars(type(self)).get('_spindle_foresees') else None
            self._spindle_crew = workers.Crew(len(self._workers), ahead)
            self._spindle_rules = batch.Rules(hooks)
        for loader, name in ((connection_loader, 'connection'), (action_loader, 'action')):
            loader.add_directory(os.path.join(PLUGINS, name))
        try:
            hooks.install()
            return super(StrategyMixin, self).run(iterator, play_context)
        finally:
            if self._spindle_crew is not None:
                self._spindle_crew.drop()
            hooks.remove()
            runtime.leave()

    def cleanup(self):
        """End the strategy, also where a worker was killed in the middle of a word."""
        if self._spindle_crew is not None:
            self._spindle_crew.drop()
        if self._tqm.has_dead_workers():
            orphans.free_results(self, self._workers)
        super(StrategyMixin, self).cleanup()

    def _queue_task(self, host, task, task_vars, play_context):
        self._spindle_moved = True
        before = list(self._workers)
        self._spindle_queue(host, task, task_vars, play_context)
        for worker, now in zip(before, self._workers):
            if worker is not None and worker is not now:
                arrivals.check(worker)

    def _spindle_queue(self, host, task, task_vars, play_context):
        queue = super(StrategyMixin, self)._queue_task
        missing, alone = [], True
        if self._spindle_crew is not None and self._spindle_crew.expects(host, task):
            alone = False  # whatever became of the multiplexer: it may have been done already
        elif self._spindle_warmer is not None and not runtime.given_up():
            missing, alone = self._spindle_prepare(task, task_vars)
        if not alone:
            self._spindle_crew.lacks(missing, task_vars)
            with self._spindle_crew.queueing():
                self._spindle_wait_for_place(task, task_vars)
                queue(host, task, task_vars, play_context)
            return
        if self._spindle_crew is not None:
            self._spindle_crew.alone(host)
        if runtime.given_up():
            self._spindle_start()  # what waits must not hold the places
        else:
            self._spindle_wait_for_place(task, task_vars, self._spindle_start)
        if not missing:
            queue(host, task, task_vars, play_context)
            return
        # The first worker that needs them connects while they are put together here.
        promise = closure_mod.Promise()
        try:
            queue(host, task, task_vars, play_context)
        finally:
            try:
                prewarm.put_together(missing, task_vars)
            finally:
                promise.keep()

    def _spindle_wait_for_place(self, task, task_vars, unforked=None):
        """Wait where Ansible would look all the time, at the places that it would look at."""
        places = len(self._workers)
        if getattr(self, 'ALLOW_BASE_THROTTLING', True) and not task.run_once:
            try:
                throttle = int(self._spindle_value(task.throttle, task_vars) or 0)
            except Exception as e:  # Ansible says so next
                log.debug('throttle: %r' % (e,))
                return
            if 0 < throttle < places:
                places = throttle
        first = self._cur_worker if self._cur_worker < places else 0
        # What a release that nobody knows looks at besides, it must be able to see.
        self._spindle_arrivals.wait_for_place(self._workers[:places], first, unforked, once=not selfcheck.known())

    def _wait_on_pending_results(self, *args, **kwargs):
        with self._spindle_waiting():
            return super(StrategyMixin, self)._wait_on_pending_results(*args, **kwargs)

    def _wait_on_handler_results(self, *args, **kwargs):
        with self._spindle_waiting():
            return super(StrategyMixin, self)._wait_on_handler_results(*args, **kwargs)  # up to 2.13

    @contextlib.contextmanager
    def _spindle_waiting(self):
        self._spindle_start()
        self._spindle_waits = True
        try:
            yield
        finally:
            self._spindle_waits = False

    def _process_pending_results(self, *args, **kwargs):
        process = super(StrategyMixin, self)._process_pending_results
        if runtime.given_up() or not self._spindle_arrivals.possible:
            return process(*args, **kwargs)
        if self._spindle_waits:
            self._spindle_arrivals.wait()
            return process(*args, **kwargs)
        if self._pending_results and not (self._spindle_moved or self._spindle_shares):
            # The free strategies look once in each turn, and do not mind workers. A turn in which no host went on can be waited out: until a result
            # comes, or, for a task's throttle, until the worker of an older one is gone.
            before, self._spindle_ending = self._spindle_ending, arrivals.alive(self._workers) > self._pending_results
            self._spindle_arrivals.wait(arrivals.SOON_SECONDS if before or self._spindle_ending else None)
        self._spindle_moved = False
        return process(*args, **kwargs)

    def _spindle_start(self):
        if self._spindle_crew is not None:
            self._spindle_crew.start()

    def _spindle_prepare(self, task, task_vars):
        """Before a fork: warm what the worker needs, and know that there is a multiplexer.

        Returns the modules that are still to be put together, and whether the worker must be alone.
        """
        connects = methods.needs_connection(task.action)
        missing = []
        settings = self._spindle_settings(task, task_vars)
        if connects:
            self._spindle_report(*settings)
            if methods.connection(settings[0] or '') == 'local' and settings[1] == 'sudo':
                tickets.look()
        try:
            self._spindle_warmer.warm_plugins(task)
            missing = self._spindle_warmer.missing(task, task_vars)
            if connects:
                runtime.wait_ready()
        except mux_mod.Unavailable as e:
            give_up(e)
            return [], True
        except Exception as e:  # the worker will meet it again, and report it as the task's
            log.debug('not warmed: %s: %r' % (task.action, e))
        if not _frozen:
            _frozen.append(True)
            gc.collect()
            if hasattr(gc, 'freeze'):
                gc.freeze()
        return missing, self._spindle_alone(task, task_vars, settings)

    def _spindle_alone(self, task, task_vars, settings):
        """Whether this host needs a worker of its own."""
        if self._spindle_crew is None:
            return True
        try:
            objection = self._spindle_rules.objection(task, task_vars, *settings)
        except Exception as e:  # the worker will meet it again, and report it as the task's
            objection = repr(e)
        if objection:
            log.debug('a worker of its own: %s: %s' % (task.action, objection))
        return bool(objection)

    def _spindle_settings(self, task, task_vars):
        """(connection, become method) that a task names, None for what is not known yet or not used."""
        connection = become = None
        try:
            variables = task_vars
            if task.delegate_to:
                variables = (task_vars.get('ansible_delegated_vars') or {}).get(task.delegate_to) or {}
            connection = self._spindle_value(variables.get('ansible_connection') or task.connection, variables)
            becomes = variables.get('ansible_become')
            if becomes or (becomes is None and task.become):
                method = variables.get('ansible_become_method') or task.become_method
                become = compat.plain(self._spindle_value(method, variables) or 'sudo')
        except Exception as e:  # templates that need what only the worker knows
            log.debug('settings not known yet: %r' % (e,))
        return connection, become

    def _spindle_report(self, connection, become):
        """Warn of what is not supported here, where it is said once, and not in every worker."""
        if connection and methods.connection(connection) is None:
            log.warn_once('connection:%s' % connection,
                          texts.UNSUPPORTED % ('the connection type %s' % compat.plain(connection)))
        if become and methods.become(become) is None:
            log.warn_once('become:%s' % become, texts.UNSUPPORTED % ('the become method %s' % become))

    def _spindle_value(self, value, variables):
        if isinstance(value, str) and '{{' in value:
            return Templar(loader=self._loader, variables=variables).template(value)
        return value

    def _execute_meta(self, task, play_context, iterator, target_host):
        self._spindle_moved = True
        if runtime.active() and task.args.get('_raw_params') == 'reset_connection':
            variables = self._variable_manager.get_vars(
                play=iterator._play, host=target_host, task=task,
                _hosts=self._hosts_cache, _hosts_all=self._hosts_cache_all)
            templar = Templar(loader=self._loader, variables=variables)
            runtime.set_meta((variables, variables.get('hostvars'), templar, self._loader.get_basedir()))
            try:
                runtime.wait_ready()
            except mux_mod.Unavailable as e:
                give_up(e)
        try:
            return super(StrategyMixin, self)._execute_meta(task, play_context, iterator, target_host)
        finally:
            runtime.set_meta(None)


def strategy(name):
    """The class that stands for a strategy of Ansible's."""
    base = strategy_loader.get(name, class_only=True)
    own = str.__str__(getattr(base, '_original_path', '')).startswith(os.path.join(os.path.dirname(ansible.__file__), ''))
    shares = name == 'linear'
    return type('StrategyModule', (StrategyMixin, base), {
        '__doc__': base.__doc__, 'spindle_stock': name, '_spindle_shares': shares, '_spindle_foresees': shares and own})
