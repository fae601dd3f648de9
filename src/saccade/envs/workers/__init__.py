"""Many environments in processes."""

from saccade.moved import looking_up

__getattr__ = looking_up("envs.workers")  # the folder has the name of a former module
