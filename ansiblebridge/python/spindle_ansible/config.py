"""Settings by Ansible's own rules of precedence: variables, environment, ini, default.

Connection and become plugins of Ansible bring definitions of their options. For
connection types whose plugins may not be installed, and for doas, the definitions are
here, with the variables that those plugins document.
"""
from ansible import constants as C
from ansible.plugins.loader import become_loader, connection_loader

from spindle_ansible import compat
from spindle_ansible import methods


def _option(*variables, **more):
    found = {'vars': [{'name': name} for name in variables], 'default': None}
    found.update((kind, [{'name': name} for name in names]) for kind, names in more.items() if kind == 'env')
    if 'ini' in more:
        found['ini'] = [{'section': section, 'key': key} for section, key in more['ini']]
    if 'type' in more:
        found['type'] = more['type']
    return found


def _kubectl(names, *env):
    return _option(*names, env=['K8S_AUTH_' + name for name in env])


# Of several variables, the last that is set counts: it is the more special one, as in the plugins' own lists.
OPTIONS = {
    'docker': {
        'host': _option('ansible_host', 'ansible_docker_host'),
        'user': _option('ansible_docker_user'),
        'path': _option('mitogen_docker_path'),
        'extra_args': _option('ansible_docker_extra_args', ini=[('docker_connection', 'extra_cli_args')]),
        'timeout': _option('ansible_timeout', 'ansible_docker_timeout', env=['ANSIBLE_DOCKER_TIMEOUT'],
                           ini=[('docker_connection', 'timeout')]),
        'extra_env': _option('ansible_docker_extra_env'),
        'working_dir': _option('ansible_docker_working_dir', env=['ANSIBLE_DOCKER_WORKING_DIR'],
                               ini=[('docker_connection', 'working_dir')]),
        'privileged': _option('ansible_docker_privileged', env=['ANSIBLE_DOCKER_PRIVILEGED'],
                              ini=[('docker_connection', 'privileged')]),
        'daemon': _option('ansible_docker_docker_host'),
        'tls': _option('ansible_docker_tls'),
        'tlsverify': _option('ansible_docker_validate_certs', 'ansible_docker_tls_verify'),
        'tlscacert': _option('ansible_docker_cacert_path', 'ansible_docker_ca_cert', 'ansible_docker_ca_path'),
        'tlscert': _option('ansible_docker_cert_path', 'ansible_docker_client_cert'),
        'tlskey': _option('ansible_docker_key_path', 'ansible_docker_client_key'),
    },
    'podman': {
        'host': _option('ansible_host', 'ansible_podman_host'),
        'path': _option('mitogen_podman_path', 'ansible_podman_executable', env=['ANSIBLE_PODMAN_EXECUTABLE'],
                        ini=[('defaults', 'podman_executable')]),
        'extra_args': _option('ansible_podman_extra_args', env=['ANSIBLE_PODMAN_EXTRA_ARGS'],
                              ini=[('defaults', 'podman_extra_args')]),
        'timeout': _option('ansible_timeout', 'ansible_podman_timeout', env=['ANSIBLE_PODMAN_TIMEOUT'],
                           ini=[('defaults', 'podman_timeout')]),
        'extra_env': _option('ansible_podman_extra_env'),
        'working_dir': _option('ansible_podman_working_directory'),
        'escalation': _option('ansible_podman_privilege_escalation'),
    },
    'buildah': {
        'host': _option('ansible_host', 'ansible_buildah_host'),
        'path': _option('mitogen_buildah_path', 'ansible_buildah_executable', env=['ANSIBLE_BUILDAH_EXECUTABLE'],
                        ini=[('defaults', 'buildah_executable')]),
        'extra_args': _option('ansible_buildah_extra_args', env=['ANSIBLE_BUILDAH_EXTRA_ARGS'],
                              ini=[('defaults', 'buildah_extra_args')]),
        'timeout': _option('ansible_timeout', 'ansible_buildah_timeout', env=['ANSIBLE_BUILDAH_TIMEOUT'],
                           ini=[('defaults', 'buildah_timeout')]),
        'extra_env': _option('ansible_buildah_extra_env'),
        'working_dir': _option('ansible_buildah_working_directory', env=['ANSIBLE_BUILDAH_WORKING_DIRECTORY']),
        'auto_commit': _option('ansible_buildah_auto_commit'),
    },
    'jail': {
        'host': _option('ansible_host', 'ansible_jail_host'),
        'user': _option('ansible_jail_user'),
        'path': _option('mitogen_jexec_path'),
    },
    'lxc': {
        'host': _option('ansible_host', 'ansible_lxc_host'),
        'path': _option('mitogen_lxc_attach_path'),
    },
    'lxd': {
        'host': _option('ansible_host', 'ansible_lxd_host'),
        'path': _option('mitogen_lxc_path'),
        'remote': _option('ansible_lxd_remote'),
        'project': _option('ansible_lxd_project'),
        'su': _option('lxd_become_method'),
    },
    'incus': {
        'host': _option('ansible_host', 'ansible_incus_host'),
        'path': _option('mitogen_incus_path'),
        'remote': _option('ansible_incus_remote'),
        'project': _option('ansible_incus_project'),
        'su': _option('incus_become_method'),
    },
    'kubectl': {
        'host': _option('ansible_host'),
        'path': _option('mitogen_kubectl_path'),
        'pod': _kubectl(['ansible_kubectl_pod'], 'POD'),
        'extra_args': _kubectl(['ansible_kubectl_extra_args'], 'EXTRA_ARGS'),
        'env': _option('ansible_kubectl_local_env_vars'),
        'container': _kubectl(['ansible_kubectl_container'], 'CONTAINER'),
        'namespace': _kubectl(['ansible_kubectl_namespace'], 'NAMESPACE'),
        'kubeconfig': _kubectl(['ansible_kubectl_kubeconfig', 'ansible_kubectl_config'], 'KUBECONFIG'),
        'context': _kubectl(['ansible_kubectl_context'], 'CONTEXT'),
        'server': _kubectl(['ansible_kubectl_host', 'ansible_kubectl_server'], 'HOST', 'SERVER'),
        'username': _kubectl(['ansible_kubectl_username', 'ansible_kubectl_user'], 'USERNAME'),
        'password': _kubectl(['ansible_kubectl_password'], 'PASSWORD'),
        'token': _kubectl(['ansible_kubectl_token', 'ansible_kubectl_api_key'], 'TOKEN', 'API_KEY'),
        'client_cert': _kubectl(['ansible_kubectl_cert_file', 'ansible_kubectl_client_cert'], 'CERT_FILE'),
        'client_key': _kubectl(['ansible_kubectl_key_file', 'ansible_kubectl_client_key'], 'KEY_FILE'),
        'ca_cert': _kubectl(['ansible_kubectl_ssl_ca_cert', 'ansible_kubectl_ca_cert'], 'SSL_CA_CERT'),
        'validate_certs': _kubectl(['ansible_kubectl_verify_ssl', 'ansible_kubectl_validate_certs'], 'VERIFY_SSL'),
    },
    'doas': {'path': _option('ansible_doas_exe', env=['ANSIBLE_DOAS_EXE'])},
    'su': {'path': _option('ansible_become_exe', 'ansible_su_exe', env=['ANSIBLE_SU_EXE'])},
    'sudo': {
        'path': _option('ansible_become_exe', 'ansible_sudo_exe', env=['ANSIBLE_SUDO_EXE']),
        'flags': _option('ansible_become_flags', 'ansible_sudo_flags'),
    },
    # Every type has these.
    '': {
        'host': _option('ansible_host'),
        'user': _option('ansible_user', env=['ANSIBLE_REMOTE_USER'], ini=[('defaults', 'remote_user')]),
        'password': _option('ansible_password'),
        'timeout': _option('ansible_timeout', env=['ANSIBLE_TIMEOUT'], ini=[('defaults', 'timeout')]),
    },
}

