from .names import NAME

__all__ = ["NAME"]
