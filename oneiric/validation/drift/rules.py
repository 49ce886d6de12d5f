"""The codes of differences that are found here, besides those of OpenAPI and of databases."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        "config-added": "the configuration has a value that the baseline has not",
        "config-changed": "a value of the configuration is not that of the baseline",
        "config-removed": "the configuration lacks a value that the baseline has",
        "header-added": "an answer has a header that the baseline has not",
        "header-changed": "a header of an answer is not that of the baseline",
        "header-removed": "an answer lacks a header that the baseline has",
        "health-degraded": "production says that it is not quite well",
        "health-failing": "production does not say that it is well",
        "health-unreachable": "nobody answers where health is told",
        "route-content-type": "the answer is of no media type of the contract",
        "route-error": "it answered 5xx",
        "route-gone": "it answered 410",
        "route-method-missing": "production names the methods of a path, and this is none",
        "route-method-not-allowed": "it answered 405",
        "route-missing": "production has no such route",
        "route-needs-auth": "it lets nobody in without credentials, and nobody says that it should",
        "route-open": "it lets somebody in without credentials, and should not",
        "route-redirect-broken": "it redirects to what is not there or fails",
        "route-redirects": "it redirects to another path",
        "route-redirects-elsewhere": "it redirects to another host",
        "route-redirects-https": "it redirects to the same by https",
        "route-redirects-slash": "it redirects to the same with, or without, a slash at its end",
        "route-refuses-credentials": "it refuses the credentials that it was shown",
        "route-slow": "it gave no answer in time",
        "route-status": "it did not answer what was expected",
        "route-status-undocumented": "it answered what the contract does not name",
        "route-undeclared": "it was asked for by name, and the contract does not know it",
        "route-unreachable": "nobody answers",
        "version-differs": "production runs another commit",
    }
)
"""Each code, and what it says."""
