//go:build linux && (amd64 || arm64)

package podcov

import (
	"strconv"
	"syscall"
	"time"
)

const defaultGrace = 30 * time.Second // how long data are waited with after SIGTERM at most

// serve runs as the sidecar until it is told to stop and need not wait for anybody.
func serve(v volume, _ []string) error {
	stop := signals()
	if err := v.make(); err != nil {
		return err
	}
	syscall.Unlink(v.courier("ended"))
	syscall.Unlink(v.courier("released"))
	<-stop
	if err := replaceFile(v.courier("ended"), now()); err != nil {
		return err
	}
	waitForRelease(v, stop)
	return nil
}

// signals tells of SIGTERM, and of SIGINT for people who try it out.
func signals() <-chan uint32 {
	received := make(chan uint32, 2)
	signalEnable(uint32(syscall.SIGTERM))
	signalEnable(uint32(syscall.SIGINT))
	go func() {
		for {
			select {
			case received <- signalReceive():
			default: // two are enough
			}
		}
	}()
	return received
}

func waitForRelease(v volume, stop <-chan uint32) {
	always, _ := syscall.Getenv("PODCOV_WAIT")
	deadline := time.Now().Add(grace())
	for time.Now().Before(deadline) && (always == "always" || v.leaseUntil() > time.Now().UnixNano()) {
		if content, err := readFile(v.courier("released")); err == nil && len(content) > 0 {
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(waitStep):
		}
	}
}

func grace() time.Duration {
	text, _ := syscall.Getenv("PODCOV_GRACE")
	if given, err := seconds(text); err == nil {
		return given
	}
	return defaultGrace
}

func (v volume) leaseUntil() int64 {
	return readNumber(v.courier("lease"))
}

func lease(v volume, parameters []string) error {
	duration, err := seconds(parameters[0])
	if err != nil {
		return err
	}
	if err := v.make(); err != nil {
		return err
	}
	until := int64(0)
	if duration > 0 {
		until = time.Now().Add(duration).UnixNano()
		if longer := v.leaseUntil(); longer > until {
			until = longer
		}
	}
	if err := replaceFile(v.courier("lease"), []byte(strconv.FormatInt(until, 10)+"\n")); err != nil {
		return err
	}
	return say(new(object).number("protocol", Protocol).number("until", until))
}

func wait(v volume, parameters []string) error {
	duration, err := seconds(parameters[0])
	if err != nil {
		return err
	}
	deadline := time.Now().Add(duration)
	ended := readNumber(v.courier("ended")) != 0
	for !ended && time.Now().Before(deadline) {
		time.Sleep(waitStep)
		ended = readNumber(v.courier("ended")) != 0
	}
	return say(new(object).number("protocol", Protocol).truth("ended", ended))
}

func release(v volume, _ []string) error {
	if err := v.make(); err != nil {
		return err
	}
	if err := replaceFile(v.courier("released"), now()); err != nil {
		return err
	}
	return say(new(object).number("protocol", Protocol).truth("released", true))
}

func now() []byte {
	return []byte(strconv.FormatInt(time.Now().UnixNano(), 10) + "\n")
}
