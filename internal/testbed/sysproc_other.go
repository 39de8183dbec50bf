//go:build !linux

package testbed

import "syscall"

// dieWithParent does nothing where the kernel has no such service: there, a
// test process that is killed leaves its children behind.
func dieWithParent() *syscall.SysProcAttr { return nil }

// awaitStop does nothing where there is no way to ask: there, a frozen process
// may do a little more.
func awaitStop(int) error { return nil }

// reserved are the ports that this process has given out.
var reserved = map[int]bool{}

// reserve takes a port for this process. Without a lock that ends with the process, it
// does not see other processes: two of them may choose the same port. Needs portsMu.
func reserve(port int) bool {
	if reserved[port] {
		return false
	}
	reserved[port] = true
	return true
}
