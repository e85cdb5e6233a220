"""kubectl localize: a cluster's Services on this machine, at their own names and ports.

`__version__` is the only place where the version stands: the wheel, the archives and `version` take it from here.
"""

__version__ = "0.1.0"
