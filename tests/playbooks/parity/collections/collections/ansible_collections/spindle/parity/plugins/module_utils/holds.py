from __future__ import annotations

from ansible.module_utils import embed as holder

words = holder.EmbedManager.embed("ansible_collections.spindle.parity.plugins.module_utils.held", "words.txt")
