//go:build linux

// Package proc reads from /proc what processes have used.
package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/<pid>/stat: USER_HZ, which is 100 on every
// architecture that Go runs on.
const tick = time.Second / 100

// stat holds the fields of /proc/<pid>/stat that are used here.
type stat struct {
	parent int
	cpu    time.Duration // of all threads, and of children that have ended
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The second field is the program's name in brackets, which may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const parent, utime, cstime = 4 - 3, 14 - 3, 17 - 3 // fields are counted from 1, and two are gone
	if len(fields) <= cstime {
		return stat{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var s stat
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	for _, field := range fields[utime : cstime+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		s.cpu += time.Duration(ticks) * tick
	}
	return s, nil
}

// Tree returns a process and all that descend from it.
func Tree(root int) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil { // else it has just ended
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// CPU is the processor time that a process and its descendants have used, in user
// mode and in the kernel, those that have ended included.
func CPU(root int) (time.Duration, error) {
	tree, err := Tree(root)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range tree {
		s, err := readStat(pid)
		if err != nil && pid != root {
			continue // a child that has ended meanwhile: its parent has its time
		}
		if err != nil {
			return 0, fmt.Errorf("reading the time of process %d: %w", pid, err)
		}
		sum += s.cpu
	}
	return sum, nil
}

// Memory is what processes hold, in bytes.
type Memory struct {
	Resident int64 // now
	Peak     int64 // at most, since ResetPeak or their start
}

// MemoryOf sums up a process and its descendants. Pages that several share count in
// each of them.
func MemoryOf(root int) (Memory, error) {
	tree, err := Tree(root)
	if err != nil {
		return Memory{}, err
	}
	var sum Memory
	for _, pid := range tree {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil && pid != root {
			continue
		}
		if err != nil {
			return Memory{}, fmt.Errorf("reading the memory of process %d: %w", pid, err)
		}
		sum.Resident += kilobytes(text, "VmRSS:")
		sum.Peak += kilobytes(text, "VmHWM:")
	}
	return sum, nil
}

func kilobytes(status []byte, name string) int64 {
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte(name)); ok {
			n, _ := strconv.ParseInt(strings.Fields(string(value))[0], 10, 64) // the kernel writes numbers
			return n << 10
		}
	}
	return 0 // a process that is ending has no memory
}

// ResetPeak lets the peaks of a process and its descendants start from now.
func ResetPeak(root int) error {
	tree, err := Tree(root)
	if err != nil {
		return err
	}
	for _, pid := range tree {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil && pid == root {
			return fmt.Errorf("resetting the peak of process %d: %w", pid, err)
		}
	}
	return nil
}
