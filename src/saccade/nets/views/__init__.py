"""Views of networks: tapped, guided or rewired, with the same parameters."""

from saccade.moved import looking_up

__getattr__ = looking_up("nets.views")  # the folder has the name of a former module
