from .inner import NAME

__all__ = ["NAME"]
