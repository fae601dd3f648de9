"""Tasks, one simulator per file. Importing one loads the simulator; ``saccade.envs.make`` does so when needed."""
