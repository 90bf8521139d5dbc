"""Does a notebook give again what it gave? A clean run, compared in meaning with what is saved."""

from takehome.verification.report import Report, Verdict
from takehome.verification.verify import verify

__all__ = ["Report", "Verdict", "verify"]
