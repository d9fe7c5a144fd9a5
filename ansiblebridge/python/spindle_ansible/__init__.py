"""Spindle's side of Ansible: what runs inside ansible-playbook and its workers.

The files below plugins/ are what Ansible loads. They are thin; everything they
do is in this package, which they import by its real name, so that classes are
the same objects wherever they are used.

Ansible keeps doing Ansible's work: it finds modules and their imports, finalises
arguments, picks interpreters and reads results. This package replaces only how
bytes travel and where code runs: every connection ends in the multiplexer
(`spindle serve`), to which a worker speaks over a unix socket.

Where a thing is not supported, the task runs over Ansible's own connection.
"""
