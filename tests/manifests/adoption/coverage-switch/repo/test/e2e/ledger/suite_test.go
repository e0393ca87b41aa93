package ledger

import (
	"os"
	"os/exec"
	"testing"
)

var coverageMode = os.Getenv("E2E_COVERAGE") == "true"

func TestMain(m *testing.M) {
	code := m.Run()
	if coverageMode {
		collect()
	}
	os.Exit(code)
}

// collect has the service end, so that the runtime writes, and copies the files out of the node.
func collect() {
	exec.Command("kubectl", "scale", "deployment/ledger", "--replicas=0").Run()
	exec.Command("podman", "cp", "ledger-e2e-worker:/tmp/coverage/.", "./coverdata").Run()
	exec.Command("go", "tool", "covdata", "textfmt", "-i=./coverdata", "-o", "e2e-coverage.txt").Run()
	exec.Command("go", "tool", "cover", "-html=e2e-coverage.txt", "-o", "e2e-coverage.html").Run()
}
