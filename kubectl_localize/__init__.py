"""kubectl localize: a cluster's Services on this machine, at their own names and ports.

`__version__` is the only place that holds the version: the wheel, the archives and `version` read it here.
"""

__version__ = "0.1.0"
