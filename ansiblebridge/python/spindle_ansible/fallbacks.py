"""Files of a closure that only Python 2 would import.

Ansible has a copy of what Python 3 brings along, for targets that lack it. Which files those are is read from the one that imports
them; where that is not understood, every target gets them.
"""
import ast

# What no Python 3 lacks that an agent runs in: its subprocess needs it.
_THERE = ('selectors',)


def only_python2(sources, own):
    """The paths of files that only Python 2 would import, of sources: {path: content} of a whole closure. Own are the paths of those
    that are Ansible's own."""
    found = set()
    for path in own:
        content = sources[path]
        if b'except ImportError' not in content or not any(b'    import ' + name.encode() in content for name in _THERE):
            continue
        for name in set(_not_reached(content)):
            fallback = name.replace('.', '/') + '.py'
            # Whatever may import it by another way than this one has to name it.
            word = name.rpartition('.')[2].encode()
            mentions = sum(text.count(word) for other, text in sources.items() if other != fallback)
            if fallback in own and mentions == _not_reached(content).count(name):
                found.add(fallback)
    return found


def _not_reached(content):
    """The modules that source imports only where none of _THERE can be imported, as often as it does.

    Either right there, `except ImportError`, or behind an `else` that asks whether it was.
    """
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return []
    dead = []
    for node in tree.body:
        if isinstance(node, ast.Try) and len(node.body) == 1 and isinstance(node.body[0], ast.Import):
            alias, = node.body[0].names[:1]
            if len(node.body[0].names) == 1 and alias.name in _THERE:
                dead += node.handlers
                dead += _otherwise(tree, alias.asname or alias.name, node.handlers)
    return ['%s.%s' % (node.module, alias.name) for part in dead for node in ast.walk(part)
            if isinstance(node, ast.ImportFrom) and not node.level for alias in node.names]


def _otherwise(tree, name, handlers):
    """What a module does where a name is false that is given nothing but a module, once, but for what those handlers do."""
    aside = set(id(node) for handler in handlers for node in ast.walk(handler))
    given = [node for node in ast.walk(tree) if id(node) not in aside and _gives(node, name)]
    if len(given) != 1:
        return []
    return [part for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == name
            for part in node.orelse]


def _gives(node, name):
    """Whether a piece of a program may give a name another value: all may that mention it, but for those that ask for its value."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return False
    values = [value for _, value in ast.iter_fields(node)]
    return name in values or '*' in values or any(isinstance(value, list) and name in value for value in values)