# The same for become plugins that a host on the way may need, which has no plugin object.
BECOME_OPTIONS = {
    'doas': {
        'become_user': _option('ansible_become_user', 'ansible_doas_user', env=['ANSIBLE_BECOME_USER', 'ANSIBLE_DOAS_USER'],
                               ini=[('privilege_escalation', 'become_user'), ('doas_become_plugin', 'user')]),
        'become_exe': _option('ansible_become_exe', 'ansible_doas_exe', env=['ANSIBLE_BECOME_EXE', 'ANSIBLE_DOAS_EXE'],
                              ini=[('privilege_escalation', 'become_exe'), ('doas_become_plugin', 'executable')]),
        'become_flags': _option('ansible_become_flags', 'ansible_doas_flags', env=['ANSIBLE_BECOME_FLAGS', 'ANSIBLE_DOAS_FLAGS'],
                                ini=[('privilege_escalation', 'become_flags'), ('doas_become_plugin', 'flags')]),
        'become_pass': _option('ansible_become_password', 'ansible_become_pass', 'ansible_doas_pass',
                               env=['ANSIBLE_BECOME_PASS', 'ANSIBLE_DOAS_PASS'], ini=[('doas_become_plugin', 'password')]),
        'prompt_l10n': _option('ansible_doas_prompt_l10n', env=['ANSIBLE_DOAS_PROMPT_L10N'],
                               ini=[('doas_become_plugin', 'localized_prompts')], type='list'),
    },
}

