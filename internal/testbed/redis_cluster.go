package testbed

import (
	"cmp"
	"slices"
	"strconv"
	"testing"
	"time"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// Cluster is a Redis Cluster of one test's own: three masters with a replica each. Its
// methods, and those of its nodes, are not for concurrent use.
type Cluster struct {
	tb testing.TB
	// Nodes are all six. The first three began as masters; the fourth began as the
	// replica of the first, and so on. Any may be stopped, frozen and started again.
	Nodes []*Redis
}

// StartCluster starts a Cluster and waits until it serves every slot and every replica
// follows its master. A master that is silent for set.DownAfter is replaced by its replica.
func StartCluster(tb testing.TB, set RedisSet) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb}
	firstBus := ""
	for range 2 * clusterMasters {
		r := set.add(tb)
		bus := strconv.Itoa(FreePort(tb))
		firstBus = cmp.Or(firstBus, bus)
		r.args = append([]string{r.configure()}, r.settings()...)
		r.args = append(r.args, "--cluster-enabled", "yes", "--cluster-node-timeout", set.downAfter(),
			"--cluster-port", bus, "--cluster-announce-bus-port", bus,
			"--cluster-announce-ip", loopbackHost, "--cluster-announce-port", strconv.Itoa(r.announced),
			"--repl-diskless-sync-delay", "0")
		if set.TLS != nil {
			r.args = append(append(r.args, set.overTLS(r)...),
				"--tls-cluster", "yes", "--cluster-announce-tls-port", strconv.Itoa(r.tls))
		}
		r.args = append(r.args, set.Args...)
		r.Start()
		c.Nodes = append(c.Nodes, r)
		r.must("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(len(c.Nodes)))
		if first := c.Nodes[0]; r != first {
			r.must("CLUSTER", "MEET", loopbackHost, strconv.Itoa(first.port), firstBus)
		}
	}
	for i, master := range c.Nodes[:clusterMasters] {
		from, to := i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters
		master.must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to-1))
	}
	for i, replica := range c.Nodes[clusterMasters:] {
		id := c.Nodes[i].must("CLUSTER", "MYID")[0]
		Eventually(tb, waitLimit, func() bool {
			_, err := replica.Ask("CLUSTER", "REPLICATE", id)
			return err == nil // else the node has not heard of its master yet
		}, "a replica of "+c.Nodes[i].Addr())
	}
	c.WaitOK()
	return c
}

// URLs returns the addresses of all nodes, as they are announced.
func (c *Cluster) URLs() []string { return urls(c.Nodes) }

func urls(servers []*Redis) []string {
	all := make([]string, len(servers))
	for i, r := range servers {
		all[i] = r.URL()
	}
	return all
}

// WaitOK waits until all nodes that run agree that every slot is served, and the
// replicas among them follow their masters.
func (c *Cluster) WaitOK() {
	c.tb.Helper()
	Eventually(c.tb, waitLimit, func() bool {
		masters := c.Masters()
		if len(masters) != clusterMasters {
			return false
		}
		for _, r := range c.Nodes {
			if r.proc == nil {
				continue
			}
			if r.field("cluster_state", "CLUSTER", "INFO") != "ok" || len(r.clusterMasters()) != clusterMasters {
				return false
			}
			if !slices.Contains(masters, r) && !r.inSync() {
				return false
			}
		}
		return true
	}, "every slot of the cluster served, and its replicas in step")
}

// Masters returns the nodes that serve slots at present, in the order of Nodes, as the
// node with the newest knowledge states. It waits for one that answers.
func (c *Cluster) Masters() []*Redis {
	c.tb.Helper()
	var known map[int]bool
	Eventually(c.tb, waitLimit, func() bool {
		if newest := c.newest(); newest != nil {
			known = newest.clusterMasters()
		}
		return len(known) > 0
	}, "a node that knows masters")
	var masters []*Redis
	for _, r := range c.Nodes {
		if known[r.announced] {
			masters = append(masters, r)
		}
	}
	return masters
}

// Epoch is a number that every failover makes greater.
func (c *Cluster) Epoch() (epoch int) {
	c.tb.Helper()
	Eventually(c.tb, waitLimit, func() bool {
		if node := c.newest(); node != nil {
			epoch = node.configEpoch()
			return epoch >= 0
		}
		return false
	}, "a node that answers")
	return epoch
}

// newest is the node that has seen the newest epoch of those that answer, nil where none does.
func (c *Cluster) newest() (node *Redis) {
	epoch := -1
	for _, r := range c.Nodes {
		if r.proc == nil {
			continue
		}
		if seen, err := strconv.Atoi(r.field("cluster_current_epoch", "CLUSTER", "INFO")); err == nil && seen > epoch {
			node, epoch = r, seen
		}
	}
	return node
}

// Replica returns a running replica of a master, nil where there is none.
func (c *Cluster) Replica(master *Redis) *Redis {
	for _, r := range c.Nodes {
		if r == master || r.proc == nil {
			continue
		}
		role, err := r.glance().Ask("ROLE") // slave, host, port of the master, …
		if err == nil && len(role) > 2 && role[0] == "slave" && master.isAt(role[2]) {
			return r
		}
	}
	return nil
}

// Failover has a master's replica take over without losing a write, waits until it has,
// and returns it.
func (c *Cluster) Failover(master *Redis) *Redis {
	c.tb.Helper()
	var replica *Redis
	Eventually(c.tb, waitLimit, func() bool {
		replica = c.Replica(master)
		return replica != nil
	}, "a replica that could take over from the master at "+master.Addr())
	var asked time.Time
	Eventually(c.tb, waitLimit, func() bool {
		if time.Since(asked) > mayTake {
			_, _ = replica.glance().Ask("CLUSTER", "FAILOVER") // asked again where it cannot begin yet
			asked = time.Now()
		}
		return slices.Contains(c.Masters(), replica)
	}, replica.Addr()+" as a master")
	return replica
}

// mayTake is how long a requested failover may take: a replica gives it up after five
// seconds, and reports that in its log only.
const mayTake = 6 * time.Second

// WaitFailover waits until a master that was killed or frozen has been replaced by its
// replica, and returns that one.
func (c *Cluster) WaitFailover(gone *Redis) *Redis {
	c.tb.Helper()
	var now []*Redis
	Eventually(c.tb, waitLimit, func() bool {
		now = c.Masters()
		return len(now) == clusterMasters && !slices.Contains(now, gone)
	}, "the replica of "+gone.Addr()+" in its place")
	for i, r := range c.Nodes {
		if r == gone {
			return c.Nodes[(i+clusterMasters)%len(c.Nodes)] // the other of the pair
		}
	}
	return nil
}
