"""What differs between versions of ansible-core, found by probing it.

Probes look for features, not for version numbers, so that a release in between
behaves as what it is.
"""
import importlib
import inspect
import json

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.executor import module_common

HAS_BUILT_MODULE = hasattr(module_common, '_BuiltModule')
FINDER_PARAMETERS = inspect.signature(module_common.recursive_finder).parameters
SHEBANG_PARAMETERS = inspect.signature(module_common._get_shebang).parameters
ADD_MODULE_PARAMETERS = inspect.signature(module_common._add_module_to_zip).parameters


def _auto_modes():
    """The values that ask for discovery. Newer releases have no legacy modes: there they name a program."""
    for known in module_common._get_shebang.__code__.co_consts:
        if isinstance(known, (tuple, frozenset)) and 'auto' in known:
            return known
    return ('auto', 'auto_silent', 'auto_legacy', 'auto_legacy_silent')


AUTO_MODES = _auto_modes()


def optional(module, name):
    """An attribute of a module, or None where either does not exist."""
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


Origin = optional('ansible._internal._datatag._tags', 'Origin')
ExtensionManager = optional('ansible._internal._ansiballz._builder', 'ExtensionManager')
get_module_encoder = optional('ansible.module_utils.common.json', 'get_module_encoder')
Direction = optional('ansible.module_utils.common.json', 'Direction')
EncryptedString = optional('ansible.parsing.vault', 'EncryptedString')
_Omitted = optional('ansible.errors', 'AnsibleValueOmittedError') or ()  # what a template is that comes to `omit`, in later releases
_Trusted = optional('ansible._internal._datatag._tags', 'TrustedAsTemplate')
UnsafeText = optional('ansible.utils.unsafe_proxy', 'AnsibleUnsafeText') if not HAS_BUILT_MODULE else None
DEFERS_WARNINGS = optional('ansible._internal._display_utils', 'DeferredWarningContext') is not None
_secrets = optional('ansible.module_utils', 'secrets')
_learned = []
_OMIT = object()


def extract_interpreter(data):
    """The interpreter that a module's first line names, with its arguments; releases up to 2.10 never ask."""
    extract = getattr(module_common, '_extract_interpreter', None)
    interpreter, arguments = extract(data) if extract else (None, [])
    return interpreter or '/usr/bin/python', list(arguments)


def shebang(interpreter, variables, templar, arguments, remote_is_local):
    """The interpreter line that Ansible makes of a module's; may ask for discovery."""
    given = {'remote_is_local': remote_is_local} if 'remote_is_local' in SHEBANG_PARAMETERS else {}
    line, path = module_common._get_shebang(interpreter, variables, templar, tuple(arguments), **given)
    return line or '#!%s' % path


def encode_arguments(module_name, module_args, profile):
    """The JSON text which the running version would hand to a module."""
    params = {'ANSIBLE_MODULE_ARGS': module_args}
    try:
        if get_module_encoder is not None and HAS_BUILT_MODULE:
            return json.dumps(params, cls=get_module_encoder(profile, Direction.CONTROLLER_TO_MODULE))
        from ansible.parsing.ajson import AnsibleJSONEncoder
        return json.dumps(params, cls=AnsibleJSONEncoder, vault_to_text=True)
    except TypeError as e:
        if HAS_BUILT_MODULE:
            raise AnsibleError('Failed to serialize arguments for the %r module.' % (module_name,)) from e
        raise AnsibleError('Unable to pass options to module, they must be JSON serializable: %s' % e)


def masks_secrets():
    """Whether this release masks secrets wherever they turn up."""
    return hasattr(_secrets, '_secret_masker')


def learn_secrets():
    """From now on, note the secrets that this process learns, in releases that mask them."""
    masker = getattr(_secrets, '_secret_masker', None)
    if masker is not None:
        _learned.append(masker.track_new_secrets())


def tell_secrets(context):
    """Have a task's first message tell the main process all that others of this process have learned: theirs may come later."""
    tracker = getattr(context, '_new_secrets', None)
    for learned in _learned:
        if tracker is not None:
            tracker._new_secrets.update(learned._new_secrets)


def secrets_in(encoded):
    """The secrets that arguments hold, for versions which tell their modules; None elsewhere."""
    masker = getattr(_secrets, '_secret_masker', None)
    if masker is None:
        return None
    return sorted(masker.secrets_in_json(encoded))


