//go:build linux

package proc_test

import (
	"os"
	"slices"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/bench/proc"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A shell whose child works, and then stays until the shell is asked to end.
func TestChildrenCount(t *testing.T) {
	t.Parallel()
	p := testbed.StartProcess(t, "", nil, "/bin/sh", "-c",
		`trap 'kill -9 $!' TERM
		/bin/sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; exec sleep 600' &
		wait`)
	p.WaitOutput("done")
	tree, err := proc.Tree(p.Pid())
	if err != nil || len(tree) < 2 || tree[0] != p.Pid() {
		t.Fatalf("the tree of %d is %v (%v)", p.Pid(), tree, err)
	}
	all, err := proc.CPU(p.Pid())
	if err != nil || all <= 0 {
		t.Fatalf("the shell and its child used %v (%v)", all, err)
	}
	own, err := proc.Tree(os.Getpid())
	if err != nil || !slices.Contains(own, tree[1]) {
		t.Fatalf("%d does not descend from this process: %v (%v)", tree[1], own, err)
	}
}

func TestMemory(t *testing.T) {
	if err := proc.ResetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	before, err := proc.MemoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	held := make([]byte, size)
	for i := range held {
		held[i] = 1 // only what is written to is resident
	}
	after, err := proc.MemoryOf(os.Getpid())
	if err != nil || after.Peak < before.Resident+size/2 || after.Peak < after.Resident || before.Resident <= 0 {
		t.Fatalf("before %+v, after touching 64 MiB %+v (%v)", before, after, err)
	}
	if held[size-1] != 1 {
		t.Fatal("the memory does not hold what was written")
	}
}
