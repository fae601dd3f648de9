"""How rare pick-ups are for an agent that acts at random on red_fetch_green, and how hard their rewards are to tell.

    python benchmarks/pick_ups.py [--steps 800000] [--updates 1000] [--threads 1] [--out FILE]

plays that many steps with the options of DQN's small preset, keeps what was seen before every pick-up, and teaches that
preset's Q-network the reward of four fifths of them. The accuracy is the share of the others that lie on the right side
of a half.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import saccade
from saccade.agents.methods.dqn import QNetwork
from saccade.cli.train_command import parse
from saccade.types import Discrete, Spaces

TASK = "minigrid/red_fetch_green"
PICK_UP = 3  # MiniGrid's number of the action
EVERY = 250  # updates between two accuracies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=800_000, help="of random play")
    parser.add_argument("--updates", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config, _ = parse(["dqn", TASK, "--preset", "small"])
    played = dataclasses.asdict(config.env.options)
    env = saccade.make(TASK, frame_stack=config.env.frame_stack, image_size=config.env.image_size, **played)
    generator = np.random.default_rng(0)
    seen, rewards = [], []
    obs, _ = env.reset(seed=0)
    for action in generator.integers(played["num_actions"], size=options.steps):
        before = obs
        obs, reward, terminated, truncated, _ = env.step(int(action))
        if terminated:
            seen.append(np.asarray(before))
            rewards.append(float(reward))
        if terminated or truncated:
            obs, _ = env.reset()
    pictures, targets = torch.tensor(np.stack(seen)).float(), torch.tensor(rewards)
    network = QNetwork(Spaces(tuple(pictures.shape[1:]), Discrete(played["num_actions"])), config.agent.trunk)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.agent.learning_rate)
    taught, accuracy = len(targets) * 4 // 5, {}
    for update in range(options.updates + 1):
        if update % EVERY == 0:
            with torch.no_grad():
                values = network(pictures[taught:])[:, PICK_UP]
            accuracy[update] = float(((values > 0.5) == (targets[taught:] > 0.5)).float().mean())
        chosen = torch.randint(taught, (config.agent.batch_size,))
        loss = F.smooth_l1_loss(network(pictures[chosen])[:, PICK_UP], targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    row = {
        "random_steps": options.steps,
        "pick_ups": len(targets),
        "green": float(targets.mean()),
        "accuracy_by_updates": {str(update): round(share, 4) for update, share in accuracy.items()},
    }
    text = json.dumps(row, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
