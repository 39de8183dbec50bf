package testbed

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// MasterName is what the sentinels call their one master.
const MasterName = "events"

// Sentinels is a master with two replicas and three sentinels that watch them, of one
// test's own. Its methods, and those of its servers, are not for concurrent use.
type Sentinels struct {
	tb testing.TB
	// Servers hold the data. The first began as the master.
	Servers []*Redis
	// Sentinels are the three that watch. Any of them and of Servers may be stopped,
	// frozen and started again.
	Sentinels []*Redis
}

// StartSentinels starts them all and waits until the replicas follow and the sentinels
// know each other. A master that is silent for set.DownAfter is replaced once two sentinels
// agree.
func StartSentinels(tb testing.TB, set RedisSet) *Sentinels {
	tb.Helper()
	s := &Sentinels{tb: tb}
	for range 3 {
		r := set.add(tb)
		var lines []string
		if len(s.Servers) > 0 {
			// Not an argument: that would undo each time what the sentinels have decided.
			lines = append(lines, "replicaof "+loopbackHost+" "+s.Servers[0].peerPort())
		}
		r.args = append([]string{r.configure(lines...)}, r.settings()...)
		r.args = append(r.args, "--repl-diskless-sync-delay", "0",
			"--replica-announce-ip", loopbackHost, "--replica-announce-port", r.peerPort())
		r.args = append(r.args, set.overTLS(r)...)
		r.args = append(r.args, set.Args...)
		r.Start()
		s.Servers = append(s.Servers, r)
	}
	for range 3 {
		r := set.add(tb)
		r.args = []string{r.configure(append([]string{
			"bind " + loopbackHost,
			"port " + strconv.Itoa(r.port),
			"dir " + r.dir,
			"sentinel announce-ip " + loopbackHost,
			"sentinel announce-port " + r.peerPort(),
			"sentinel monitor " + MasterName + " " + loopbackHost + " " + s.Servers[0].peerPort() + " 2",
			"sentinel down-after-milliseconds " + MasterName + " " + set.downAfter(),
			"sentinel failover-timeout " + MasterName + " " + millis(DownSoon),
			"sentinel parallel-syncs " + MasterName + " 2",
		}, set.SentinelConf...)...), "--sentinel"}
		r.args = append(r.args, set.overTLS(r)...)
		r.Start()
		// The interval at which a sentinel checks which server follows which. A
		// restarted sentinel uses the default again: an old master that returns then
		// becomes a replica only after 10 s.
		r.must("SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "500")
		s.Sentinels = append(s.Sentinels, r)
	}
	s.WaitOK()
	return s
}

// peerPort is the port by which servers and sentinels reach each other.
func (r *Redis) peerPort() string {
	if r.tls != 0 {
		return strconv.Itoa(r.tls)
	}
	return strconv.Itoa(r.announced)
}

// URLs returns the sentinels' addresses, as they are announced.
func (s *Sentinels) URLs() []string { return urls(s.Sentinels) }

// WaitOK waits until the replicas that run follow the master, and the sentinels that run
// agree about the master and know of all replicas and of each other, so that a failover
// can begin.
func (s *Sentinels) WaitOK() {
	s.tb.Helper()
	Eventually(s.tb, waitLimit, func() bool {
		master := s.Master()
		if master == nil {
			return false
		}
		for _, r := range s.Servers {
			if r.proc != nil && r != master && !r.inSync() {
				return false
			}
		}
		for _, r := range s.Sentinels {
			if r.proc != nil && !r.readyFor(master, len(s.Servers)-1, len(s.Sentinels)-1) {
				return false
			}
		}
		return true
	}, "the replicas in step and the sentinels in touch")
}

// readyFor reports whether a sentinel knows this master as up, and that many replicas and
// other sentinels of it.
func (r *Redis) readyFor(master *Redis, replicas, sentinels int) bool {
	state := r.sentinelMaster()
	return master.isAt(state["port"]) && state["flags"] == "master" &&
		state["num-slaves"] == strconv.Itoa(replicas) && state["num-other-sentinels"] == strconv.Itoa(sentinels)
}

// Master returns the master that the sentinels name, by the newest knowledge among those
// that answer; nil when it is none of Servers. It waits for one that answers.
func (s *Sentinels) Master() *Redis {
	s.tb.Helper()
	port := ""
	Eventually(s.tb, waitLimit, func() bool {
		var epoch int
		port, epoch = s.newest()
		return epoch >= 0
	}, "a sentinel that answers")
	for _, r := range s.Servers {
		if r.isAt(port) {
			return r
		}
	}
	return nil
}

// Epoch is a number that every failover makes greater.
func (s *Sentinels) Epoch() (epoch int) {
	s.tb.Helper()
	Eventually(s.tb, waitLimit, func() bool {
		_, epoch = s.newest()
		return epoch >= 0
	}, "a sentinel that answers")
	return epoch
}

// newest is the master's port and the epoch in which it became that, by the newest knowledge
// among the sentinels that answer; -1 where none does.
func (s *Sentinels) newest() (port string, epoch int) {
	epoch = -1
	for _, r := range s.Sentinels {
		if r.proc == nil {
			continue
		}
		state := r.sentinelMaster()
		if seen, err := strconv.Atoi(state["config-epoch"]); err == nil && seen > epoch {
			port, epoch = state["port"], seen
		}
	}
	return port, epoch
}

// Failover has the sentinels replace a master that is well, waits until they have, and
// returns the new one. Writes of the last moments may be lost: the old master takes
// them until it learns of the failover.
func (s *Sentinels) Failover() *Redis {
	s.tb.Helper()
	old := s.Master()
	if old == nil {
		s.tb.Fatal("the sentinels name a master of somebody else's")
	}
	Eventually(s.tb, waitLimit, func() bool {
		if s.Master() != old {
			return true
		}
		// Again and again: one that takes long is given up, and nobody misses it, as the
		// master is well. A sentinel that knows no replica to be well refuses, and then the
		// next is asked; where one is at it, none, as that one would make a master of its own.
		for _, r := range s.Sentinels {
			if r.proc != nil {
				if _, err := r.glance().Ask("SENTINEL", "FAILOVER", MasterName); err == nil || strings.Contains(err.Error(), "INPROG") {
					break
				}
			}
		}
		time.Sleep(DownSoon / 10)
		return false
	}, "a failover begun")
	return s.WaitFailover(old)
}

// WaitFailover waits until a master that was killed or frozen has been replaced, and
// returns the new one.
func (s *Sentinels) WaitFailover(gone *Redis) *Redis {
	s.tb.Helper()
	var now *Redis
	Eventually(s.tb, waitLimit, func() bool {
		now = s.Master()
		if now == nil || now == gone {
			return false
		}
		role, err := now.glance().Ask("ROLE")
		return err == nil && role[0] == "master"
	}, "another master than "+gone.Addr())
	return now
}
