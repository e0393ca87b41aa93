package runtime

// podcovIsNoLimit says whether GOMEMLIMIT is not a limit, but what podcov gives sidecars in its place: whatever else is started
// with it ends before its own code begins, so that an app without podcov in it does not run a second time as its own sidecar.
func podcovIsNoLimit(value string) bool {
	const mark = "podcov: "
	return len(value) >= len(mark) && value[:len(mark)] == mark
}
