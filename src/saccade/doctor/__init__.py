"""This machine: what it has, what is wrong with it, and what about it a result may depend on."""

from saccade.doctor.examination import examine, print_report
from saccade.doctor.facts import environment_facts
from saccade.doctor.rows import Report, Row

__all__ = ["Report", "Row", "environment_facts", "examine", "print_report"]
