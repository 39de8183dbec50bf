// Command caddy is stock Caddy with the Webhook Guard modules.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/webhookguard/caddy-webhook-guard"
)

func main() {
	caddycmd.Main()
}
