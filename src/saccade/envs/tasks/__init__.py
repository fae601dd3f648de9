"""One simulator a file. Importing one loads the simulator; ``saccade.envs.make`` does it when asked."""
