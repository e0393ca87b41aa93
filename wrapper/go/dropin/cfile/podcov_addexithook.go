package cfile

// podcovAtExit is for toolchains before 1.23.
func podcovAtExit(save func()) {
	const alsoOnFailure = true
	runtime_addExitHook(save, alsoOnFailure)
}
