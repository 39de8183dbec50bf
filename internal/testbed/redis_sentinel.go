package testbed

import (
	"strconv"
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
// know each other. A master that is silent for 1.5 s is replaced once two sentinels agree.
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
			"sentinel down-after-milliseconds " + MasterName + " " + millis(downAfter),
			"sentinel failover-timeout " + MasterName + " " + millis(downAfter),
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
// that answer; nil when none does, or it is none of Servers.
func (s *Sentinels) Master() *Redis {
	newest, port := -1, ""
	for _, r := range s.Sentinels {
		if r.proc == nil {
			continue
		}
		state := r.sentinelMaster()
		if epoch, err := strconv.Atoi(state["config-epoch"]); err == nil && epoch > newest {
			newest, port = epoch, state["port"]
		}
	}
	for _, r := range s.Servers {
		if r.isAt(port) {
			return r
		}
	}
	return nil
}

// Failover has the sentinels replace a master that is well, waits until they have, and
// returns the new one. Writes of the last moments may be lost: the old master takes
// them until it learns of the failover.
func (s *Sentinels) Failover() *Redis {
	s.tb.Helper()
	old := s.Master()
	if old == nil {
		s.tb.Fatal("no sentinel names a master: start one")
	}
	Eventually(s.tb, waitLimit, func() bool {
		if s.Master() != old {
			return true
		}
		// Again and again: one that takes long is given up, and nobody misses it, as the
		// master is well. While one is under way, and where no replica is known to be well,
		// they refuse.
		for _, r := range s.Sentinels {
			if r.proc != nil {
				if _, err := r.Ask("SENTINEL", "FAILOVER", MasterName); err == nil {
					break
				}
			}
		}
		time.Sleep(downAfter / 10)
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
		role, err := now.Ask("ROLE")
		return err == nil && role[0] == "master"
	}, "another master than "+gone.Addr())
	return now
}