def built_module(payload, shebang, path, profile):
    """The return value of ActionBase._configure_module."""
    if HAS_BUILT_MODULE:
        return module_common._BuiltModule(
            b_module_data=payload, module_style='new', shebang=shebang, serialization_profile=profile), path
    return 'new', shebang, payload, path


def fact_text(value):
    """A text that is put into facts: marked as unsafe where that is done by type."""
    return UnsafeText(value) if UnsafeText is not None else value


def template(templar, value, omitted=None):
    """A templated value; strings without templates are left alone. omitted is what counts where it is not to count."""
    if templar is None or not isinstance(value, str) or '{' not in value:
        return _kept(value, omitted)
    return _templated(templar, value, omitted)


def template_whole(templar, value, omitted=None):
    """The same of what may be no text: dictionaries and lists with templates in them and, in later releases, what is encrypted."""
    if templar is None or value is None or isinstance(value, (bool, int, float, str)):
        return template(templar, value, omitted)
    return _templated(templar, value, omitted)


def templates_of(templar, variables, names):
    """The templated values of those variables that are set, and are not to be left out."""
    found = dict((name, template_whole(templar, variables[name], _OMIT)) for name in names if name in variables)
    return dict((name, value) for name, value in found.items() if value is not _OMIT)


def _templated(templar, value, omitted):
    try:
        found = templar.template(value)
    except _Omitted:
        return omitted
    return _kept(found, omitted)


def _kept(value, omitted):
    """A value, unless it is what `omit` is in earlier releases."""
    return omitted if isinstance(value, str) and value.startswith('__omit_place_holder__') else value


def config_value(name, variables, default=None):
    """A setting of Ansible as these variables see it."""
    try:
        return C.config.get_config_value(name, variables=variables)
    except (AnsibleError, KeyError):
        return default


def plain(value):
    """A text without the classes that Ansible puts on texts."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode('utf-8', 'surrogateescape')
    text = value if isinstance(value, str) else str(value)
    return str.__str__(text)


def plain_tree(value):
    """JSON-able data without the classes that Ansible puts on it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return dict((plain(k), plain_tree(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return [plain_tree(v) for v in value]
    return plain(value)


def tells_become():
    """Whether a connection that loop items share is told of each item's become. Before ansible-core 2.11, it keeps the first item's."""
    executor = optional('ansible.executor.task_executor', 'TaskExecutor')
    return hasattr(executor, '_set_become_plugin')


def default_of(thing, name):
    """What a field of a task is where nobody says anything."""
    fields = getattr(type(thing), 'fattributes', None)
    return (fields if fields is not None else thing._valid_attrs)[name].default


def _keeps_condition_errors():
    executor = optional('ansible.executor.task_executor', 'TaskExecutor')
    return hasattr(executor, '_execute_internal') or 'condname' in executor._execute.__code__.co_varnames


# Looked at before anything is put in that method's place.
_KEEPS_CONDITION_ERRORS = _keeps_condition_errors()


def keeps_condition_errors():
    """Whether a changed_when or failed_when that cannot be evaluated makes a result of its item's. In 2.10, it ends the loop."""
    return _KEEPS_CONDITION_ERRORS


def templates_twice():
    """Whether a template that another template has come to is one, too: before it was known of each text who has written it."""
    return not HAS_BUILT_MODULE


def may_be_template(text):
    """Whether a text can be one: it is not marked as unsafe, or, in later releases, it is marked as trusted."""
    if _Trusted is not None:
        return _Trusted.is_tagged_on(text)
    return not getattr(text, '__UNSAFE__', False)


def hides_template(value):
    """Whether a value that is no text yet may come to a template: what is encrypted, in releases that have a class for it which tells."""
    return EncryptedString is not None and isinstance(value, EncryptedString)


def unparsed(action, found, words):
    """What a module's answer comes to that is none, in words of ours: found is a command's result."""
    if not HAS_BUILT_MODULE:
        data = action._parse_returned_data(found)
    else:
        data = action._parse_returned_data(found, 'legacy')
        if not isinstance(data, dict):
            data.remove_internal_keys()
            data = data.as_result_dict(for_round_trip=True)
    return dict(data, msg=words)
