//go:build linux && (amd64 || arm64) && go1.23

package podcov

import (
	"internal/coverage/rtcov"
	_ "unsafe" // for go:linkname
)

//go:linkname counterBlobs internal/coverage/cfile.getCovCounterList
func counterBlobs() []rtcov.CovCounterBlob