_PREFIX = 'spindle_'


def own(method, key, variables, templar=None):
    """One of the options above; None where nobody has set it."""
    return _value('connection', _registered(method, key), key, variables, templar)


def _registered(method, key):
    """The name under which an option's definition stands; that of a method, or that of all."""
    if key not in OPTIONS.get(method, ()):
        method = ''
    return _defined('connection', method, OPTIONS)


def _defined(kind, method, options):
    name = _PREFIX + method
    if not C.config.get_configuration_definitions(kind, name):
        C.config.initialize_plugin_configuration_definitions(kind, name, options[method])
    return name


def plugin(kind, name, key, variables, templar=None):
    """An option of one of Ansible's own plugins (kind connection or become); KeyError where it has no such option."""
    return _value(kind, _loaded(kind, name), key, variables, templar)


def _loaded(kind, name):
    loader = {'connection': connection_loader, 'become': become_loader}[kind]
    found = loader.get(name, class_only=True)
    if found is None and kind == 'become' and methods.become(name) in BECOME_OPTIONS:
        return _defined(kind, methods.become(name), BECOME_OPTIONS)
    return getattr(found, '_load_name', name)


def knows(kind, name, key):
    """Whether a plugin is installed, or is one of those above, and has such an option."""
    return key in C.config.get_configuration_definitions(kind, _loaded(kind, name))


def placeholder(kind, name, key):
    """A default that stands in the plugin's manual only, as the plugin itself asks the play context; None where there is none such.

    Up to ansible-core 2.10, that of ssh says so of its host ('inventory_hostname', and no variable of that name is looked at) and port (22).
    """
    if key not in ('host', 'port'):
        return None
    definitions = C.config.get_configuration_definitions(kind, _loaded(kind, name))
    if 'inventory_hostname' in [entry['name'] for entry in definitions.get('host', {}).get('vars') or ()]:
        return None
    return definitions.get(key, {}).get('default')


def origin(kind, name, key, variables, templar=None):
    """Where an option's value comes from, as Ansible says it; kind is connection, become, or own for those above."""
    if kind == 'own':
        kind, name = 'connection', _registered(name, key)
    else:
        name = _loaded(kind, name)
    if key not in C.config.get_configuration_definitions(kind, name):
        return None
    value, found = C.config.get_config_value_and_origin(
        key, plugin_type=kind, plugin_name=name, variables=_given(kind, name, key, variables, templar))
    return None if value is None else compat.plain(found)


def _given(kind, name, key, variables, templar):
    """The variables that an option looks at, as far as they are set."""
    entries = C.config.get_configuration_definitions(kind, name)[key].get('vars') or ()
    return compat.templates_of(templar, variables, [entry['name'] for entry in entries])


def _value(kind, name, key, variables, templar):
    return C.config.get_config_value(
        key, plugin_type=kind, plugin_name=name, variables=_given(kind, name, key, variables, templar))


def has_command_line(method, name):
    """Whether an option of a connection plugin has what the command line says in it, as in releases from 2.11 on."""
    try:
        return bool(C.config.get_configuration_definitions('connection', method)[name].get('cli'))
    except (KeyError, AttributeError):
        return False
