//go:build linux && (amd64 || arm64)

package podcov

import _ "unsafe" // for go:linkname

// What the runtime keeps for os/signal, which is initialised too late for a courier.

//go:linkname signalEnable os/signal.signal_enable
func signalEnable(number uint32)

//go:linkname signalReceive os/signal.signal_recv
func signalReceive() uint32
