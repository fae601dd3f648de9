"""One simulator a file. Importing one loads the simulator; ``saccade.envs.env`` does it when asked."""
