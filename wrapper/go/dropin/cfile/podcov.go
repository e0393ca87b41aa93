package cfile

import (
	"internal/podcov"
	"os"
)

// podcovHook writes the meta-data of a program whose counters are mapped. It returns whether that is all that there is
// to do: podcov was asked for, and nobody wants the standard files, too.
func podcovHook(istest bool) bool {
	if !podcov.Asked() {
		return false
	}
	if folder := podcov.MetaFolder(); folder != "" {
		podcovEmitMeta(folder)
	}
	return !istest && os.Getenv("GOCOVERDIR") == ""
}

func podcovEmitMeta(folder string) {
	packages, err := prepareForMetaEmit()
	if err == nil && !podcov.HasMeta(finalHash) {
		err = emitMetaDataToDirectory(folder, packages)
	}
	podcov.Registered(finalHash, getCovPkgMap(), err)
	if save := podcov.AtExit(); save != nil {
		podcovAtExit(save)
	}
}
