package cfile

import "internal/runtime/exithook"

func podcovAtExit(save func()) {
	exithook.Add(exithook.Hook{F: save, RunOnFailure: true})
}
