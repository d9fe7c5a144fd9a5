"""Ansible's source as it travels: without the lines that only hold a comment, and, of its own files, without what documents them.

That is more than a third of what a module needs, compressed, and most of a module itself. Empty lines stand in their places, so whatever
names a line of the code names the same one as ever.
"""
import re

_COMMENT = br'(?P<comment>^[ \t]*\#[^\n]*)'

# The line of a def or a class, or the last one of several, and the string that is alone on the lines behind it.
_DOCSTRING = (
    br'(?P<head>^[ \t]*(?:(?:async[ ]+def|def|class)\b|\))[^\n]*:[ \t]*(?:\#[^\n]*)?\n[ \t]*)'
    br'(?P<open>[rR]?(?P<quotes>"""|' + b"'''" + br'))(?P<doc>(?:\\.|[^\\])*?)(?P<close>(?P=quotes))')

# What ansible-doc shows of a module.
_DOCUMENT = (
    br'(?P<name>^(?:DOCUMENTATION|EXAMPLES|RETURN)[ ]*=[ ]*[rR]?(?P<marks>"""|' + b"'''" + br'))'
    br'(?P<text>(?:\\.|[^\\])*?)(?P<end>(?P=marks))')

# Strings, as a # in one begins nothing, and comments behind code, which tracebacks show.
_REST = (
    br'|\#[^\n]*'
    br'|"""(?:\\.|[^\\])*?"""'
    br"|'''(?:\\.|[^\\])*?'''"
    br'|"(?:\\.|[^"\\\n])*"'
    br"|'(?:\\.|[^'\\\n])*'")

_END = re.compile(br'[ \t]*$', re.MULTILINE)
_COMMENTS = re.compile(_COMMENT + _REST, re.DOTALL | re.MULTILINE)
_ALL = re.compile(_COMMENT + b'|' + _DOCSTRING + b'|' + _DOCUMENT + _REST, re.DOTALL | re.MULTILINE)


def source(content, documents=False):
    """Python source with empty lines in the place of comments, and of docstrings and documentation where nobody reads those.

    The first two lines stay: they may say how to run the file, and what encoding it has.
    """
    third = content.find(b'\n', content.find(b'\n') + 1) + 1
    if not third:
        return content

    def lean(token):
        if token.start() >= third:
            if token.lastgroup == 'comment':
                return b''
            if token.lastgroup == 'end' and _END.match(content, token.end()):
                return token.group('name') + b'\n' * token.group('text').count(b'\n') + token.group('end')
            if token.lastgroup == 'close' and _END.match(content, token.end()):
                # Not empty: dataclasses would make one up.
                lines = token.group('doc').count(b'\n')
                return token.group('head') + token.group('open') + b'-' + b'\n' * lines + token.group('close')
        return token.group()

    return (_ALL if documents else _COMMENTS).sub(lean, content)
