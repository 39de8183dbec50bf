// Package webhookguard imports every module of the project, so that
//
//	xcaddy build --with github.com/webhookguard/caddy-webhook-guard
//
// finds them all. It has no code of its own.
package webhookguard

import _ "github.com/webhookguard/caddy-webhook-guard/caddymodule"
