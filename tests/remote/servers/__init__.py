"""Object stores on this machine, each in a process of its own, for tests of what reaches them over the network.

`servers.fixtures` starts each on its first use and stops it at the end. A test gets a `Place`: an empty bucket, what it
takes to reach it through fsspec, and a back door to its objects. The three that create only what is not there yet are
``s3`` (moto), ``azure`` (azurite) and ``gcs`` (a strict fake of our own); ``rclone_s3`` and ``gcs_emulator`` take the
condition and ignore it: they are what a careful client must refuse.
"""

from __future__ import annotations

from servers.place import BackDoor, ObjectServer, Place
from servers.process import ServerProcess

__all__ = ["BackDoor", "ObjectServer", "Place", "ServerProcess"]
