package redis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// newCluster returns a client of a Redis Cluster whose steps take at most the given time.
func newCluster(c *redis.UniversalOptions, step time.Duration) *redis.ClusterClient {
	o := c.Cluster()
	// A retry may go to another node, so redirects count as retries. Both would multiply.
	o.MaxRedirects, o.MaxRetries = c.MaxRetries, -1
	// Routing policies would ask nodes about each command, for five seconds and regardless
	// of the step's deadline. The scripts' keys name the node.
	o.DisableRoutingPolicies = true
	client := redis.NewClusterClient(o)
	client.OnNewNode(func(node *redis.Client) { node.AddHook(slotsLimit(step / 4)) })
	return client
}

// slotsLimit is how long one node may take to list the slots. The library asks the nodes
// in turn, in random order. Without a limit, a gateway that has just started could spend
// its whole step on a silent node.
type slotsLimit time.Duration

func (limit slotsLimit) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if _, ok := cmd.(*redis.ClusterSlotsCmd); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(limit))
			defer cancel()
		}
		return next(ctx, cmd)
	}
}

func (slotsLimit) DialHook(next redis.DialHook) redis.DialHook { return next }

func (slotsLimit) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
