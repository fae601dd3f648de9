"""This machine: what it has, what is wrong with it, and what of it a result may depend on."""

from saccade.machine.examination import examine, print_report
from saccade.machine.facts import environment_facts
from saccade.machine.rows import Report, Row

__all__ = ["Report", "Row", "environment_facts", "examine", "print_report"]
