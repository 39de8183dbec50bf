package caddymodule

// Whoever imports this package gets the commands too. The stores are imported where they
// are used.
import _ "github.com/webhookguard/caddy-webhook-guard/caddymodule/cli"
