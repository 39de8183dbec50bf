package chaos

import (
	"math/rand/v2"
	"sync"
	"time"
)

// balancer chooses gateways as a load balancer does: after a failure it avoids the
// gateway for a while.
type balancer struct {
	urls []string

	mu    sync.Mutex
	avoid []time.Time
}

const avoidFor = 500 * time.Millisecond

func newBalancer(urls []string) *balancer {
	return &balancer{urls: urls, avoid: make([]time.Time, len(urls))}
}

// choose returns a gateway's number; with all of them failing, any.
func (b *balancer) choose(r *rand.Rand) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	order := r.Perm(len(b.urls))
	for _, i := range order {
		if now.After(b.avoid[i]) {
			return i
		}
	}
	return order[0]
}

func (b *balancer) failed(gateway int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.avoid[gateway] = time.Now().Add(avoidFor)
}
