package testbed

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the child when the thread that started it
// ends; see spawn for why that means the test process.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// awaitStop returns when a child that got SIGSTOP has stopped with all its
// threads, which the signal alone does not wait for. The child's exit, should
// it come instead, is left for Wait to collect.
func awaitStop(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// reserved are the locks on the ports that this process has given out.
var reserved []net.Listener

// reserve takes a port for this process, or reports that it has been given out, here or
// by another process. Needs portsMu. The lock is a socket of the abstract namespace: it
// leaves no file, and ends with the process.
func reserve(port int) bool {
	lock, err := net.Listen("unix", fmt.Sprintf("@webhook-guard-test-port-%d", port))
	if err != nil {
		return false
	}
	reserved = append(reserved, lock)
	return true
}
