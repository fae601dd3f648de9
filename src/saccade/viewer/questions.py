"""The words of a report: what its scores ask, and how a person reads its curves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A group of metrics that ask the same."""

    title: str
    sentence: str


QUESTIONS = {
    "truth": Question(
        "Do the maps point at what matters for the task?",
        "The simulator knows which pixels show what the task is about, such as the robot, and which are background. "
        "These numbers compare every map with that mask. A low number has one of two reasons: the map is wrong, or it "
        "is right and the policy looks elsewhere. The questions below help to tell them apart.",
    ),
    "people": Question(
        "Do the maps agree with where people look?",
        "The gaze of people was recorded while they played. These numbers compare every map with it. A policy need not "
        "look where people look; agreement only says that it could be understood by them. The rows made without asking "
        "the network are a uniform map, a bright centre, and where people look in the game's other trials whatever is "
        "shown: attention that is spread over what its places see is brighter in the middle by itself, and people look "
        "there too, so that a map has to beat these before it says anything.",
    ),
    "faithfulness": Question(
        "Does the policy really use the pixels that the maps name?",
        "The simplest test is to try: hide pixels and see whether the policy changes its mind, or gets less return. If "
        "the map is right, the pixels that it calls salient count most. Hidden pixels show a strongly blurred picture. "
        "Changes are divided by the largest that any map of the frame brought about.",
    ),
    "sanity": Question(
        "Do the maps depend on what the policy has learned?",
        "A map should change when the network's weights are replaced by random ones, for then there is nothing left to "
        "explain. One that stays the same shows the edges of the picture, not what the policy does. Such methods are "
        "beautiful and tell nothing; guided backpropagation is known to come close to that. Maps that the network "
        "carries inside are not asked.",
    ),
    "stability": Question(
        "Do the maps move when only the distraction does?",
        "Every distracted frame was compared with the very same state without its distraction: how far does the map "
        "move, and how far the action? A policy that is not distracted moves neither.",
    ),
    "cost": Question(
        "What do the maps cost?",
        "Computing time on the machine that made this page; compare the methods with each other, not machines.",
    ),
}

# How a curve is read, by a word of its metric's name.
CURVES = {
    "return": "The policy played while it saw only the most salient pixels of every frame. The further left a curve is "
    "high, the fewer pixels the policy needs, and the better the map has found them.",
    "insertion": "Pixels are shown step by step, the most salient ones first, and the curve tells how far the policy "
    "still is from what it does with the whole frame. A good map brings it back after few pixels: it falls early.",
    "deletion": "Pixels are hidden step by step, the most salient ones first, and the curve tells how far the policy "
    "gets from what it does with the whole frame. A good map changes its mind after few pixels: it rises early.",
    "random": "From left to right ever more layers of the network were given random weights, and each map was compared "
    "with that of the intact network. A map that explains the network soon falls to about 0; one that stays near 1 "
    "does not depend on what was learned.",
}


# What an agent's own picture shows, by its name.
PICTURES = {
    "masked": "what its mask leaves of the frame",
    "attribution": "the foreground that it makes, seen through its own mask",
    "foreground": "the foreground that it makes of the frame",
    "background": "the background that it makes of the frame",
    "reconstruction": "the frame made again from its foreground, mask and background",
}


def picture_words(name: str) -> str:
    """What an agent's own picture shows; an unknown one is called by its name, and a mask is a mask."""
    words = name.replace("_", " ")
    return PICTURES.get(name, f"its {words}, white where it is 1" if name.endswith("mask") else words)


def curve_sentence(metric: str) -> str:
    """How to read a metric's curves; of an unknown one nothing."""
    return next((sentence for word, sentence in CURVES.items() if word in metric), "")


def question(name: str) -> Question:
    """The words of a group of metrics; an unknown one is called by its name."""
    return QUESTIONS.get(name, Question(name.replace("_", " ").capitalize(), ""))
