//go:build !linux

package testbed

import "syscall"

// dieWithParent does nothing where the kernel has no such service: there, a
// test process that is killed leaves its children behind.
func dieWithParent() *syscall.SysProcAttr { return nil }

// awaitStop does nothing where there is no way to ask: there, a frozen process
// may do a little more.
func awaitStop(int) error { return nil }

// reserve does nothing where there is no lock that ends with its process: there, two
// test processes may come upon one port.
func reserve(int) bool { return true }
