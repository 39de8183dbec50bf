package testbed

import (
	"net"
	"testing"
)

func TestListenersCountsOpenSockets(t *testing.T) {
	port := FreePort(t)
	if n := listeners(port); n != 0 {
		t.Errorf("a free port has %d listeners", n)
	}
	ln, err := net.Listen("tcp", loopback(port))
	if err != nil {
		t.Fatal(err)
	}
	if n := listeners(port); n != 1 {
		t.Errorf("a listener counts as %d", n)
	}
	_ = ln.Close()
	if n := listeners(port); n != 0 {
		t.Errorf("a closed listener counts as %d", n)
	}
}
