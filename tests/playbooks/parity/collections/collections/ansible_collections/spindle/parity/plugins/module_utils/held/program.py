from __future__ import annotations

import sys

from ansible.module_utils.common.text.converters import to_text

if __name__ == "__main__":
    print(to_text(b"<%s>" % sys.argv[1].encode()))
