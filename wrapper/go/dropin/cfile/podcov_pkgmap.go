package cfile

import "internal/coverage/rtcov"

// getCovPkgMap is what older toolchains have by themselves.
func getCovPkgMap() map[int]int {
	return rtcov.Meta.PkgMap
}
