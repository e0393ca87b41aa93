//go:build linux && (amd64 || arm64) && !go1.23

package podcov

import (
	"internal/coverage/rtcov"
	_ "unsafe" // for go:linkname
)

//go:linkname counterBlobs runtime/coverage.getCovCounterList
func counterBlobs() []rtcov.CovCounterBlob
