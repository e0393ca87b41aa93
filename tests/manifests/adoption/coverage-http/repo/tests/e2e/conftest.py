"""Where the service is."""

import os

import pytest
from client.coverage_client import CoverageClient


@pytest.fixture(scope="session")
def url():
    return os.environ.get("GREETER_URL", "http://localhost:8080")


@pytest.fixture(scope="session")
def coverage_client():
    return CoverageClient(namespace="default", output_dir="coverage-output")


@pytest.fixture(scope="session", autouse=True)
def collect_coverage(coverage_client):
    """Once all tests are through."""
    yield
    pod = coverage_client.get_pod_name("app=greeter")
    coverage_client.collect_coverage_from_pod(pod, "e2e")
