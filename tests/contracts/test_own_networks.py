"""Any network: what it gives is found where a person, or CleanRL's habits, say; and mistakes get one sentence."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from foreign_policies import ACTIONS, BOX, RGB, STACK, pictures, randomised, write_files
from safetensors.torch import save_file
from torch import Tensor, nn

from saccade.data.user_code import from_file
from saccade.policies.load import load_any
from saccade.policies.policy import Policy
from saccade.policies.sources.checkpoint import from_checkpoint
from saccade.policies.sources.module import from_module
from saccade.policies.sources.weights import fit, same_weights
from saccade.types import UserError

RGB_FIRST = gymnasium.spaces.Box(0, 255, (3, 36, 36), np.uint8)
LOW, HIGH = torch.as_tensor(BOX.low), torch.as_tensor(BOX.high)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)


class Envs:
    """What CleanRL's scripts make their networks with: vectorised, so the plain action space is a batch."""

    def __init__(self, observations: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> None:
        self.single_observation_space, self.single_action_space = observations, actions
        self.action_space = gymnasium.vector.utils.batch_space(actions, 1)


def trained(
    what: str, observations: gymnasium.Space[Any] = STACK, actions: gymnasium.Space[Any] = ACTIONS
) -> nn.Module:
    return randomised(from_file(what)(Envs(observations, actions)))


def loaded(what: str, observations: gymnasium.Space[Any] = STACK, actions: Any = ACTIONS, **options: Any) -> Policy:
    return from_checkpoint(what, Path("weights.pt"), observations, actions, device="cpu", **options)


@torch.no_grad()
def computed(policy: Policy, obs: Tensor) -> dict[str, Tensor]:
    return {name: output(policy.network, obs) for name, output in policy.outputs.items()}


def test_ppo_agent() -> None:
    agent = trained("ppo.py:Agent")
    torch.save(agent.state_dict(), "weights.pt")
    policy, obs = loaded("ppo.py:Agent"), torch.as_tensor(pictures(STACK)).float()
    before = torch.random.get_rng_state()
    found = computed(policy, obs)
    assert torch.equal(torch.random.get_rng_state(), before)  # no action was drawn
    hidden = agent.network(obs / 255)
    torch.testing.assert_close(found, {"logits": agent.actor(hidden), "value": agent.critic(hidden)[:, 0]})
    np.testing.assert_array_equal(policy.act(pictures(STACK)), agent.actor(hidden).argmax(-1).numpy())


def test_channels_come_back_where_the_network_wants_them() -> None:
    agent = trained("ppo.py:ChannelsLast", RGB)
    torch.save(agent.state_dict(), "weights.pt")
    policy, obs = loaded("ppo.py:ChannelsLast", RGB), pictures(RGB)
    inside = policy.tensor(obs)
    assert inside.shape == (5, 3, 36, 36)
    expected = agent.actor(agent.network(inside / 255))
    torch.testing.assert_close(computed(policy, inside)["logits"], expected)
    np.testing.assert_array_equal(policy.act(obs), expected.argmax(-1).numpy())


def test_continuous_ppo_agent() -> None:
    agent = trained("continuous.py:Agent", RGB_FIRST, BOX)
    torch.save(agent.state_dict(), "weights.pt")
    policy, obs = loaded("continuous.py:Agent", RGB_FIRST, BOX), torch.as_tensor(pictures(RGB_FIRST)).float()
    mean = agent.actor_mean(obs / 255)
    expected = {"action": mean, "mean": mean, "log_std": agent.actor_logstd.expand(5, 2)}
    torch.testing.assert_close(computed(policy, obs), expected | {"value": agent.critic(obs / 255)[:, 0]})
    np.testing.assert_array_equal(policy.act(pictures(RGB_FIRST)), mean.clamp(LOW, HIGH).detach().numpy())


def test_deterministic_actor_out_of_a_tuple_of_state_dicts() -> None:
    actor = trained("continuous.py:Actor", RGB_FIRST, BOX)
    torch.save((nn.Linear(2, 2).state_dict(), actor.state_dict(), {"other": torch.zeros(1)}), "weights.pt")
    policy, obs = loaded("continuous.py:Actor", RGB_FIRST, BOX), torch.as_tensor(pictures(RGB_FIRST)).float()
    torch.testing.assert_close(computed(policy, obs), {"action": actor(obs)})
    np.testing.assert_array_equal(policy.act(pictures(RGB_FIRST)), actor(obs).detach().clamp(LOW, HIGH).numpy())


def test_squashed_gaussian_actor() -> None:
    actor = trained("continuous.py:SquashedActor", RGB_FIRST, BOX)
    torch.save({"step": 3, "actor": actor.state_dict()}, "weights.pt")
    policy, obs = loaded("continuous.py:SquashedActor", RGB_FIRST, BOX), torch.as_tensor(pictures(RGB_FIRST)).float()
    mean, log_std = actor(obs / 255)
    before = torch.random.get_rng_state()
    torch.testing.assert_close(computed(policy, obs), {"mean": mean, "log_std": log_std, "action": mean.tanh()})
    assert torch.equal(torch.random.get_rng_state(), before)
    expected = actor.get_action(obs)[1].detach().numpy()
    np.testing.assert_allclose(policy.act(pictures(RGB_FIRST)), expected, rtol=1e-5, atol=1e-6)


def test_q_network() -> None:
    network = trained("q.py:QNetwork")
    torch.save(network.state_dict(), "weights.pt")
    policy, obs = loaded("q.py:QNetwork"), torch.as_tensor(pictures(STACK)).float()
    torch.testing.assert_close(computed(policy, obs), {"q_values": network(obs)})
    np.testing.assert_array_equal(policy.act(pictures(STACK)), network(obs).argmax(-1).numpy())


def test_actor_of_discrete_actions() -> None:
    network = trained("q.py:DiscreteActor")
    torch.save(network.state_dict(), "weights.pt")
    policy, obs = loaded("q.py:DiscreteActor"), torch.as_tensor(pictures(STACK)).float()
    before = torch.random.get_rng_state()
    torch.testing.assert_close(computed(policy, obs), {"logits": network.get_action(obs)[1]})
    torch.random.set_rng_state(before)
    computed(policy, obs)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_classes_may_be_made_with() -> None:
    q_network = from_file("q.py:QNetwork")(Envs(STACK, ACTIONS)).state_dict()
    torch.save(q_network, "weights.pt")
    assert set(loaded("q.py:Spaces").outputs) == {"q_values"}
    torch.save({**q_network, "shape": torch.zeros(4, 36, 36)}, "weights.pt")
    assert set(loaded("q.py:Plane").outputs) == {"q_values"}
    torch.save({**q_network, "shape": torch.zeros(1, 4, 36, 36)}, "weights.pt")
    assert set(loaded("q.py:Plane").outputs) == {"q_values"}


def test_weights_in_other_containers() -> None:
    network = trained("q.py:QNetwork")
    obs = torch.as_tensor(pictures(STACK)).float()
    save_file(network.state_dict(), "weights.safetensors")
    torch.save({f"_orig_mod.{name}": value for name, value in network.state_dict().items()}, "compiled.pt")
    for file in ("weights.safetensors", "compiled.pt"):
        policy = from_checkpoint("q.py:QNetwork", Path(file), STACK, ACTIONS, device="cpu")
        torch.testing.assert_close(computed(policy, obs)["q_values"], network(obs))


def test_outputs_named_by_the_person() -> None:
    policy = load_any(
        policy="q.py:ready",
        observation_space=STACK,
        action_space=ACTIONS,
        output=("logits=policy", "value=method:judged", "q_values=module:policy"),
        device="cpu",
    )
    network, obs = policy.network, torch.as_tensor(pictures(STACK)).float()
    expected = network(obs)
    found = computed(policy, obs)
    assert torch.equal(found["logits"], expected["policy"])
    assert torch.equal(found["q_values"], expected["policy"])
    assert torch.equal(found["value"], expected["heads"][0][:, 0])


class Net(nn.Module):
    """Mean and spread in a tuple; a critic of observation and action; a spread that is a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(3 * 36 * 36, 6), nn.ReLU())
        self.heads = nn.ModuleDict({"mean": nn.Linear(6, 2), "spread": nn.Linear(6, 2), "unused": nn.Linear(1, 2)})
        self.spread = nn.Parameter(torch.tensor([0.5, -0.5]))
        self.judge = nn.Linear(8, 1)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(obs / 255)
        return self.heads["mean"](hidden), self.heads["spread"](hidden)

    def q(self, obs: Tensor, action: Tensor) -> dict[str, Tensor]:
        return {"q": self.judge(torch.cat([self.trunk(obs / 255), action], -1))}

    def blind(self, obs: Tensor) -> Tensor:
        return obs.mean((1, 2, 3)) / 0


class Twice(Net):
    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(obs)[0], super().forward(obs)[1]


def test_every_kind_of_source() -> None:
    network = randomised(Net())
    output = {"mean": "0", "log_std": "parameter:spread", "q": "method:q:q", "action": "module:heads.spread"}
    with pytest.raises(UserError, match=r"value of shape \(6,\) for 2 observations; \(2,\) is needed"):
        from_module(network, RGB, BOX, {**output, "value": "module:trunk.1:0"})
    policy, obs = from_module(network, RGB, BOX, output), pictures(RGB)
    assert policy.name == "Net"
    inside = policy.tensor(obs)
    given = network(inside.movedim(1, -1))
    assert torch.equal(policy.outputs["mean"](network, inside), given[0])
    assert torch.equal(policy.outputs["action"](network, inside), given[1])
    assert torch.equal(policy.outputs["log_std"](network, inside), network.spread.expand(5, 2))
    expected = network.q(inside.movedim(1, -1), given[1])["q"][:, 0]
    assert torch.equal(policy.outputs["q"](network, inside, given[1]), expected)
    np.testing.assert_array_equal(policy.act(obs), given[1].clamp(LOW, HIGH).detach().numpy())
    assert not policy.network.training


def test_a_mean_is_the_action_and_pixels_may_be_given() -> None:
    network = randomised(Net())
    pixels = from_module(network, RGB, BOX, {"mean": "0"}).pixels
    policy = from_module(network, pixels, BOX, {"mean": "0"}, to_env=lambda action: action * 100, name="mine")
    expected = network(torch.as_tensor(pictures(RGB)).float())[0] * 100
    np.testing.assert_array_equal(policy.act(pictures(RGB)), expected.detach().numpy())


def test_a_compiled_network_is_unwrapped() -> None:
    network = Net()
    policy = from_module(torch.compile(network, backend="eager"), RGB, BOX, {"mean": "0"})
    assert policy.network is network


def test_capturing_leaves_no_trace() -> None:
    network = Net()
    policy = from_module(network, RGB, BOX, {"mean": "module:heads.mean"})
    computed(policy, policy.tensor(pictures(RGB)))
    for module in network.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
    assert network.heads["mean"] is network.get_submodule("heads.mean")


@pytest.mark.parametrize(
    ("actions", "output", "message"),
    [
        (BOX, "logits", r"Box actions cannot have 'logits': its outputs are among mean"),
        (BOX, {"value": "0"}, "must have action"),
        (BOX, {"colour": "0"}, "no output 'colour': choose from logits"),
        (ACTIONS, {"value": "0"}, "must have logits or q_values"),
        (ACTIONS, {"logits": "0"}, r"logits of shape \(2, 2\) for 2 observations; \(2, 3\) .* there are 3 actions"),
        (BOX, "mean", "gives mean as tuple.* such as mean=0"),
        (BOX, {"mean": "2"}, "cannot compute .* IndexError"),
        (BOX, {"mean": "module:head"}, "no submodule 'head'; it has trunk, heads, judge"),
        (BOX, {"mean": "module:heads.unused"}, "runs its submodule 'heads.unused' 0 times"),
        (BOX, {"mean": "method:act"}, "no method or submodule 'act'"),
        (BOX, {"mean": "parameter:bias"}, "no parameter 'bias'"),
        (BOX, {"mean": "layer:trunk"}, "'layer:trunk' is not a source"),
        (BOX, {"mean": "0", "value": "method:blind"}, "gives value that are NaN or infinite"),
        (gymnasium.spaces.MultiDiscrete([2, 3]), "logits", "MultiDiscrete space"),
    ],
)
def test_outputs_that_cannot_be(actions: gymnasium.Space[Any], output: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_module(Net(), RGB, actions, output)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (gymnasium.spaces.Dict({"image": RGB}), "Dict space; only policies that see one Box of pixels"),
        (gymnasium.spaces.Box(-1, 1, (3, 36, 36), np.float32), "not pictures"),
        (gymnasium.spaces.Box(0, 255, (36, 36, 36), np.uint8), "--layout channels_first"),
        (gymnasium.spaces.Box(0, 255, (20, 36, 3), np.uint8), "cannot compute mean.* of shape"),
    ],
)
def test_observations_that_cannot_be_explained(space: gymnasium.Space[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_module(Net(), space, BOX, {"mean": "0"})


def test_a_submodule_that_runs_twice_is_not_an_output() -> None:
    with pytest.raises(UserError, match="runs its submodule 'trunk' 2 times"):
        from_module(Twice(), RGB, BOX, {"mean": "module:trunk"})


def test_a_checkpoint_that_does_not_fit_names_the_differences() -> None:
    state = trained("ppo.py:Agent").state_dict()
    state["actor.gain"] = state.pop("actor.bias")
    state["critic.weight"] = torch.zeros(1, 9)
    torch.save((state, {"far": torch.zeros(1)}), "weights.pt")
    with pytest.raises(
        UserError,
        match=r"^weights.pt does not fit Agent: missing: actor.bias; unexpected: actor.gain; "
        r"of another shape: critic.weight \(1, 9\) instead of \(1, 8\)\.$",
    ):
        loaded("ppo.py:Agent")


def test_a_pickle_needs_trust() -> None:
    network = trained("q.py:QNetwork")
    torch.save(network, "weights.pt")
    with pytest.raises(UserError, match=r"holds more than weights.* --trust"):
        loaded("q.py:QNetwork")
    policy, obs = loaded("q.py:QNetwork", trust=True), torch.as_tensor(pictures(STACK)).float()
    torch.testing.assert_close(computed(policy, obs)["q_values"], network(obs))


def test_checkpoints_that_are_none() -> None:
    Path("text.pt").write_text("hello")
    Path("empty.pt").write_bytes(b"")
    Path("text.safetensors").write_text("hello")
    torch.save({"step": 3}, "step.pt")
    torch.save(trained("q.py:QNetwork").state_dict(), "whole.pt")
    Path("cut.pt").write_bytes(Path("whole.pt").read_bytes()[:-900])
    expected = {
        "text.pt": "damaged",
        "empty.pt": "damaged",
        "text.safetensors": "damaged",
        "cut.pt": "damaged",
        "step.pt": "holds no state dict",
        "none.pt": "cannot be read: No such file",
        "none.safetensors": "cannot be read: No such file",
    }
    for file, message in expected.items():
        for trust in (False, True):
            with pytest.raises(UserError, match=f"{file}.* {message}"):
                from_checkpoint("q.py:QNetwork", Path(file), STACK, ACTIONS, trust=trust)


def different(what: str = "q.py:QNetwork") -> dict[str, Tensor]:
    return randomised(trained(what), seed=1).state_dict()


def test_which_of_several_weights_is_chosen_and_said() -> None:
    online, target = trained("q.py:QNetwork").state_dict(), different()
    whole = {"steps": 5, "agent": {"target": target, "online": online}, "best": [online], "actor": {"w": torch.ones(1)}}
    for file, saved, names in (
        ("both.pt", {"target": target, "online": online}, ("target", "online")),
        ("turned.pt", {"online": online, "target": target}, ("online", "target")),
        ("pair.pt", (online, target), ("0", "1")),
        ("whole.pt", whole, ("agent.target", "agent.online", "best.0")),
    ):
        torch.save(saved, file)
        asked = " or ".join(f"{file}:{name}" for name in names)
        with pytest.raises(UserError, match=rf"Several state dicts fit QNetwork.*say which one you mean, {asked}\."):
            from_checkpoint("q.py:QNetwork", Path(file), STACK, ACTIONS)
        for name in names:
            expected = target if name in ("target", "agent.target") or (file, name) == ("pair.pt", "1") else online
            policy = load_any(
                f"{file}:{name}", policy="q.py:QNetwork", observation_space=STACK, action_space=ACTIONS, device="cpu"
            )
            assert policy.source == f"{file}:{name} (q_values)"
            for weight, value in policy.network.state_dict().items():
                assert torch.equal(value, expected[weight]), (file, name)


def test_the_only_weights_that_fit_are_named() -> None:
    network = trained("q.py:QNetwork")
    torch.save({"steps": 5, "q": network.state_dict(), "same": network.state_dict(), "w": {"x": torch.ones(1)}}, "a.pt")
    torch.save(network.state_dict(), "alone.pt")
    torch.save(network.state_dict(), "odd:name.pt")
    for file, source in (("a.pt", "a.pt:q"), ("alone.pt", "alone.pt"), ("odd:name.pt", "odd:name.pt")):
        assert from_checkpoint("q.py:QNetwork", Path(file), STACK, ACTIONS).source == f"{source} (q_values)"
    with pytest.raises(UserError, match=r"a\.pt has no state dict 'target': it has q, same, w\."):
        from_checkpoint("q.py:QNetwork", Path("a.pt:target"), STACK, ACTIONS)
    with pytest.raises(UserError, match=r"has no state dict 'q': it is one itself, so give alone\.pt"):
        from_checkpoint("q.py:QNetwork", Path("alone.pt:q"), STACK, ACTIONS)
    with pytest.raises(UserError, match=r"a\.pt:w does not fit QNetwork: missing"):
        from_checkpoint("q.py:QNetwork", Path("a.pt:w"), STACK, ACTIONS)


def test_weights_with_nan() -> None:
    network = trained("q.py:QNetwork")
    network.network[3].bias.data[0] = math.nan
    torch.save(network.state_dict(), "weights.pt")
    with pytest.raises(UserError, match=r"QNetwork hold NaN or infinity, in network\.3\.bias"):
        loaded("q.py:QNetwork")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("q.py", "write file.py:Name"),
        ("none.py:Agent", "no file 'none.py'"),
        ("q.py:Agent", "no 'Agent'; it has "),
        ("q.py:torch", "not a class or function"),
        ("q.py:Demanding", "must be given envs, args, hidden"),
        ("q.py:wrong", "made a list, not a torch.nn.Module"),
        ("q.py:careless", "Making q.py:careless failed: AttributeError: .*envs"),
        ("broken.py:Agent", "could not be run: ImportError|ModuleNotFoundError: .*cleanrl_of_old"),
    ],
)
def test_classes_that_cannot_be_made(what: str, message: str) -> None:
    Path("broken.py").write_text("import cleanrl_of_old\n")
    torch.save({"weight": torch.zeros(1)}, "weights.pt")
    with pytest.raises(UserError, match=message):
        loaded(what)


def test_outputs_that_are_not_plain_must_be_named() -> None:
    torch.save(from_file("q.py:ready")().state_dict(), "weights.pt")
    with pytest.raises(UserError, match=r"which part of Plain is the policy: .* --output action=module:NAME; .*policy"):
        loaded("q.py:Plain", actions=BOX)
    with pytest.raises(UserError, match="gives q_values as dict"):
        loaded("q.py:Plain")


def test_load_any_needs_to_know_enough() -> None:
    torch.save(trained("q.py:QNetwork").state_dict(), "weights.pt")
    spaces: dict[str, Any] = {"observation_space": STACK, "action_space": ACTIONS}
    assert set(load_any("weights.pt", policy="q.py:QNetwork", device="cpu", **spaces).outputs) == {"q_values"}
    for arguments, message in (
        ({}, "give a run folder of Saccade, a zip"),
        ({"what": "weights.pt"}, "needs its class: --policy file.py:Class"),
        ({"checkpoint": "weights.pt"}, "need --policy file.py:Class"),
        ({"policy": "q.py:QNetwork"}, "needs the spaces of its environment: say which with --task"),
        ({"policy": "q.py:QNetwork", **spaces}, "give those of training with --checkpoint"),
        ({"what": "a.pt", "checkpoint": "b.pt", "policy": "q.py:QNetwork"}, "one file of weights, not both a.pt and b"),
    ):
        with pytest.raises(UserError, match=message):
            load_any(**arguments)  # type: ignore[arg-type]


WRAPPERS: dict[str, Callable[[str], str]] = {
    "compiled": lambda name: f"_orig_mod.{name}",
    "parallel": lambda name: f"module.{name}",
    "parallel of compiled": lambda name: f"module._orig_mod.{name}",
    "compiled of parallel": lambda name: f"_orig_mod.module.{name}",
    "partly compiled": lambda name: name.replace("network.", "network._orig_mod."),
    "partly parallel": lambda name: name.replace("network.", "network.module."),
    "checkpointed": lambda name: name.replace("network.", "network._checkpoint_wrapped_module."),
    "sharded": lambda name: f"_fsdp_wrapped_module.{name}",
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_in_the_names_of_weights(wrapper: str) -> None:
    network = trained("q.py:QNetwork")
    torch.save({WRAPPERS[wrapper](name): value for name, value in network.state_dict().items()}, "weights.pt")
    obs = torch.as_tensor(pictures(STACK)).float()
    torch.testing.assert_close(computed(loaded("q.py:QNetwork"), obs)["q_values"], network(obs))


def test_averaged_weights() -> None:
    network = trained("q.py:QNetwork")
    torch.save(torch.optim.swa_utils.AveragedModel(network).state_dict(), "weights.pt")
    obs = torch.as_tensor(pictures(STACK)).float()
    torch.testing.assert_close(computed(loaded("q.py:QNetwork"), obs)["q_values"], network(obs))


class Modules(nn.Module):
    """Has parts that are called as wrappers are, and is compiled in part."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.ModuleDict({"module": nn.Linear(2, 2), "other": nn.Linear(2, 3)})
        self.plain = nn.Linear(2, 4)
        self.fast = torch.compile(nn.Linear(2, 5))


def test_parts_that_are_called_as_wrappers_are() -> None:
    network, other = randomised(Modules(), 1), Modules()
    saved = network.state_dict()
    for weights in (
        saved,
        {f"module.{name}": value for name, value in saved.items()},
        {f"_orig_mod.{name}": value for name, value in saved.items()},
        {name.replace("_orig_mod.", ""): value for name, value in saved.items()},
    ):
        other.load_state_dict(Modules().state_dict())
        fit(other, weights, "it")
        assert same_weights(other.state_dict(), saved)
    with pytest.raises(UserError, match=r"missing: plain\.bias; unexpected: plain\.gain\.$"):
        fit(other, {f"module.{name.replace('plain.bias', 'plain.gain')}": value for name, value in saved.items()}, "it")


SCRIPT = """
import torch
from torch import nn
import parts
class Net(parts.Body):
    pass
class Agent:  # no module, as the agents of several published repositories
    def __init__(self):
        self.actor, self.critic, self.itself = Net(), Net(), self
        self.optimizer = torch.optim.Adam(self.actor.parameters())
if __name__ == "__main__":
    import pickle
    torch.manual_seed(1)
    net, agent = Net(), Agent()
    torch.save(net, "net.pt")
    torch.save(net, "old.pt", _use_new_zipfile_serialization=False)
    pickle.dump(net, open("net.pkl", "wb"))
    torch.save({"agent": agent, "timer": 3.0}, "agent.pt")
    torch.save(net.state_dict(), "weights.pt")
    torch.save(agent.critic.state_dict(), "critic.pt")
"""
PARTS = """
from torch import nn
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 4, 8, stride=4), nn.Flatten(), nn.Linear(256, 3))
    def forward(self, x):
        return self.body(x / 255.0)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that a script was run in, seen from another folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train_it.py").write_text(SCRIPT)
    (folder / "parts.py").write_text(PARTS)
    subprocess.run([sys.executable, "train_it.py"], cwd=folder, check=True)
    monkeypatch.delitem(sys.modules, "parts", raising=False)
    return folder


def of_script(folder: Path, file: str, **options: Any) -> Policy:
    return load_any(
        policy=f"{folder}/train_it.py:Net",
        checkpoint=folder / file,
        observation_space=STACK,
        action_space=ACTIONS,
        output=("q_values",),
        device="cpu",
        **options,
    )


@pytest.mark.parametrize("file", ["net.pt", "old.pt", "net.pkl"])
def test_a_whole_network_that_a_script_saved(script: Path, file: str) -> None:
    with pytest.raises(UserError, match=r"holds more than weights.* --trust"):
        of_script(script, file)
    expected, found = of_script(script, "weights.pt"), of_script(script, file, trust=True)
    assert same_weights(found.network.state_dict(), expected.network.state_dict())


def test_a_whole_agent_that_a_script_saved(script: Path) -> None:
    with pytest.raises(UserError, match=r"which one you mean, .*agent.pt:agent.actor or .*agent.pt:agent.critic"):
        of_script(script, "agent.pt", trust=True)
    found = of_script(script, "agent.pt:agent.critic", trust=True)
    assert same_weights(found.network.state_dict(), of_script(script, "critic.pt").network.state_dict())


def test_a_class_that_is_nowhere_is_named(script: Path) -> None:
    text = (script / "train_it.py").read_text().replace("class Agent", "class Other")
    (script / "train_it.py").write_text(text)
    with pytest.raises(UserError, match=r"agent.pt cannot be unpickled here: .*'Agent'"):
        of_script(script, "agent.pt", trust=True)


def test_trust_is_not_advised_where_it_cannot_help() -> None:
    whole = trained("q.py:QNetwork").state_dict()
    torch.save(whole, "weights.pt")
    content = Path("weights.pt").read_bytes()
    for damaged in (b"", b"\0" * 100, b"hello", content[:500], content[:-30], content.replace(b"storage", b"st0rage")):
        Path("weights.pt").write_bytes(damaged)
        for trust in (False, True):
            with pytest.raises(UserError, match="is damaged, or no file of weights at all") as refused:
                loaded("q.py:QNetwork", trust=trust)
            assert "--trust" not in str(refused.value)
