package infrastructure

import (
	"os"

	corev1 "k8s.io/api/core/v1"
)

// Environment is what the container is given; GOCOVERDIR only where coverage is wanted.
func Environment() []corev1.EnvVar {
	env := []corev1.EnvVar{{Name: "CONFIG_PATH", Value: "/etc/ledger/config.yaml"}}
	if os.Getenv("E2E_COVERAGE") == "true" {
		env = append(env, corev1.EnvVar{Name: "GOCOVERDIR", Value: "/tmp/coverage"})
	}
	return env
}
