#!/usr/bin/python
from __future__ import annotations

import subprocess
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import get_env_with_pythonpath
from ansible.module_utils.embed import EmbedManager as Held

from ..module_utils.holds import words as of_another

program = Held.embed("..module_utils.held", "program.py")
words = Held.embed("..module_utils.held", "words.txt")


def main():
    m = AnsibleModule(argument_spec=dict(word=dict()))
    out = {}
    for name, resource in (("words", words), ("of_another", of_another)):
        with resource.path_context_manager as path:
            out[name] = [path.read_text(encoding="utf-8"), path.suffix, resource.resource, resource.package]
    with program.path_context_manager as path:
        out["by_path"] = m.run_command([sys.executable, str(path), m.params["word"]], environ_update=get_env_with_pythonpath())
    argv = [sys.executable, "-m", program.python_module_ref, m.params["word"]]
    out["by_name"] = subprocess.check_output(argv, env=get_env_with_pythonpath(), text=True)
    m.exit_json(**out)


if __name__ == "__main__":
    main()
