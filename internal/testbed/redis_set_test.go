package testbed_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestClusterServesAndFailsOver(t *testing.T) {
	t.Parallel()
	c := testbed.StartCluster(t, testbed.RedisSet{Args: []string{"--appendonly", "yes"}, DownAfter: testbed.DownSoon})
	masters := c.Masters()
	if !slices.Equal(masters, c.Nodes[:3]) {
		t.Fatalf("masters are %v, want the first three of %v", masters, c.Nodes)
	}
	if replica := c.Replica(masters[1]); replica != c.Nodes[4] {
		t.Errorf("the second master's replica is %v, want the fifth node", replica)
	}

	epoch := c.Epoch()
	newer := func() {
		t.Helper()
		was := epoch
		// A node that has voted need not have heard of the result yet.
		testbed.Eventually(t, time.Minute, func() bool {
			epoch = c.Epoch()
			return epoch > was
		}, fmt.Sprintf("an epoch after %d", was))
	}
	if next := c.Failover(masters[0]); next != c.Nodes[3] {
		t.Errorf("the fourth node should have taken over, not %s", next.Addr())
	}
	newer()
	c.WaitOK()
	masters[1].Stop()
	if next := c.WaitFailover(masters[1]); next != c.Nodes[4] {
		t.Errorf("the fifth node should have taken over, not %s", next.Addr())
	}
	newer()
	masters[1].Start()
	c.WaitOK()
	if back := c.Replica(c.Nodes[4]); back != masters[1] {
		t.Errorf("the old master should follow the new one, not %v", back)
	}
	masters[2].Freeze()
	c.WaitFailover(masters[2])
	masters[2].Thaw()
	c.WaitOK()
	newer()
}

func TestSentinelsFailOver(t *testing.T) {
	t.Parallel()
	s := testbed.StartSentinels(t, testbed.RedisSet{Args: []string{"--appendonly", "yes"}, DownAfter: testbed.DownSoon})
	first := s.Master()
	if first != s.Servers[0] {
		t.Fatalf("the master is %v, want the first server", first)
	}
	do(t, first, "+OK", "SET", "k", "v")
	// Not by WAIT, which is about the writes of its own connection.
	testbed.Eventually(t, time.Minute, func() bool {
		return !slices.ContainsFunc(s.Servers, func(r *testbed.Redis) bool {
			line, err := r.Do("GET", "k")
			return err != nil || line != "$1"
		})
	}, "the key on every replica")

	epoch := s.Epoch()
	second := s.Failover()
	s.WaitOK()
	testbed.Eventually(t, time.Minute, func() bool { return s.Epoch() > epoch }, fmt.Sprintf("an epoch after %d", epoch))
	do(t, second, "$1", "GET", "k")
	second.Stop()
	third := s.WaitFailover(second)
	second.Start()
	s.WaitOK()
	do(t, third, "$1", "GET", "k")
	third.Freeze()
	fourth := s.WaitFailover(third)
	third.Thaw()
	s.WaitOK()
	do(t, fourth, "$1", "GET", "k")
	// With one sentinel less there is still a majority.
	s.Sentinels[0].Stop()
	s.Failover()
}

// Proxies can be placed before the servers start: no other process learns the servers'
// own ports.
func TestSetsAnnounceOtherPorts(t *testing.T) {
	t.Parallel()
	announced := make(map[int]int)
	// With a long DownAfter a vote that fails is not repeated for minutes.
	set := testbed.RedisSet{DownAfter: testbed.DownSoon, Announce: func(port int) int {
		announced[port] = relay(t, port)
		return announced[port]
	}}
	c, s := testbed.StartCluster(t, set), testbed.StartSentinels(t, set)
	if len(announced) != 12 {
		t.Errorf("asked for %d ports, want one for each of 12 servers", len(announced))
	}
	for _, r := range slices.Concat(c.Nodes, s.Servers, s.Sentinels) {
		if r.URL() == "redis://"+r.Addr() {
			t.Errorf("the server at %s announces itself", r.Addr())
		}
	}
	for _, url := range slices.Concat(c.URLs(), s.URLs()) {
		if url == "" {
			t.Error("a server has no address")
		}
	}
	c.Failover(c.Masters()[0])
	c.WaitOK()
	s.Failover()
	s.WaitOK()
}

// relay passes connections on to a port, and returns its own.
func relay(t *testing.T, port int) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				_ = from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				go func() {
					defer way[0].Close()
					defer way[1].Close()
					_, _ = io.Copy(way[0], way[1])
				}()
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
