module github.com/webhookguard/caddy-webhook-guard/test/chaos

go 1.26.0

require (
	github.com/Shopify/toxiproxy/v2 v2.5.0 // latency, resets and half-open connections between gateways, apps and Redis
	github.com/rs/zerolog v1.28.0 // silences toxiproxy's log
	github.com/webhookguard/caddy-webhook-guard v0.0.0
	golang.org/x/sys v0.48.0 // bounds the files of a running gateway: a full disk
)

replace github.com/webhookguard/caddy-webhook-guard => ../..

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/gorilla/mux v1.8.0 // indirect
	github.com/mattn/go-colorable v0.1.15 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_golang v1.25.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/rs/xid v1.6.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	gopkg.in/tomb.v1 v1.0.0-20141024135613-dd632973f1e7 // indirect
)
