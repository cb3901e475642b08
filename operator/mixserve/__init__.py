"""Mixserve: a Kubernetes operator for mixed-model LLM serving.

Every directory below is a room with one kind of content; its docstring says what belongs there and what must not.
`docs/architecture.md` walks through them along the way of the data.
"""

from importlib.metadata import version

__version__ = version("mixserve")
