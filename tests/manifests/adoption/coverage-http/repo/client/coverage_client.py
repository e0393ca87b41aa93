"""Asks the pods for their coverage."""

import base64
import json
import subprocess
import urllib.request
from pathlib import Path


class CoverageClient:
    def __init__(self, namespace, output_dir):
        self.namespace, self.output = namespace, Path(output_dir)

    def get_pod_name(self, selector):
        words = ["kubectl", "-n", self.namespace, "get", "pods", "-l", selector, "-o", "name"]
        return subprocess.check_output(words, text=True).split()[0]

    def collect_coverage_from_pod(self, pod_name, test_name, coverage_port=9095):
        words = ["kubectl", "-n", self.namespace, "port-forward", pod_name, str(coverage_port)]
        with subprocess.Popen(words) as forward:
            answer = json.load(urllib.request.urlopen(f"http://localhost:{coverage_port}/coverage?name={test_name}"))
            forward.terminate()
        self.output.mkdir(exist_ok=True)
        (self.output / f".coverage_{test_name}").write_bytes(base64.b64decode(answer["coverage_data"]))
