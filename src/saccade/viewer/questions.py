"""The texts of a report: what its scores ask, and how to read its curves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A group of metrics that ask the same question."""

    title: str
    sentence: str


QUESTIONS = {
    "truth": Question(
        "Do the maps point at what matters for the task?",
        "The simulator knows which pixels show what the task is about, such as the robot, and which are background. "
        "These numbers compare every map with that mask. A low number can have two reasons: the map is wrong, or it "
        "is right and the policy looks elsewhere. The questions below help to tell them apart.",
    ),
    "people": Question(
        "Do the maps agree with where people look?",
        "The gaze of people was recorded while they played. These numbers compare every map with it. A policy need not "
        "look where people look; agreement only means that people could understand it. The rows made without the "
        "network "
        "are a uniform map, a bright centre, and where people look in the game's other trials, regardless of what is "
        "shown: an attention that is spread over receptive fields is brighter in the middle by itself, and people look "
        "there too, so a map has to beat these rows before it means anything.",
    ),
    "faithfulness": Question(
        "Does the policy really use the pixels that the maps name?",
        "The simplest test is to try: hide pixels and see whether the policy changes its mind, or gets less return. If "
        "the map is right, the pixels that it calls salient count most. Hidden pixels show a strongly blurred picture. "
        "Changes are divided by the largest that any map of the frame caused.",
    ),
    "sanity": Question(
        "Do the maps depend on what the policy has learned?",
        "A map should change when the network's weights are replaced by random ones, since then nothing is left to "
        "explain. One that stays the same shows the edges of the picture, not what the policy does. Such methods are "
        "beautiful but meaningless; guided backpropagation is known to come close to that. Maps that the network "
        "computes itself are not tested.",
    ),
    "stability": Question(
        "Do the maps move when only the distraction does?",
        "Every distracted frame was compared with the very same state without its distraction: how far does the map "
        "move, and how far the action? A policy that is not distracted moves neither.",
    ),
    "cost": Question(
        "What do the maps cost?",
        "Computing time on the machine that made this page; compare methods with each other, not machines.",
    ),
}

# How a curve is read, by a word of its metric's name.
CURVES = {
    "return": "The policy played while it saw only the most salient pixels of every frame. The further left a curve is "
    "high, the fewer pixels the policy needs, and the better the map has found them.",
    "insertion": "Pixels are shown step by step, the most salient ones first, and the curve shows how far the policy's "
    "output still is from that on the whole frame. A good map restores it with few pixels: its curve falls early.",
    "deletion": "Pixels are hidden step by step, the most salient ones first, and the curve shows how far the policy's "
    "output moves from that on the whole frame. A good map changes it with few pixels: its curve rises early.",
    "random": "From left to right more and more layers of the network were given random weights, and each map was "
    "compared with that of the intact network. A map that explains the network soon falls to about 0; one that stays "
    "near 1 does not depend on what was learned.",
}


# What an agent's own picture shows, by its name.
PICTURES = {
    "masked": "the frame seen through its mask",
    "attribution": "the foreground that it draws, seen through its own mask",
    "foreground": "the foreground that it draws of the frame",
    "background": "the background that it draws of the frame",
    "reconstruction": "the frame rebuilt from its foreground, mask and background",
}


def picture_words(name: str) -> str:
    """Return what an agent's own picture shows; by default its name, and for a mask that it is one."""
    words = name.replace("_", " ")
    return PICTURES.get(name, f"its {words}, white where it is 1" if name.endswith("mask") else words)


def curve_sentence(metric: str) -> str:
    """Return how to read a metric's curves; empty for an unknown one."""
    return next((sentence for word, sentence in CURVES.items() if word in metric), "")


def question(name: str) -> Question:
    """Return the texts of a group of metrics; an unknown one goes by its name."""
    return QUESTIONS.get(name, Question(name.replace("_", " ").capitalize(), ""))
