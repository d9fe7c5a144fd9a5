"""Ansible's source as it travels: without the lines that only hold a comment, and, of its own files, without what documents them.

That is two fifths of what a module needs, compressed, and most of a module itself. Empty lines stand in their places, so whatever
names a line of the code names the same one as ever.
"""
import re

_COMMENT = br'(?P<comment>^[ \t]*\#[^\n]*)'

# A string that begins a line. If it also ends one, and is no part of something longer, then it does nothing: it is a docstring, or says
# what was assigned above it.
_TEXT = (
    br'(?P<open>^[ \t]*[rR]?(?P<quotes>"""|' + b"'''" + br'))'
    br'(?P<text>(?:\\.|[^\\])*?)(?P<close>(?P=quotes))')

# What ansible-doc shows of a module.
_DOCUMENT = (
    br'(?P<name>^(?:DOCUMENTATION|EXAMPLES|RETURN)[ ]*=[ ]*[rR]?(?P<marks>"""|' + b"'''" + br'))'
    br'(?P<shown>(?:\\.|[^\\])*?)(?P<end>(?P=marks))')

# Strings, as a # in one begins nothing, and comments behind code, which tracebacks show.
_REST = (
    br'|\#[^\n]*'
    br'|"""(?:\\.|[^\\])*?"""'
    br"|'''(?:\\.|[^\\])*?'''"
    br'|"(?:\\.|[^"\\\n])*"'
    br"|'(?:\\.|[^'\\\n])*'")

_END = re.compile(br'[ \t]*(?:\#[^\n]*)?$', re.MULTILINE)
_COMMENTS = re.compile(_COMMENT + _REST, re.DOTALL | re.MULTILINE)
_ALL = re.compile(_COMMENT + b'|' + _TEXT + b'|' + _DOCUMENT + _REST, re.DOTALL | re.MULTILINE)


def source(content, documents=False):
    """Python source with empty lines in the place of comments, and of docstrings and documentation where nobody reads those.

    Comments on the first two lines stay: they may say how to run the file, and what encoding it has.
    """
    third = content.find(b'\n', content.find(b'\n') + 1) + 1
    if not third:
        return content
    code, at, depth = [], 0, 0  # what is not looked at yet of it, up to where, and how many brackets were open before

    def lean(token):
        nonlocal at, depth
        kind = token.lastgroup
        code.append(content[at:token.start()])
        at = token.end()
        if kind == 'comment':
            return b'' if token.start() >= third else token.group()
        if kind == 'end' and _END.match(content, at):
            return token.group('name') + b'\n' * token.group('shown').count(b'\n') + token.group('end')
        if kind == 'close' and _END.match(content, at):
            # In brackets, or behind a backslash, it is a part of something.
            between = b''.join(code)
            del code[:]
            depth += sum(map(between.count, b'([{')) - sum(map(between.count, b')]}'))
            if depth == 0 and not between.endswith(b'\\\n'):
                # Not empty: dataclasses would make one up.
                return token.group('open') + b'-' + b'\n' * token.group('text').count(b'\n') + token.group('close')
        return token.group()

    return (_ALL if documents else _COMMENTS).sub(lean, content)
